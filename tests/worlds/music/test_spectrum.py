"""Transforms against NumPy loops, and the identities they are used for."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from antiphon.worlds.music.spectrum import (
    BINS,
    HOP,
    SAMPLE_RATE,
    WINDOW,
    griffin_lim,
    hann,
    istft,
    log_mel,
    magnitude,
    mel_matrix,
    stft,
)


def noise(samples: int, batch: int = 2, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((batch, samples)).astype(np.float32)


def slow_stft(wave: np.ndarray, size: int, hop: int) -> np.ndarray:
    """One frame after the other in float64: the window's centre lies on ``hop * (f + 1/2)``."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)
    padded = np.pad(wave.astype(np.float64), ((0, 0), (size, size)))
    frames = []
    for f in range(wave.shape[1] // hop):
        first = size + (2 * f + 1) * hop // 2 - size // 2
        frames.append(np.fft.rfft(padded[:, first : first + size] * window) / np.sqrt(size))
    return np.stack(frames, axis=1)


@pytest.mark.parametrize(("size", "hop"), [(1280, 320), (1024, 320), (512, 256), (5120, 640), (2048, 512)])
def test_stft_equals_a_slow_loop(size, hop):
    wave = noise(2560)
    expected = slow_stft(wave, size, hop)
    measured = np.asarray(stft(jnp.asarray(wave), size, hop))
    assert measured.shape == (2, 2560 // hop, size // 2 + 1)
    np.testing.assert_allclose(measured, expected, atol=1e-5)


@pytest.mark.parametrize("frames", [1, 2, 3, 8])
def test_istft_inverts_stft_up_to_the_ends(frames):
    wave = noise(frames * HOP)
    np.testing.assert_allclose(istft(stft(jnp.asarray(wave))), wave, atol=2e-5)


def test_istft_of_any_spectrum_is_the_least_squares_signal():
    rng = np.random.default_rng(1)
    frames = 5
    spectrum = rng.standard_normal((1, frames, BINS)) + 1j * rng.standard_normal((1, frames, BINS))
    signal, weight = np.zeros(frames * HOP + WINDOW), np.zeros(frames * HOP + WINDOW)
    window = hann(WINDOW).astype(np.float64)
    for f in range(frames):
        signal[f * HOP : f * HOP + WINDOW] += np.fft.irfft(spectrum[0, f]) * np.sqrt(WINDOW) * window
        weight[f * HOP : f * HOP + WINDOW] += window**2
    before = (WINDOW - HOP) // 2
    inside = slice(before, before + frames * HOP)
    measured = istft(jnp.asarray(spectrum, jnp.complex64))
    np.testing.assert_allclose(measured[0], signal[inside] / weight[inside], atol=1e-4)


@pytest.mark.parametrize(("bands", "size"), [(64, 512), (80, 1024), (128, 2048), (229, 4096)])
def test_no_mel_filter_is_empty(bands, size):
    filters = mel_matrix(bands, size)
    assert filters.shape == (size // 2 + 1, bands)
    assert (filters.max(axis=0) > 0).all()
    assert filters.min() >= 0
    assert filters.max() <= 1


def test_a_sine_peaks_in_the_band_around_its_frequency():
    edges = np.linspace(2595 * np.log10(1 + 30 / 700), 2595 * np.log10(1 + 8000 / 700), 82)
    centres = 700 * (10 ** (edges[1:-1] / 2595) - 1)
    for band in (30, 50, 70):
        time = np.arange(6400) / SAMPLE_RATE
        wave = np.sin(2 * np.pi * centres[band] * time, dtype=np.float32)[None]
        mel = np.asarray(log_mel(jnp.asarray(wave)))[0]
        assert mel.shape == (20, 80)
        assert (mel[5:15].argmax(axis=1) == band).all()
    np.testing.assert_allclose(log_mel(jnp.zeros((1, 640))), np.log(0.01), atol=0.2)


def test_magnitude_has_a_finite_gradient_at_silence():
    gradient = jax.grad(lambda x: jnp.sum(magnitude(stft(x))))(jnp.zeros((1, 640)))
    assert np.isfinite(gradient).all()


def test_griffin_lim_makes_the_spectrum_more_consistent():
    time = np.arange(6400) / SAMPLE_RATE
    wave = jnp.asarray(
        (np.sin(2 * np.pi * 440 * time) + 0.5 * np.sin(2 * np.pi * 660 * time))[None], jnp.float32
    )
    target = jnp.abs(stft(wave))
    random = np.exp(2j * np.pi * np.random.default_rng(0).random(target.shape)).astype(np.complex64)

    def error(phase, iterations):
        rebuilt = griffin_lim(target, jnp.asarray(phase), iterations)
        return float(jnp.linalg.norm(jnp.abs(stft(rebuilt)) - target) / jnp.linalg.norm(target))

    errors = [error(random, n) for n in (0, 8, 40)]
    assert errors[1] < 0.8 * errors[0]
    assert errors[2] < 0.8 * errors[1]
    true_phase = np.asarray(stft(wave) / jnp.maximum(target, 1e-9))
    np.testing.assert_allclose(griffin_lim(target, jnp.asarray(true_phase), 4), wave, atol=1e-2)
