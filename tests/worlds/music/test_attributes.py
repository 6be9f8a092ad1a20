"""Attributes: what is refused, and which combinations training never sees."""

from dataclasses import asdict, replace
from itertools import product

import pytest

from antiphon.core.errors import UserError
from antiphon.worlds.music.attributes import INSTRUMENTS, MODES, TEMPI, TEXTURES, Attributes

PIANO = Attributes("piano", "slow", "major", "waltz", "low", "chords", "harp", False, "legato")


VALUES = {"instrument": INSTRUMENTS, "tempo": TEMPI, "mode": MODES, "texture": TEXTURES}


@pytest.mark.parametrize("field", list(asdict(PIANO)))
def test_unknown_values_are_named_with_those_that_exist(field):
    with pytest.raises(UserError, match=f"attribute {field} is 'kazoo'") as caught:
        replace(PIANO, **{field: "kazoo"})
    assert "choose one of" in caught.value.mend


@pytest.mark.parametrize(("texture", "accompaniment"), [("solo", "harp"), ("drone", None)])
def test_only_a_solo_is_unaccompanied(texture, accompaniment):
    with pytest.raises(UserError, match="texture"):
        replace(PIANO, texture=texture, accompaniment=accompaniment)


def test_the_plan_is_the_index_of_tempo_and_metre():
    assert PIANO.plan == (0, 1)
    assert replace(PIANO, tempo="fast", metre="jig").plan == (3, 2)


def combinations() -> list[Attributes]:
    return [
        replace(
            PIANO, instrument=i, tempo=t, mode=m, texture=x, accompaniment=None if x == "solo" else "harp"
        )
        for i, t, m, x in product(INSTRUMENTS, TEMPI, MODES, TEXTURES)
    ]


def test_what_is_held_out():
    held_out = [a for a in combinations() if a.held_out]
    assert (len(held_out), len(combinations())) == (33, 480)  # what the bundled weights were trained without
    # Neither metre nor register nor drums decide.
    for a in combinations():
        assert replace(a, metre="jig", register="high", drums=True).held_out == a.held_out


def test_every_value_is_trained_on():
    trained = [a for a in combinations() if not a.held_out]
    for field, values in VALUES.items():
        assert {getattr(a, field) for a in trained} == set(values)


def test_every_tempo_mode_and_texture_is_tested_on():
    held_out = [a for a in combinations() if a.held_out]
    for field in ("tempo", "mode", "texture"):
        assert {getattr(a, field) for a in held_out} == set(VALUES[field])


@pytest.mark.xfail(
    reason="CRC-32 is linear: no combination with a harpsichord is held out, so no test clip has one",
    strict=True,
)
def test_every_instrument_is_tested_on():
    assert {a.instrument for a in combinations() if a.held_out} == set(INSTRUMENTS)
