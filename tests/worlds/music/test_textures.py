"""Accompaniment figures: on the grid, in the scale, and shaped as their names say."""

import numpy as np
import pytest

from antiphon.worlds.music.attributes import METRES, sixteenths_per_bar
from antiphon.worlds.music.score import Key
from antiphon.worlds.music.textures import FIGURES, chord_span, drum_beat, voice_chord

CHORDS = np.array([(0, 4, 7), (5, 9, 0), (5, 9, 0), (7, 11, 2)])


def test_chord_spans_divide_the_bar():
    assert [chord_span(m) for m in METRES] == [8, 12, 6]


@pytest.mark.parametrize("tonic", range(12))
def test_a_chord_is_voiced_around_its_centre(tonic):
    for chord in CHORDS:
        for centre in (48.0, 55.5, 62.0):
            bass, triad = voice_chord(chord, tonic, centre)
            assert sorted(p % 12 for p in triad) == sorted((chord + tonic) % 12)
            assert all(abs(p - centre) <= 6 for p in triad)
            assert bass % 12 == (chord[0] + tonic) % 12
            assert abs(bass - (centre - 12)) <= 6


@pytest.mark.parametrize("metre", METRES)
@pytest.mark.parametrize("name", FIGURES)
def test_figures_lie_on_the_grid_and_in_the_scale(name, metre):
    for tonic in range(12):
        onset, duration, pitch, velocity = np.array(FIGURES[name](CHORDS, tonic, 55.0, metre), float).T
        assert (onset == np.floor(onset)).all()
        assert onset.min() == 0
        assert onset.max() < len(CHORDS) * chord_span(metre)
        assert (duration > 0).all()
        assert set((pitch % 12).astype(int)) <= set(Key(tonic, "major").scale)
        assert pitch.min() > 21
        assert ((velocity > 40) & (velocity < 100)).all()


def sounding(notes, at):
    return sorted(p % 12 for o, d, p, _ in notes if o <= at < o + d)


@pytest.mark.parametrize("metre", METRES)
def test_held_chords_sound_all_the_time(metre):
    notes, span = FIGURES["chords"](CHORDS, 2, 55.0, metre), chord_span(metre)
    for at in range(len(CHORDS) * span):
        assert set(sounding(notes, at)) == set((CHORDS[at // span] + 2) % 12)


@pytest.mark.parametrize(("metre", "weak"), [("common", [4]), ("waltz", [4, 8]), ("jig", [4])])
def test_oompah_has_one_bass_and_then_chords(metre, weak):
    notes, span = FIGURES["oompah"](CHORDS, 0, 55.0, metre), chord_span(metre)
    for i in range(len(CHORDS)):
        starts = [o - i * span for o, *_ in notes if i * span <= o < (i + 1) * span]
        assert sorted(starts) == [0, *[at for at in weak for _ in range(3)]]
    basses = [p % 12 for o, _, p, _ in notes if o % span == 0]
    # Where the second span of a pair repeats the chord the bass would go to the fifth; here no pair does.
    assert basses == [0, 5, 5, 7]


def test_arpeggios_go_up_and_down_in_eighths():
    notes = FIGURES["arpeggio"](CHORDS[:1], 0, 55.0, "waltz")
    assert [o for o, *_ in notes] == [0, 2, 4, 6, 8, 10]
    pitch = [p for _, _, p, _ in notes]
    assert pitch[:4] == sorted(pitch[:4])
    assert pitch[4:] == [pitch[2], pitch[1]]


@pytest.mark.parametrize("metre", METRES)
def test_a_drone_is_tonic_and_fifth_in_every_bar(metre):
    notes = FIGURES["drone"](CHORDS, 4, 55.0, metre)
    for at in range(len(CHORDS) * chord_span(metre)):
        assert sounding(notes, at) == [4, 11]
    assert {d for _, d, _, _ in notes} == {sixteenths_per_bar(metre)}


def test_drum_beat_golden():
    common = drum_beat("common", 16)
    assert sorted(o for o, _, key, _ in common if key == 36) == [0, 8, 10]
    assert sorted(o for o, _, key, _ in common if key == 38) == [4, 12]
    assert sorted(o for o, _, key, _ in common if key == 42) == list(range(0, 16, 2))
    assert sorted(o for o, _, key, _ in drum_beat("waltz", 24) if key == 36) == [0, 12]
    assert all(o < 7 for o, *_ in drum_beat("jig", 7))


def test_a_resting_harmony_alternates_the_bass():
    resting = np.array([(0, 4, 7), (0, 4, 7)])
    for metre, second in (("common", 7), ("jig", 7), ("waltz", 0)):
        basses = [
            p % 12 for o, _, p, _ in FIGURES["oompah"](resting, 0, 55.0, metre) if o % chord_span(metre) == 0
        ]
        assert basses == [0, second]
