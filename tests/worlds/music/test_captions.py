"""Captions are read back: what they say is true, and test wordings stay out of training."""

import re
from dataclasses import asdict, fields, replace

import numpy as np
import pytest

from antiphon.core.errors import UserError
from antiphon.worlds.music import captions
from antiphon.worlds.music.attributes import (
    ARTICULATIONS,
    INSTRUMENTS,
    METRES,
    MODES,
    REGISTERS,
    TEMPI,
    TEXTURES,
    Attributes,
)
from antiphon.worlds.music.captions import UNSEEN, WORDS, caption, change_one, vocabulary

TRAIN, TEST = captions._TRAIN_TEMPLATES, captions._UNSEEN_TEMPLATES
NAMED = [
    name for name in asdict(Attributes("harp", "slow", "major", "jig", "low", "solo", None, False, "legato"))
]


def attributes(seed: int) -> Attributes:
    rng = np.random.default_rng([1, seed])
    texture = str(rng.choice(TEXTURES))
    return Attributes(
        instrument=str(rng.choice(list(INSTRUMENTS))),
        tempo=str(rng.choice(TEMPI)),
        mode=str(rng.choice(MODES)),
        metre=str(rng.choice(METRES)),
        register=str(rng.choice(REGISTERS)),
        texture=texture,
        accompaniment=None if texture == "solo" else str(rng.choice(list(INSTRUMENTS))),
        drums=bool(rng.random() < 0.5),
        articulation=str(rng.choice(ARTICULATIONS)),
    )


def meanings(words) -> dict[str, tuple[str, object]]:
    """Wording -> (field, value); fails where one wording means two things."""
    found: dict[str, tuple[str, object]] = {}
    for field, table in words.items():
        for value, wordings in table.items():
            for wording in wordings:
                assert wording not in found, wording
                found[wording] = (field, value)
    return found


def readings(text: str, templates, words):
    """Every way to read a caption as a template filled with known wordings: lists of (field, value)."""
    known = meanings(words)
    for template in templates:
        pattern = (
            re.escape(template)
            .replace(r"\{first\}", "(?P<first>.+?)", 1)
            .replace(r"\{list\}", "(?P<list>.+)", 1)
        )
        match = re.fullmatch(pattern, text)
        if not match:
            continue
        said, items = [], match["list"].split(", ")
        if "{first}" in template:
            if match["first"] != "this instrument" and known.get(match["first"], ("",))[0] != "instrument":
                continue
            said += [known[match["first"]]] if match["first"] in known else []
        for item in items:
            plain = re.sub(r"^(accompanied by|over|with backing from) ", "", item)
            if plain != item and known.get(plain, ("",))[0] == "instrument":
                said.append(("accompaniment", known[plain][1]))
            elif item in known:
                said.append(known[item])
            else:
                break
        else:
            yield said


@pytest.mark.parametrize("unseen", [False, True])
def test_captions_never_say_something_false(unseen):
    templates, words = (TEST, UNSEEN) if unseen else (TRAIN, WORDS)
    told = set()
    for seed in range(250):
        truth = attributes(seed)
        text = caption(np.random.default_rng(seed), truth, unseen=unseen)
        found = list(readings(text, templates, words))
        assert found, text
        for said in found:
            assert all(getattr(truth, field) == value for field, value in said), (text, truth)
            assert len(said) == len({field for field, _ in said})
            told |= {field for field, _ in said}
    assert told == set(NAMED)


def test_wordings_of_the_two_lists_are_disjoint_and_cover_the_same_values():
    assert not meanings(WORDS).keys() & meanings(UNSEEN).keys()
    assert not set(TRAIN) & set(TEST)
    assert {f: set(t) for f, t in WORDS.items()} == {f: set(t) for f, t in UNSEEN.items()}
    assert all(len(wordings) >= 3 for table in WORDS.values() for wordings in table.values())


def test_training_captions_cannot_be_read_as_test_captions():
    for seed in range(150):
        text = caption(np.random.default_rng(seed), attributes(seed))
        assert not list(readings(text, TEST, WORDS | {}))
        assert not list(readings(text, TRAIN, UNSEEN))


@pytest.mark.parametrize("unseen", [False, True])
def test_complete_captions_name_everything(unseen):
    templates, words = (TEST, UNSEEN) if unseen else (TRAIN, WORDS)
    for seed in range(60):
        truth = attributes(seed)
        text = caption(np.random.default_rng(seed), truth, unseen=unseen, complete=True)
        wordless = {"accompaniment"} if truth.accompaniment in (None, truth.instrument) else set()
        for said in readings(text, templates, words):
            assert {field for field, _ in said} == set(NAMED) - wordless


@pytest.mark.parametrize("field", list(WORDS))
def test_naming_names_the_field_in_any_case(field):
    for seed in range(60):
        truth = attributes(seed)
        text = caption(np.random.default_rng(seed), truth, naming=field)
        for said in readings(text, TRAIN, WORDS):
            assert (field, getattr(truth, field)) in said


def test_captions_differ_by_generator_only():
    truth = attributes(0)
    assert caption(np.random.default_rng(5), truth) == caption(np.random.default_rng(5), truth)
    assert len({caption(np.random.default_rng(s), truth) for s in range(50)}) > 40


@pytest.mark.parametrize("field", list(WORDS))
def test_a_hard_negative_differs_in_the_field_and_what_hangs_on_it(field):
    follows = {"texture": {"accompaniment", "drums"}, "instrument": {"accompaniment"}}.get(field, set())
    for seed in range(100):
        truth = attributes(seed)
        changed = change_one(np.random.default_rng(seed), truth, field)
        differing = {f.name for f in fields(Attributes) if getattr(truth, f.name) != getattr(changed, f.name)}
        assert field in differing
        assert differing <= {field} | follows
        if field == "texture" and "solo" not in (truth.texture, changed.texture):
            assert differing == {field}
        if field == "instrument" and truth.accompaniment != truth.instrument:
            assert differing == {field}


def test_only_named_attributes_can_be_changed():
    with pytest.raises(UserError, match="'accompaniment'"):
        change_one(np.random.default_rng(0), attributes(0), "accompaniment")


def test_the_vocabulary_has_every_word_of_training_captions():
    known = vocabulary()
    for seed in range(150):
        text = caption(np.random.default_rng(seed), attributes(seed))
        assert {w.strip(".,:;") for w in text.split()} - {""} <= known
    assert "drums" in known
    assert not known & {"pianist", "please", "could"}


def test_no_drums_are_mentioned_only_now_and_then():
    silent = replace(attributes(1), drums=False)
    texts = [caption(np.random.default_rng(s), silent) for s in range(300)]
    share = np.mean([any(w in t for w in WORDS["drums"][False]) for t in texts])
    assert 0.06 < share < 0.2  # said half of the time, of that a quarter
