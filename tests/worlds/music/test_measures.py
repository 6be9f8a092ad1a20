import numpy as np
import pytest

from antiphon.worlds.music import measures

RATE = 16_000


def roll(*pitches, frames=10, level=0.9):
    """Note posteriors in which every given chord sounds for ``frames`` frames."""
    notes = np.zeros((len(pitches) * frames, 88))
    for i, chord in enumerate(pitches):
        notes[i * frames : (i + 1) * frames, np.atleast_1d(chord) - 21] = level
    return notes


def test_pitch_classes_count_from_c_and_ignore_the_faint():
    notes = roll([60, 72], 69)[None]
    activity = measures.pitch_class_activity(notes)
    np.testing.assert_allclose(activity[0], np.array([20, 0, 0, 0, 0, 0, 0, 0, 0, 10, 0, 0]) * 0.77)
    assert measures.pitch_class_activity(roll(60, level=0.12)[None]).sum() == 0


@pytest.mark.parametrize("shift", [0, 1, 7, 11])
def test_in_key_ratio_of_known_pitch_sets(shift):
    major = roll(*(np.array([60, 62, 64, 65, 67, 69, 71]) + shift))
    harmonic_minor = roll(*(np.array([57, 59, 60, 62, 64, 65, 68]) + shift))
    chromatic = roll(*(np.arange(60, 72) + shift))
    np.testing.assert_allclose(measures.in_key_ratio(major[None]), 1.0)
    np.testing.assert_allclose(measures.in_key_ratio(harmonic_minor[None]), 6 / 7)
    np.testing.assert_allclose(measures.in_key_ratio(chromatic[None]), 7 / 12)
    assert np.isnan(measures.in_key_ratio(np.zeros((1, 5, 88)))).all()


@pytest.mark.parametrize("tonic", range(12))
def test_key_and_mode_of_cadences(tonic):
    major = roll([60, 64, 67], [65, 69, 72], [67, 71, 74], [60, 64, 67], [60, 64, 67])
    minor = roll([57, 60, 64], [62, 65, 69], [64, 67, 71], [57, 60, 64], [57, 60, 64])
    batch = np.roll(np.stack([major, minor]), tonic, axis=2)
    key = measures.estimate_key(batch)
    np.testing.assert_array_equal(key.tonic, [tonic, (9 + tonic) % 12])
    np.testing.assert_array_equal(key.minor, [False, True])
    assert (key.correlation > 0.8).all()
    assert np.isnan(measures.estimate_key(np.zeros((1, 5, 88))).correlation[0])


def test_polyphony_counts_only_sounding_frames():
    notes = np.concatenate([roll([60, 64, 67], 60), np.zeros((50, 88))])
    batch = np.stack([notes, np.zeros_like(notes)])
    np.testing.assert_allclose(measures.mean_polyphony(batch), [2.0, np.nan])


def test_loudness_of_sine_square_and_silence():
    t = np.arange(RATE) / RATE
    sine, square = np.sin(2 * np.pi * 100 * t), np.where(t * 100 % 1 < 0.5, 1.0, -1.0)
    found = measures.loudness(np.stack([sine, square, 0.1 * sine, 0 * sine]))
    np.testing.assert_allclose(found, [-3.0103, 0.0, -23.0103, -120.0], atol=1e-3)


def test_silence_share():
    t = np.arange(2 * RATE) / RATE
    wave = np.stack([np.sin(2 * np.pi * 440 * t) * (t < 0.5), np.sin(2 * np.pi * 440 * t), 0 * t])
    np.testing.assert_allclose(measures.silence_share(wave, RATE), [0.75, 0.0, 1.0], atol=0.011)


def test_brightness():
    t = np.arange(RATE) / RATE
    noise = np.random.default_rng(0).normal(size=RATE)
    wave = np.stack([np.sin(2 * np.pi * 1000 * t), np.sin(2 * np.pi * 3000 * t), noise, 0 * t])
    found = measures.brightness(wave, RATE)
    np.testing.assert_allclose(found[:3], [1000, 3000, 4000], rtol=0.03)
    assert np.isnan(found[3])
    assert measures.brightness(wave[:, :500], RATE).shape == (4,)
