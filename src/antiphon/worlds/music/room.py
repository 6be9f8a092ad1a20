"""A small synthetic room: decaying noise as the impulse response."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float32
from scipy.signal import fftconvolve

from antiphon.core.errors import UserError


@dataclass(frozen=True)
class Room:
    """Reverberation: the dry sound plus its convolution with noise that falls 60 dB in `decay_seconds`.

    Attributes:
        decay_seconds: reverberation time (RT60), 0.05 to 5.
        wet: factor 0..1 on the reverberation; at 1 it has about the energy of the dry sound.
        predelay_seconds: silence before the first reflection.
        seed: draws the noise; another seed is another room of the same size.
    """

    decay_seconds: float = 0.4
    wet: float = 0.2
    predelay_seconds: float = 0.008
    seed: int = 0

    def __post_init__(self) -> None:
        for name, low, high in (("decay_seconds", 0.05, 5), ("wet", 0, 1), ("predelay_seconds", 0, 0.2)):
            value = getattr(self, name)
            if not low <= value <= high:
                raise UserError("field", f"room.{name} is {value}", f"keep it between {low} and {high}")

    def apply(self, clip: Float32[np.ndarray, " T"], sample_rate: int) -> Float32[np.ndarray, " T"]:
        """The clip with the room's tail added; the length stays, a tail beyond the end is cut."""
        wet = fftconvolve(clip, self.response(sample_rate))[: len(clip)]
        return (clip + np.float32(self.wet) * wet).astype(np.float32)

    def response(self, sample_rate: int) -> Float32[np.ndarray, " R"]:
        """The impulse response without the direct sound, of unit energy."""
        return _response(self.decay_seconds, self.predelay_seconds, self.seed, sample_rate)


@lru_cache(maxsize=16)
def _response(decay: float, predelay: float, seed: int, rate: int) -> np.ndarray:
    n = round(decay * rate)
    noise = np.random.default_rng(seed).standard_normal(n)
    # From white towards a short moving average with time: walls swallow high frequencies first.
    smooth = np.convolve(noise, np.ones(4) / 2.0)[:n]
    share = np.linspace(0.0, 1.0, n)
    noise = (1.0 - share) * noise + share * smooth
    tail = noise * 10.0 ** (-3.0 * np.arange(n) / n)
    tail /= np.sqrt(np.sum(tail**2))
    response = np.concatenate((np.zeros(round(predelay * rate)), tail)).astype(np.float32)
    response.flags.writeable = False
    return response
