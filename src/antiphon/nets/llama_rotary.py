"""Rotary frequencies of the Llama family, and the scalings that stretch them to longer contexts.

Every scaling is a record with ``frequencies(plain, base) -> [w/2]`` and ``gain``, a factor on queries and
keys alike. Pairs are ``(i, i + w/2)``, the convention of Hugging Face folders.
"""

import math
from dataclasses import dataclass
from typing import TypeAlias

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from antiphon.core.errors import UserError


@dataclass(frozen=True)
class LinearScaling:
    """Positions divided by ``factor`` (arXiv 2306.15595)."""

    factor: float

    gain = 1.0

    def frequencies(self, plain: np.ndarray, base: float) -> np.ndarray:
        """``plain / factor``."""
        del base
        return plain / self.factor


@dataclass(frozen=True)
class Llama3Scaling:
    """Low frequencies divided by ``factor``, high ones kept, a straight line between (Llama 3.1).

    Attributes:
        factor: how much the context was stretched.
        low: wavelengths above ``original / low`` are stretched fully.
        high: wavelengths below ``original / high`` are kept.
        original: context before stretching.
    """

    factor: float
    low: float
    high: float
    original: int

    gain = 1.0

    def frequencies(self, plain: np.ndarray, base: float) -> np.ndarray:
        """With ``s = clip((original f / 2π − low) / (high − low), 0, 1)``: ``((1 − s) / factor + s) f``."""
        del base
        turns = self.original * plain / (2 * math.pi)
        kept = np.clip((turns - self.low) / (self.high - self.low), 0.0, 1.0)
        return ((1 - kept) / self.factor + kept) * plain


@dataclass(frozen=True)
class YarnScaling:
    """YaRN: stretch by part, and sharpen attention (arXiv 2309.00071, section 3).

    Attributes:
        factor: how much the context was stretched.
        original: context before stretching.
        gain: factor on queries and keys; :func:`yarn_gain` is the paper's.
        fast: pairs that turn more often than this within the original context are kept.
        slow: pairs that turn less often are stretched fully.
        truncate: whether the borders between them are whole pairs.
    """

    factor: float
    original: int
    gain: float
    fast: float = 32.0
    slow: float = 1.0
    truncate: bool = True

    def frequencies(self, plain: np.ndarray, base: float) -> np.ndarray:
        """``(ramp / factor + (1 − ramp)) f`` with a ramp from 0 to 1 over the pairs."""
        width = 2 * len(plain)

        def pair_turning(times: float) -> float:
            return width * math.log(self.original / (times * 2 * math.pi)) / (2 * math.log(base))

        first, last = pair_turning(self.fast), pair_turning(self.slow)
        if self.truncate:
            first, last = math.floor(first), math.ceil(last)
        first, last = max(first, 0), min(last, width - 1)
        ramp = np.clip((np.arange(len(plain)) - first) / max(last - first, 1e-3), 0.0, 1.0)
        return (ramp / self.factor + 1 - ramp) * plain


@dataclass(frozen=True)
class TableScaling:
    """Every frequency divided by a number of its own, as GGUF files have it.

    Attributes:
        factors: one for each pair, w/2.
        gain: factor on queries and keys.
    """

    factors: tuple[float, ...]
    gain: float = 1.0

    def frequencies(self, plain: np.ndarray, base: float) -> np.ndarray:
        """``plain / factors``.

        Raises:
            UserError: there are not as many factors as pairs.
        """
        del base
        if len(self.factors) != len(plain):
            raise UserError(
                "config",
                f"{len(self.factors)} rotary factors for {len(plain)} pairs",
                "give one for each pair",
            )
        return plain / np.asarray(self.factors)


Scaling: TypeAlias = LinearScaling | Llama3Scaling | YarnScaling | TableScaling


def yarn_gain(factor: float, strength: float = 1.0) -> float:
    """``0.1 strength ln(factor) + 1`` for a stretched context, else 1."""
    return 0.1 * strength * math.log(factor) + 1.0 if factor > 1 else 1.0


def turns(
    positions: Int[Array, "*T"], width: int, base: float, scaling: Scaling | None
) -> Float[Array, "*T w"]:
    """Cosines, then sines, of the angles by which :func:`antiphon.nets.transformer.rotate` turns pairs.

    Args:
        positions: from 0.
        width: features of a head, w.
        base: of the frequencies ``base^(−2i/w)``.
        scaling: stretches them; ``None`` keeps them.
    """
    frequency = base ** (-np.arange(0, width, 2) / width)
    gain = 1.0
    if scaling is not None:
        frequency, gain = scaling.frequencies(frequency, base), scaling.gain
    angle = positions[..., None].astype(jnp.float32) * jnp.asarray(frequency, jnp.float32)
    return gain * jnp.concatenate([jnp.cos(angle), jnp.sin(angle)], axis=-1)
