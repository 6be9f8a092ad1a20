import importlib.util
import sys

import numpy as np
import pytest
import scipy.optimize
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.core.errors import UserError
from antiphon.worlds.music import measures, transcription

needs_network = pytest.mark.skipif(
    importlib.util.find_spec("basic_pitch") is None or importlib.util.find_spec("onnxruntime") is None,
    reason="basic_pitch or onnxruntime is not installed",
)
RATE = 16_000
SCALE = (60, 62, 64, 65, 67, 69, 71, 72)


def play(notes, seconds):
    """Decaying tones with six harmonics; notes are (start, duration, pitch)."""
    t = np.arange(round(seconds * RATE)) / RATE
    wave = np.zeros_like(t)
    for start, duration, pitch in notes:
        gate = (t >= start) & (t < start + duration)
        envelope = gate * np.minimum(1, (t - start) / 0.005) * np.minimum(1, (start + duration - t) / 0.01)
        frequency = 440 * 2 ** ((pitch - 69) / 12)
        decay = np.exp(-3 * np.maximum(t - start, 0))
        wave += (
            0.2 * envelope * decay * sum(np.sin(2 * np.pi * frequency * h * t) / h**1.5 for h in range(1, 7))
        )
    return wave.astype(np.float32)


@pytest.fixture(scope="module")
def session():
    return transcription.load_transcriber()


@pytest.fixture(scope="module")
def heard(session):
    melody = [(0.1 + 0.25 * i, 0.24, p) for i, p in enumerate(SCALE + SCALE[::-1])]
    noise = np.random.default_rng(0).normal(size=round(4.3 * RATE)).astype(np.float32) * 0.1
    chord = play([(0.2 + k, 0.9, p) for k in range(4) for p in (60, 64, 67)], 4.3)
    waves = np.stack([play(melody, 4.3), noise, chord, np.zeros_like(noise)])
    return melody, waves, transcription.transcribe(session, waves, RATE)


@needs_network
def test_a_played_scale_is_read_note_for_note(heard):
    melody, _, posteriors = heard
    assert "basic_pitch" not in sys.modules
    events = transcription.note_events(posteriors.notes[0], posteriors.onsets[0])
    start, pitch = np.array([n[0] for n in melody]), np.array([n[2] for n in melody])
    assert transcription.note_f1(start, pitch, events.start, events.pitch, tolerance=0.03).f1 > 0.9
    # An octave too high, or a third of a second late, and the agreement is gone.
    assert transcription.note_f1(start, pitch + 12, events.start, events.pitch).f1 < 0.3
    assert transcription.note_f1(start + 0.3, pitch, events.start, events.pitch).f1 < 0.3


@needs_network
def test_stitched_windows_keep_time_and_agree_with_one_window(session, heard):
    _, waves, posteriors = heard
    assert posteriors.notes.shape == (4, int(np.ceil(round(4.3 * 22_050) / 256)), 88)
    # Ten frames later the window borders fall elsewhere; the posteriors are the same, shifted.
    at_22k = np.random.default_rng(1).normal(size=(1, 3 * 22_050)).astype(np.float32) * 0.01
    t = np.arange(at_22k.shape[1]) / 22_050
    at_22k += 0.2 * np.sin(2 * np.pi * 440 * t) * (t % 0.5 < 0.3)
    late = transcription.transcribe(session, np.pad(at_22k, ((0, 0), (2560, 0))).astype(np.float32), 22_050)
    early = transcription.transcribe(session, at_22k, 22_050)
    middle = slice(30, 220)
    difference = np.abs(late.notes[0, 10:][middle] - early.notes[0][middle])
    assert difference.max() < 0.05
    one_by_one = transcription.transcribe(session, waves, RATE, windows_per_call=1)
    np.testing.assert_allclose(one_by_one.notes, posteriors.notes, atol=1e-4)


@needs_network
def test_pitch_measures_on_real_posteriors(heard):
    _, _, posteriors = heard
    in_key = measures.in_key_ratio(posteriors.notes)
    assert in_key[0] > 0.93
    assert in_key[1] < 0.7
    assert np.isnan(in_key[3])
    key = measures.estimate_key(posteriors.notes)
    assert (key.tonic[0], key.minor[0]) == (0, False)
    assert measures.mean_polyphony(posteriors.notes)[2] > measures.mean_polyphony(posteriors.notes)[0] + 0.8


def test_events_from_hand_made_posteriors():
    notes, onsets = np.zeros((100, 88)), np.zeros((100, 88))
    onsets[[10, 40], 39] = 0.9  # two notes of one pitch
    notes[10:30, 39] = 0.8
    notes[20:22, 39] = 0.1  # a dip shorter than the gap does not cut
    notes[40:90, 39] = 0.7
    notes[60:70, 39] = 0.1  # a longer one does
    onsets[50, 0] = 0.5  # too weak
    notes[50:80, 0] = 0.9
    onsets[70, 5] = 0.9  # too short
    notes[70:73, 5] = 0.9
    events = transcription.note_events(notes, onsets)
    np.testing.assert_array_equal(events.pitch, [60, 60])
    np.testing.assert_allclose(events.start * transcription.FRAME_RATE, [10, 40])
    np.testing.assert_allclose(events.end * transcription.FRAME_RATE, [30, 60])
    np.testing.assert_allclose(events.strength, [(18 * 0.8 + 2 * 0.1) / 20, 0.7])


note_lists = st.lists(st.tuples(st.integers(0, 60), st.integers(60, 62)), max_size=12)


@settings(max_examples=150, deadline=None)
@given(note_lists, note_lists)
def test_f1_matches_the_assignment_problem(reference, found):
    r_start, r_pitch = np.array([n[0] for n in reference]) * 0.01, np.array([n[1] for n in reference], int)
    f_start, f_pitch = np.array([n[0] for n in found]) * 0.01, np.array([n[1] for n in found], int)
    close = np.abs(r_start[:, None] - f_start) <= 0.05 + 1e-9
    allowed = (close & (r_pitch[:, None] == f_pitch)).astype(float)
    matched = allowed[scipy.optimize.linear_sum_assignment(-allowed)].sum()
    score = transcription.note_f1(r_start, r_pitch, f_start, f_pitch)
    total = len(reference) + len(found)
    assert score.f1 == pytest.approx(2 * matched / total if total else 1.0)
    assert score.precision == pytest.approx(matched / len(found) if found else float(total == 0))
    assert score.recall == pytest.approx(matched / len(reference) if reference else float(total == 0))


def test_missing_packages_are_said_with_the_mend(monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="pip install --no-deps basic-pitch"):
        transcription.load_transcriber()
    if real("basic_pitch"):
        monkeypatch.setattr(importlib.util, "find_spec", lambda n: None if n == "onnxruntime" else real(n))
        with pytest.raises(UserError, match=r"antiphon\[music\]"):
            transcription.load_transcriber()
