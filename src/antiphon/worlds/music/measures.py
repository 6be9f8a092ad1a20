"""What a musician would hear first: key, mode, chords, beat, loudness, silence. Measured, not learned.

Every measure takes a batch and returns one number per clip; where a clip gives no ground for one (nothing
sounds), it is ``nan``. Pitch measures read the note posteriors of :mod:`antiphon.worlds.music.transcription`,
because the peaks of a plain spectrum are full of harmonics that lie outside the scale.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from antiphon.worlds.music.transcription import LOWEST_PITCH

_MAJOR_SCALE = (0, 2, 4, 5, 7, 9, 11)
# Ratings of how well each degree fits a key: Krumhansl and Kessler, Psychological Review 89 (1982), as
# printed in Krumhansl, "Cognitive Foundations of Musical Pitch" (1990), p. 30.
_MAJOR_PROFILE = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
_MINOR_PROFILE = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)
_FLOOR_DB = -120.0


@dataclass(frozen=True)
class KeyEstimate:
    """The best key of every clip.

    Attributes:
        tonic: pitch class, 0 = C .. 11 = B, ``[B]``.
        minor: whether the mode is minor, ``[B]``.
        correlation: of pitch classes and key profile, -1..1, ``nan`` without notes, ``[B]``.
    """

    tonic: Int[np.ndarray, " B"]
    minor: Bool[np.ndarray, " B"]
    correlation: Float[np.ndarray, " B"]


def pitch_class_activity(
    notes: Float[np.ndarray, "B T 88"], floor: float = 0.13
) -> Float[np.ndarray, "B 12"]:
    """Note activity per pitch class (0 = C): what posteriors exceed ``floor``, over frames and octaves.

    In silence the network answers 0.11 everywhere, so a lower floor would count silence. A high one would
    leave so few frames of noise that chance alone puts them into one scale.
    """
    activity = np.maximum(notes - floor, 0.0).sum(axis=1, dtype=np.float64)
    classes = (np.arange(activity.shape[1]) + LOWEST_PITCH) % 12
    return activity @ (classes[:, None] == np.arange(12))


def in_key_ratio(notes: Float[np.ndarray, "B T 88"], floor: float = 0.13) -> Float[np.ndarray, " B"]:
    """Share of the note activity inside the best of the twelve diatonic scales, 7/12..1.

    Evenly spread pitches give 7/12 = 0.58, white noise measures 0.65, rendered tunes in one key 0.98. A
    natural minor scale is diatonic, the raised seventh degree of the harmonic minor is not. ``nan`` where
    nothing sounds.
    """
    activity = pitch_class_activity(notes, floor)
    scales = np.array([[(c - tonic) % 12 in _MAJOR_SCALE for tonic in range(12)] for c in range(12)], float)
    return _ratio((activity @ scales).max(axis=1), activity.sum(axis=1))


def estimate_key(notes: Float[np.ndarray, "B T 88"], floor: float = 0.13) -> KeyEstimate:
    """Key and mode by the Krumhansl-Schmuckler rule.

    The key whose profile correlates best with the pitch classes wins. A key and its relative (C major, A
    minor) share their notes and are told apart by which notes last longest, so the mode of a five-second clip
    is a noisy vote.
    """
    activity = pitch_class_activity(notes, floor)
    profiles = np.array([np.roll(p, tonic) for p in (_MAJOR_PROFILE, _MINOR_PROFILE) for tonic in range(12)])
    a = activity - activity.mean(axis=1, keepdims=True)
    p = profiles - profiles.mean(axis=1, keepdims=True)
    correlation = _ratio(a @ p.T, np.linalg.norm(a, axis=1)[:, None] * np.linalg.norm(p, axis=1))
    best = np.argmax(np.nan_to_num(correlation, nan=-2.0), axis=1)
    return KeyEstimate(best % 12, best >= 12, correlation[np.arange(len(best)), best])


def mean_polyphony(notes: Float[np.ndarray, "B T 88"], threshold: float = 0.3) -> Float[np.ndarray, " B"]:
    """Mean number of sounding pitches, over the frames in which any sounds; ``nan`` where none does.

    Overtones that the network takes for notes count too: a single voice measures about 1.5.
    """
    sounding = (notes >= threshold).sum(axis=2)
    return _ratio(sounding.sum(axis=1), (sounding > 0).sum(axis=1))


def loudness(wave: Float[np.ndarray, "B N"]) -> Float[np.ndarray, " B"]:
    """Root mean square in dB relative to full scale, at least -120.

    A square wave of amplitude 1 has 0 dB, a sine -3.01 dB.
    """
    return _decibels(np.mean(np.square(wave, dtype=np.float64), axis=1))


def silence_share(
    wave: Float[np.ndarray, "B N"], sample_rate: int, threshold_db: float = -50.0, frame_seconds: float = 0.04
) -> Float[np.ndarray, " B"]:
    """Share of frames whose RMS lies below ``threshold_db`` dBFS, 0..1; an incomplete frame is left out."""
    size = round(frame_seconds * sample_rate)
    count = max(1, wave.shape[1] // size)
    frames = wave[:, : count * size].reshape(len(wave), count, -1)
    return np.mean(_decibels(np.mean(np.square(frames, dtype=np.float64), axis=2)) < threshold_db, axis=1)


def brightness(wave: Float[np.ndarray, "B N"], sample_rate: int, size: int = 1024) -> Float[np.ndarray, " B"]:
    """Spectral centroid in Hz: mean frequency weighted by magnitude over all frames; ``nan`` for silence."""
    if wave.shape[1] < size:
        wave = np.pad(wave, ((0, 0), (0, size - wave.shape[1])))
    window = np.hanning(size + 1)[:-1].astype(np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(wave, size, axis=1)[:, :: size // 2]
    weight = np.abs(np.fft.rfft(frames * window, axis=2)).sum(axis=1)
    return _ratio(weight @ (np.arange(size // 2 + 1) * (sample_rate / size)), weight.sum(axis=1))


def _decibels(power: np.ndarray) -> np.ndarray:
    return 10.0 * np.log10(np.maximum(power, 10 ** (_FLOOR_DB / 10)))


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """``part / whole``, nan where the whole is zero."""
    part, whole = np.broadcast_arrays(np.asarray(part, float), np.asarray(whole, float))
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)
