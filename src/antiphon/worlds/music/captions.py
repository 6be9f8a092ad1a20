"""Captions from true attributes: many templates, synonyms, dropped attributes, and wordings kept apart for testing.

A caption says only what is true of the clip but need not say all of it. Templates and synonyms of the list ``UNSEEN`` never occur in training captions; they test whether
an embedding understands wordings it has not met.
"""

from dataclasses import fields, replace

import numpy as np

from antiphon.worlds.music.attributes import Attributes

WORDS = {
    "instrument": {
        "piano": ("piano", "grand piano", "solo piano line", "pianoforte"),
        "harpsichord": ("harpsichord", "baroque harpsichord", "plucked harpsichord"),
        "guitar": ("guitar", "acoustic guitar", "nylon string guitar", "classical guitar"),
        "harp": ("harp", "concert harp", "plucked harp"),
        "violin": ("violin", "solo violin", "fiddle", "bowed violin"),
        "strings": ("strings", "string section", "string orchestra", "string ensemble"),
        "flute": ("flute", "wooden flute", "flute line", "solo flute"),
        "choir": ("choir", "choir of voices", "vocal choir", "singing choir"),
        "synth": ("synth", "synthesizer", "electronic synth", "synth lead"),
        "sitar": ("sitar", "indian sitar", "plucked sitar"),
    },
    "tempo": {
        "slow": ("slow", "slowly played", "unhurried", "at a slow tempo", "calm"),
        "moderate": ("moderate", "at a walking pace", "medium tempo", "moderately paced", "andante"),
        "lively": ("lively", "upbeat", "brisk", "spirited", "allegro"),
        "fast": ("fast", "quick", "at a fast tempo", "rapid", "presto"),
    },
    "mode": {
        "major": ("major", "in a major key", "happy", "bright and cheerful", "major key"),
        "minor": ("minor", "in a minor key", "sad", "dark and wistful", "minor key"),
    },
    "metre": {
        "common": ("in four four", "in common time", "with four beats to the bar", "reel"),
        "waltz": ("waltz", "in three four", "in waltz time", "with three beats to the bar"),
        "jig": ("jig", "in six eight", "in jig time", "with a swaying six eight lilt"),
    },
    "register": {
        "low": ("low", "deep register", "in a low register", "low pitched"),
        "middle": ("middle register", "in the middle register", "mid range"),
        "high": ("high", "high register", "in a high register", "high pitched"),
    },
    "texture": {
        "solo": ("unaccompanied", "melody alone", "a single line", "solo"),
        "chords": ("held chords", "sustained chords", "block chords"),
        "oompah": ("oom pah accompaniment", "bass and chord accompaniment", "dance band accompaniment"),
        "arpeggio": ("arpeggios", "broken chords", "rolling arpeggios"),
        "drone": ("a drone", "a droning fifth", "a steady drone underneath"),
        "chorale": ("four part harmony", "hymn like harmony", "a chorale", "four voices"),
    },
    "articulation": {
        "legato": ("legato", "smooth", "connected notes", "flowing"),
        "staccato": ("staccato", "short detached notes", "crisp", "clipped notes"),
    },
    "drums": {
        True: ("with drums", "drum beat", "with a drum kit", "with percussion"),
        False: ("without drums", "no drums", "no percussion"),
    },
}
"""Wordings used in training captions, by attribute and value."""

UNSEEN = {
    "instrument": {
        "piano": ("pianist", "keys of a piano"),
        "harpsichord": ("harpsichordist", "old harpsichords"),
        "guitar": ("guitarist", "gently picked guitars"),
        "harp": ("harpist", "harps"),
        "violin": ("violinist", "violins bow"),
        "strings": ("a stringed orchestra", "orchestral string players"),
        "flute": ("flutist", "airy flutes"),
        "choir": ("chorus of singing voices", "choirs"),
        "synth": ("electronic synthesizers", "synths"),
        "sitar": ("sitarist", "sitars of india"),
    },
    "tempo": {
        "slow": ("slowly", "very slow"),
        "moderate": ("moderately", "of medium speed"),
        "lively": ("livelier", "with brisk spirit"),
        "fast": ("quickly", "rapidly moving"),
    },
    "mode": {
        "major": ("happily major", "cheerful"),
        "minor": ("minor keyed", "sadly dark"),
    },
    "metre": {
        "common": ("four beats a bar", "four four time"),
        "waltz": ("waltzing", "three beats a bar"),
        "jig": ("six eight time", "jigging"),
    },
    "register": {
        "low": ("lower register", "deep and low"),
        "middle": ("mid register",),
        "high": ("higher pitched", "up high"),
    },
    "texture": {
        "solo": ("alone without accompaniment", "single melody line"),
        "chords": ("long sustained chord", "blocks of chords"),
        "oompah": ("an oom pah band", "bass note then chord"),
        "arpeggio": ("arpeggiated chords", "a rolling arpeggio"),
        "drone": ("droning", "drones"),
        "chorale": ("harmonised in four parts", "like a hymn"),
    },
    "articulation": {
        "legato": ("smoothly connected", "a legato flow"),
        "staccato": ("crisply detached", "staccato notes"),
    },
    "drums": {True: ("drumming", "drums and percussion"), False: ("no drum kit",)},
}
"""Wordings that never occur in training captions, with no whole wording shared with :data:`WORDS`."""

