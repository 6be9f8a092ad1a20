"""Captions from true attributes: templates, synonyms, gaps, and wordings kept apart for testing.

A caption says only what is true of the clip but need not say all of it. Templates and wordings kept apart are
never used in training captions (their single words may be); they test whether an embedding understands what
it has not met.
"""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import numpy as np

from antiphon.core.errors import UserError
from antiphon.worlds.music.attributes import Attributes

Wordings = Mapping[str, Mapping[object, tuple[str, ...]]]

WORDS: Wordings = {
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

UNSEEN: Wordings = {
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
"""Wordings kept apart for testing: none of them is one of :data:`WORDS`."""

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

_LINKS = ("accompanied by", "over", "with backing from")
_SOME_INSTRUMENT = "this instrument"

# How often an attribute is said at all.
_KEEP = {
    "tempo": 0.85, "mode": 0.8, "metre": 0.6, "register": 0.45, "texture": 0.8,
    "accompaniment": 0.8, "articulation": 0.45, "drums": 0.5,
}  # fmt: skip


def caption(
    rng: np.random.Generator,
    attributes: Attributes,
    *,
    unseen: bool = False,
    complete: bool = False,
    naming: str | None = None,
) -> str:
    """One caption of a clip.

    Args:
      rng: source of wording.
      attributes: what is true of the clip.
      unseen: use the templates and wordings kept apart for testing.
      complete: name every attribute; otherwise each is left out now and then (the instrument hardly ever). An
        accompaniment by the lead's own instrument has no words of its own.
      naming: a field that must be named in any case; what a hard negative differs in has to be said.
    """
    words = UNSEEN if unseen else WORDS

    def word(field: str, value: object) -> str:
        return str(rng.choice(words[field][value]))

    first = word("instrument", attributes.instrument)
    parts: list[str] = []
    for field in fields(Attributes):
        name, value = field.name, getattr(attributes, field.name)
        must = complete or name == naming
        if name == "instrument" or not (must or rng.random() < _KEEP[name]):
            continue
        if name == "accompaniment":
            if value is not None and value != attributes.instrument:
                link = str(rng.choice(_LINKS))
                parts.append(f"{link} {word('instrument', value)}")
        elif name == "drums":
            # Nobody mentions that there are no drums unless asked: say it one time in four.
            if value or must or rng.random() < 0.25:
                parts.append(word("drums", value))
        else:
            parts.append(word(name, value))
    if not parts:
        parts.append(word("tempo", attributes.tempo))
    parts = [parts[i] for i in rng.permutation(len(parts))]
    template = str(rng.choice(_UNSEEN_TEMPLATES if unseen else _TRAIN_TEMPLATES))
    if "{first}" not in template:
        parts.insert(int(rng.integers(2)), first)
    elif rng.random() < 0.05 and not complete and naming != "instrument":
        first = _SOME_INSTRUMENT
    text = template.format(first=first, list=", ".join(parts))
    return " ".join(text.split())


def change_one(rng: np.random.Generator, attributes: Attributes, field: str) -> Attributes:
    """The same clip description with another value of one attribute (a hard negative).

    What depends on the attribute follows: a solo loses accompaniment and drums, an accompaniment by the
    lead's own instrument changes with it.

    Raises:
      UserError: the field is not one that captions name by itself.
    """
    if field not in WORDS:
        raise UserError(
            "field", f"there is no attribute {field!r} to change", f"choose one of {', '.join(WORDS)}"
        )
    values = [v for v in WORDS[field] if v != getattr(attributes, field)]
    value = values[int(rng.integers(len(values)))]
    changes: dict[str, Any] = {field: value}
    if field == "texture" and value == "solo":
        changes |= {"accompaniment": None, "drums": False}
    elif field == "texture" and attributes.accompaniment is None:
        changes["accompaniment"] = attributes.instrument
    elif field == "instrument" and attributes.accompaniment == attributes.instrument:
        changes["accompaniment"] = value
    return replace(attributes, **changes)


def vocabulary() -> frozenset[str]:
    """Every word that training captions use."""
    texts = [text for table in WORDS.values() for wordings in table.values() for text in wordings]
    texts += [template.format(first="", list="") for template in _TRAIN_TEMPLATES]
    words = {word.strip(".,:;") for text in (*texts, *_LINKS, _SOME_INSTRUMENT) for word in text.split()}
    return frozenset(words - {""})
