import numpy as np
import pytest

from antiphon.worlds.music import rhythm
from antiphon.worlds.music.attributes import FRAMES_PER_SIXTEENTH, TEMPI

RATE, SECONDS = 16_000, 5.12


def clicks(times, seed=0):
    """Short decaying noise bursts."""
    rng = np.random.default_rng(seed)
    wave = np.zeros(round((SECONDS + 1) * RATE))
    for time in times:
        at = round(time * RATE)
        wave[at : at + 800] += rng.normal(size=800) * np.exp(-np.arange(800) / 100) * 0.3
    return wave[: round(SECONDS * RATE)]


def tones(times, lengths, gains):
    """Decaying notes of a scale with six harmonics."""
    t = np.arange(round(SECONDS * RATE)) / RATE
    wave = np.zeros_like(t)
    for i, (start, length, gain) in enumerate(zip(times, lengths, gains, strict=True)):
        frequency = 261.6 * 2 ** ((0, 2, 4, 5, 7, 9, 11, 12)[3 * i % 8] / 12)
        envelope = np.clip((t - start) / 0.01, 0, 1) * np.clip((start + length - t) / 0.02, 0, 1)
        envelope *= np.exp(-2 * np.maximum(t - start, 0))
        wave += (
            0.2 * gain * envelope * sum(np.sin(2 * np.pi * frequency * h * t) / h**1.5 for h in range(1, 7))
        )
    return wave


def test_flux_peaks_where_sound_starts():
    strength = rhythm.onset_strength(clicks([1.0, 2.5, 4.0])[None], RATE)
    assert strength.shape == (1, round(SECONDS * 100) + 1)
    assert (strength >= 0).all()
    near = 0.0
    for time in (1.0, 2.5, 4.0):
        around = strength[0, round(time * 100) - 8 : round(time * 100) + 12]
        assert abs(np.argmax(around) - 8) <= 3
        near += around.sum()
    assert near > 0.99 * strength.sum()


def test_line_height_of_impulses_is_exact():
    strength = np.zeros((3, 400))
    strength[0, ::20] = 2.0  # every 0.2 s
    strength[1, ::20] = 1.0
    strength[1, 10::20] = 1.0  # twice as fast: nothing left at 5 Hz
    heights = rhythm.grid_lines(strength, (5.0, 10.0))
    np.testing.assert_allclose(heights[:2], [[1, 1], [0, 1]], atol=1e-12)
    assert np.isnan(heights[2]).all()


@pytest.mark.parametrize("pattern", [(0, 2, 4, 6, 7, 8, 10, 12, 14, 15), (0, 4, 6, 7, 8, 12, 14, 15)])
@pytest.mark.parametrize("index", range(4))
def test_known_tempo_is_found_from_melodies_with_accents(index, pattern):
    sixteenth = FRAMES_PER_SIXTEENTH[index] * 0.04
    assert sixteenth * rhythm.SIXTEENTHS_PER_SECOND[index] == pytest.approx(1.0)
    position = np.concatenate([np.array(pattern) + 16 * bar for bar in range(4)])
    heard = position * sixteenth < SECONDS - 0.1
    lengths = np.diff(position, append=64) * sixteenth * 0.95
    gains = np.where(position % 4 == 0, 1.0, 0.4)
    wave = tones(position[heard] * sixteenth, lengths[heard], gains[heard])
    strength = rhythm.onset_strength(wave[None], RATE)
    assert TEMPI[rhythm.tempo_index(strength)[0]] == TEMPI[index]
    assert rhythm.onset_regularity(strength)[0] > 0.8


def test_steady_beats_random_and_noise():
    rng = np.random.default_rng(3)
    steady = clicks(np.arange(0.1, 5, 0.16))
    jittered = clicks(np.sort(rng.uniform(0.1, 5, 30)))
    noise = rng.normal(size=len(steady)) * 0.1
    regularity = rhythm.onset_regularity(rhythm.onset_strength(np.stack([steady, jittered, noise]), RATE))
    assert regularity[0] > 0.7
    assert regularity[1] < 0.45
    assert regularity[2] < 0.1


def test_silence_has_no_tempo():
    strength = rhythm.onset_strength(np.zeros((1, 16_000)), RATE)
    assert rhythm.tempo_index(strength)[0] == -1
    assert np.isnan(rhythm.onset_regularity(strength)[0])


def test_tempo_guess_has_no_favourite_when_onsets_are_random():
    rng = np.random.default_rng(4)
    waves = [tones(np.sort(rng.uniform(0, 5, 25)), np.full(25, 0.2), np.ones(25)) for _ in range(24)]
    guesses = rhythm.tempo_index(rhythm.onset_strength(np.stack(waves), RATE))
    counts = np.bincount(guesses, minlength=4)
    assert counts.min() >= 1
    assert counts.max() <= 13