_TRAIN_TEMPLATES = (
    "{list}",
    "{list} music",
    "a piece: {list}",
    "{first}, {list}",
    "this is a recording of {first}. {list}.",
    "instrumental track, {list}",
    "{list}, played on {first}",
    "music for {first}: {list}",
    "the song features {first}. it is {list}.",
    "{first} tune, {list}",
)
_UNSEEN_TEMPLATES = (
    "could you play something {list} with {first} please",
    "i would like to hear {first}, and it should be {list}",
    "{list}; think of {first} in a small room",
    "give me {first} ... {list}",
)

_KEEP = {
    "tempo": 0.85, "mode": 0.8, "metre": 0.6, "register": 0.45, "texture": 0.8,
    "accompaniment": 0.8, "articulation": 0.45, "drums": 0.5,
}  # fmt: skip


def caption(rng: np.random.Generator, attributes: Attributes, *, unseen: bool = False, complete: bool = False) -> str:
    """One caption of a clip.

    Args:
      rng: source of wording.
      attributes: what is true of the clip.
      unseen: use the templates and wordings kept apart for testing.
      complete: name every attribute; otherwise each is left out now and then (the instrument hardly ever).
    """
    words = UNSEEN if unseen else WORDS

    def word(field, value):
        return str(rng.choice(words[field][value]))

    first = word("instrument", attributes.instrument)
    parts = []
    for field in fields(Attributes):
        name, value = field.name, getattr(attributes, field.name)
        if name == "instrument" or not (complete or rng.random() < _KEEP[name]):
            continue
        if name == "accompaniment":
            if value is not None and value != attributes.instrument:
                link = str(rng.choice(("accompanied by", "over", "with backing from")))
                parts.append(f"{link} {word('instrument', value)}")
        elif name == "drums":
            # Nobody mentions that there are no drums unless asked: say it one time in four.
            if value or complete or rng.random() < 0.25:
                parts.append(word("drums", value))
        else:
            parts.append(word(name, value))
    if not parts:
        parts.append(word("tempo", attributes.tempo))
    order = rng.permutation(len(parts))
    parts = [parts[i] for i in order]
    template = str(rng.choice(_UNSEEN_TEMPLATES if unseen else _TRAIN_TEMPLATES))
    if "{first}" not in template:
        parts.insert(int(rng.integers(2)) if parts else 0, first)
    elif rng.random() < 0.05 and not complete:
        first = "this instrument"
    text = template.format(first=first, list=", ".join(parts))
    return " ".join(text.replace(" ,", ",").split())


def change_one(rng: np.random.Generator, attributes: Attributes, field: str) -> Attributes:
    """The same clip description with another value of one attribute (a hard negative)."""
    values = [v for v in WORDS[field] if v != getattr(attributes, field)]
    value = values[int(rng.integers(len(values)))]
    changed = replace(attributes, **{field: value})
    if field == "texture" and value == "solo":
        return replace(changed, accompaniment=None, drums=False)
    if field == "texture" and changed.accompaniment is None:
        return replace(changed, accompaniment=changed.instrument)
    if field == "instrument" and attributes.accompaniment == attributes.instrument:
        return replace(changed, accompaniment=value)
    return changed


def vocabulary() -> frozenset[str]:
    """Every word that training captions use."""
    words = {w for table in WORDS.values() for texts in table.values() for t in texts for w in t.split()}
    for template in _TRAIN_TEMPLATES:
        words |= set(template.replace("{list}", " ").replace("{first}", " ").replace(":", " ").split())
    words |= {"accompanied", "by", "over", "with", "backing", "from"}
    return frozenset(w.strip(".,:;") for w in words if w.strip(".,:;"))
