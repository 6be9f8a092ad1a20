"""A log-mel picture of a clip: what was played when, and how high."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from antiphon.report.colour import amount_ramp
from antiphon.report.png import encode_png

DYNAMIC_RANGE_DB = 75.0
WINDOW_SECONDS = 0.064
BANDS = 112
WIDTH_MAX = 480
LOWEST_HZ = 40.0


@dataclass(frozen=True)
class Spectrogram:
    """A picture and the scales of its sides.

    Attributes:
        png: the image, time to the right and frequency upwards on a mel scale.
        seconds: length of the clip, s.
        low_hz: frequency at the bottom, Hz.
        high_hz: frequency at the top, Hz.
    """

    png: bytes
    seconds: float
    low_hz: float
    high_hz: float

    def height_of(self, hertz: float) -> float:
        """Where a frequency lies, from 0 at the bottom to 1 at the top."""
        low, high = hertz_to_mel(self.low_hz), hertz_to_mel(self.high_hz)
        return float((hertz_to_mel(hertz) - low) / (high - low))


def hertz_to_mel(hertz: Float[np.ndarray, "..."] | float) -> Float[np.ndarray, "..."]:
    """``2595 log10(1 + f / 700)``, the mel scale of O'Shaughnessy (1987)."""
    return 2595.0 * np.log10(1.0 + np.asarray(hertz, dtype=np.float64) / 700.0)


def mel_to_hertz(mel: Float[np.ndarray, "..."] | float) -> Float[np.ndarray, "..."]:
    """The inverse of :func:`hertz_to_mel`."""
    return 700.0 * (10.0 ** (np.asarray(mel, dtype=np.float64) / 2595.0) - 1.0)


def mel_bands(bins_hz: Float[np.ndarray, " F"], low_hz: float, high_hz: float) -> Float[np.ndarray, "B F"]:
    """Triangular filters with centres equally spaced in mel, each normalised to weights that sum to one.

    A filter narrower than the spacing of the bins would be empty and draw a black line, so every triangle
    is at least one bin wide on either side.
    """
    edges = mel_to_hertz(np.linspace(hertz_to_mel(low_hz), hertz_to_mel(high_hz), BANDS + 2))
    spacing = bins_hz[1] - bins_hz[0]
    centre = edges[1:-1, None]
    below = np.maximum(centre - edges[:-2, None], spacing)
    above = np.maximum(edges[2:, None] - centre, spacing)
    rising = 1.0 - (centre - bins_hz) / below
    falling = 1.0 - (bins_hz - centre) / above
    weights = np.clip(np.minimum(rising, falling), 0.0, None)
    return weights / weights.sum(axis=1, keepdims=True)


def log_mel(samples: Float[np.ndarray, " T"], rate: int) -> Float[np.ndarray, "B W"]:
    """Power in mel bands in dB re a full-scale sine, lowest band first, at most ``WIDTH_MAX`` columns.

    Args:
        samples: mono, in [-1, 1].
        rate: sampling rate, Hz.
    """
    window_length = 2 ** int(np.ceil(np.log2(WINDOW_SECONDS * rate)))
    padded = np.pad(samples, (window_length // 2, window_length // 2))
    # A hop at least a sixteenth of the window: a very short clip gets fewer columns, not empty detail.
    columns = int(np.clip(16 * len(samples) / window_length, 2, WIDTH_MAX))
    starts = np.linspace(0, len(samples), columns).astype(int)
    starts = np.minimum(starts, len(padded) - window_length)
    window = np.hanning(window_length)
    frames = padded[starts[:, None] + np.arange(window_length)] * window
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2 / (window.sum() / 2) ** 2
    bins_hz = np.fft.rfftfreq(window_length, 1 / rate)
    bands = mel_bands(bins_hz, LOWEST_HZ, rate / 2)
    return 10.0 * np.log10(np.maximum(bands @ power.T, 1e-12))


def spectrogram(samples: Float[np.ndarray, " T"], rate: int, ceiling_db: float | None = None) -> Spectrogram:
    """Draws a clip.

    Args:
        samples: mono, in [-1, 1].
        rate: sampling rate, Hz.
        ceiling_db: the level drawn brightest; the loudest point of this clip if not given. Clips to be
            compared should share one.
    """
    levels = log_mel(samples, rate)
    top = float(levels.max()) if ceiling_db is None else ceiling_db
    # Digital silence has no loudest point: below -100 dB everything is drawn dark.
    top = max(top, -100.0 + DYNAMIC_RANGE_DB)
    amount = np.clip((levels - top) / DYNAMIC_RANGE_DB + 1.0, 0.0, 1.0)
    picture = np.round(255 * amount).astype(np.uint8)[::-1]
    return Spectrogram(encode_png(picture, amount_ramp()), len(samples) / rate, LOWEST_HZ, rate / 2)
