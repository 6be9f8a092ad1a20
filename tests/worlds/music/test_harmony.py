"""Modes keep their degrees; chords agree with a slow search."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.worlds.music.harmony import change_mode, chords_under
from antiphon.worlds.music.score import MODES, Key

CHORDS = {
    "major": [(0, 4, 7), (5, 9, 0), (7, 11, 2), (9, 0, 4), (2, 5, 9)],
    "minor": [(0, 3, 7), (5, 8, 0), (7, 10, 2), (8, 0, 3), (10, 2, 5)],
}


@pytest.mark.parametrize("target", ["major", "minor"])
@pytest.mark.parametrize("source", MODES)
def test_each_degree_becomes_the_same_degree(source, target):
    for tonic in range(12):
        above = [[(pc - tonic) % 12 for pc in Key(tonic, mode).scale] for mode in (source, target)]
        for octave in (36, 60, 84):
            moved = change_mode(octave + tonic + np.array(above[0]), tonic, source, target)
            np.testing.assert_array_equal(moved, octave + tonic + np.array(above[1]))


def test_accidentals_keep_their_distance_to_the_degree_below():
    f_sharp_in_c, e_flat_in_c = 66, 63
    moved = change_mode(np.array([f_sharp_in_c, e_flat_in_c]), 0, "major", "minor")
    np.testing.assert_array_equal(moved, [66, 63])  # F + 1; D + 1
    np.testing.assert_array_equal(
        change_mode(np.array([71]), 0, "minor", "major"), [72]
    )  # the leading note B = Bb + 1


def test_the_same_mode_changes_nothing():
    pitch = np.arange(30, 100)
    np.testing.assert_array_equal(change_mode(pitch, 5, "major", "major"), pitch)


def test_an_unknown_mode_is_an_error():
    with pytest.raises(ValueError, match="hypodorian"):
        change_mode(np.array([60]), 0, "hypodorian", "major")


def test_chords_golden():
    # C major, spans of 4: C E G | F A | silence | B D.
    onset = np.array([0.0, 1, 2, 4, 6, 12, 14])
    duration = np.array([1.0, 1, 2, 2, 2, 2, 2])
    pitch = np.array([60, 64, 67, 65, 69, 71, 62])
    np.testing.assert_array_equal(
        chords_under(onset, duration, pitch, 0, "major", 4, 4), [(0, 4, 7), (5, 9, 0), (0, 4, 7), (7, 11, 2)]
    )
    # The same tune in A minor with A as its tonic: Am | Dm | Am | Em.
    np.testing.assert_array_equal(
        chords_under(onset, duration, np.array([69, 72, 76, 74, 77, 79, 71]), 9, "minor", 4, 4),
        [(0, 3, 7), (5, 8, 0), (0, 3, 7), (7, 10, 2)],
    )


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(["major", "minor"]), st.integers(0, 11))
def test_chords_against_a_slow_search(seed, mode, tonic):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 12))
    onset, duration = rng.integers(0, 30, n) / 2, rng.integers(1, 10, n) / 2
    pitch = rng.integers(40, 90, n)
    found = chords_under(onset, duration, pitch, tonic, mode, 4.0, 4)
    for span in range(4):
        shares = np.zeros(12)
        for o, d, p in zip(onset, duration, pitch, strict=True):
            shares[(p - tonic) % 12] += max(0.0, min(o + d, 4.0 * span + 4) - max(o, 4.0 * span))
        if span == 0 or not shares.any():
            assert tuple(found[span]) == CHORDS[mode][0]
            continue
        prior = [0.25, 0.12, 0.15, 0.0, 0.0]
        values = [shares[list(c)].sum() / shares.sum() + prior[i] for i, c in enumerate(CHORDS[mode])]
        chosen = [tuple(c) for c in CHORDS[mode]].index(tuple(found[span]))
        assert values[chosen] == pytest.approx(max(values))
