"""Time and frequency: short-time Fourier transform, its inverse, mel bands, phase from magnitude.

Everything is 16 kHz mono. The codec's frame is 640 samples (25 Hz); a spectrum frame is 320 samples (50 Hz)
with a window of 1280, so overlap-add is a reshape and four shifted sums.
"""

import functools
import operator

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

SAMPLE_RATE = 16_000
HOP = 320
WINDOW = 1280
BINS = WINDOW // 2 + 1


@functools.cache
def hann(size: int) -> np.ndarray:
    """Periodic Hann window ``[size]``."""
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)).astype(np.float32)


def frame_signal(wave: Float[Array, "B N"], size: int, hop: int) -> Float[Array, "B F size"]:
    """Frames centred on ``hop * (f + 1/2)`` of the zero-padded signal; ``F = N // hop``, the rest is unused.

    Where ``size`` and ``N`` are multiples of ``hop`` the frames are shifted views joined, else they are
    gathered.
    """
    before = (size - hop) // 2
    padded = jnp.pad(wave, ((0, 0), (before, size - hop - before)))
    count = wave.shape[1] // hop
    if size % hop or padded.shape[1] % hop:
        starts = np.arange(count) * hop
        return padded[:, starts[:, None] + np.arange(size)[None]]
    chunks = padded.reshape(padded.shape[0], -1, hop)
    return jnp.concatenate([chunks[:, i : i + count] for i in range(size // hop)], axis=-1)


def stft(wave: Float[Array, "B N"], size: int = WINDOW, hop: int = HOP) -> Complex[Array, "B F K"]:
    """Hann-windowed spectrum, ``K = size / 2 + 1`` bins; frame ``f`` is centred on ``hop * (f + 1/2)``.

    Scaled by ``1 / sqrt(size)``, so that noise has the same level at every window size and a floor of 0.01
    lies about 60 dB below a full-scale sine: fainter detail is inaudible, and models that are made to
    reproduce it learn nothing else.
    """
    return jnp.fft.rfft(frame_signal(wave, size, hop) * hann(size), axis=-1, norm="ortho")


def istft(spectrum: Complex[Array, "B F K"]) -> Float[Array, "B N"]:
    """Least-squares inverse of :func:`stft` at the default sizes, ``N = F * HOP``.

    ``x = sum_f shift_f(w * irfft(S_f)) / sum_f shift_f(w^2)`` (Griffin and Lim, IEEE TASSP 32(2), 1984, eq.
    6).
    """
    frames = jnp.fft.irfft(spectrum, n=WINDOW, axis=-1, norm="ortho") * hann(WINDOW)
    batch, count = frames.shape[:2]
    blocks = WINDOW // HOP
    quarters = frames.reshape(batch, count, blocks, HOP)
    shifted = [jnp.pad(quarters[:, :, i], ((0, 0), (i, blocks - 1 - i), (0, 0))) for i in range(blocks)]
    wave = functools.reduce(operator.add, shifted).reshape(batch, -1)
    before = (WINDOW - HOP) // 2
    return wave[:, before : before + count * HOP] / _overlap_weight(count)


@functools.cache
def _overlap_weight(count: int) -> np.ndarray:
    """Sum of the squared windows over each sample of ``count`` frames: 1.5, at the very ends 0.73 or more."""
    weight = np.zeros((count - 1) * HOP + WINDOW, np.float64)
    for f in range(count):
        weight[f * HOP : f * HOP + WINDOW] += hann(WINDOW).astype(np.float64) ** 2
    before = (WINDOW - HOP) // 2
    return weight[before : before + count * HOP].astype(np.float32)


@functools.cache
def mel_matrix(bands: int, size: int, low: float = 30.0, high: float = 8000.0) -> np.ndarray:
    """Triangular filters ``[size / 2 + 1, bands]`` of unit peak, evenly spaced in HTK mels, none empty."""
    mel = np.linspace(2595 * np.log10(1 + low / 700), 2595 * np.log10(1 + high / 700), bands + 2)
    edges = 700 * (10 ** (mel / 2595) - 1)
    step = SAMPLE_RATE / size
    bins = np.arange(size // 2 + 1) * step
    # A filter narrower than one bin would catch nothing: widen the low ones to one bin on either side.
    left = np.minimum(edges[:-2], edges[1:-1] - step)
    right = np.maximum(edges[2:], edges[1:-1] + step)
    rising = (bins[:, None] - left) / (edges[1:-1] - left)
    falling = (right - bins[:, None]) / (right - edges[1:-1])
    return np.maximum(0.0, np.minimum(rising, falling)).astype(np.float32)


def log_mel(
    wave: Float[Array, "B N"], bands: int = 80, size: int = 1024, hop: int = HOP
) -> Float[Array, "B F bands"]:
    """``log(mel(|STFT|) + 0.01)``, natural logarithm; from -4.6 (silence) to about +2.5."""
    return jnp.log(jnp.dot(magnitude(stft(wave, size, hop)), mel_matrix(bands, size)) + 0.01)


def magnitude(spectrum: Complex[Array, "*shape"]) -> Float[Array, "*shape"]:
    """``|z|`` with a gradient that stays finite at zero (there the value is 3e-5)."""
    return jnp.sqrt(jnp.real(spectrum) ** 2 + jnp.imag(spectrum) ** 2 + 1e-9)


def griffin_lim(
    target: Float[Array, "B F K"], phase: Complex[Array, "B F K"], iterations: int, momentum: float = 0.99
) -> Float[Array, "B N"]:
    """A signal whose spectrum has about the magnitude ``target``; ``phase`` is a first guess, unit phasors.

    Fast Griffin-Lim (Perraudin, Balazs and Sondergaard, WASPAA 2013).
    """

    def unit(z):
        return z / jnp.maximum(magnitude(z), 1e-6)

    def step(carry, _):
        phasor, previous = carry
        projected = stft(istft(target * phasor))
        return (unit(projected + momentum * (projected - previous)), projected), None

    start = (phase, target * phase)
    (phase, _), _ = jax.lax.scan(step, start, None, length=iterations)
    return istft(target * phase)
