"""Random columns for a whole batch from one key: a small fast stream for each environment."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from antiphon.worlds.platform.columns import side_by_side


class Draws:
    """Uniform columns [N], as many as are asked for, all from one key.

    Threefry gives each environment 64 fresh bits; from these a SplitMix stream (counter times an odd
    increment of the environment's own, then an avalanche) makes the columns. A column costs a tenth of what
    hashing each number with Threefry would, and simulators draw dozens per step.

    Source: Steele, Lea, Flood 2014 (SplitMix); the avalanche is that of MurmurHash3.
    """

    def __init__(self, key: Key[Array, ""], envs: int) -> None:
        self._word, gamma = jax.random.bits(key, (2, envs), jnp.uint32)
        self._gamma = gamma | jnp.uint32(1)

    def uniform(self, low: float | Array = 0.0, high: float | Array = 1.0) -> Float[Array, "N"]:
        """The next column, in [low, high)."""
        self._word = self._word + self._gamma
        bits = self._word
        bits = (bits ^ (bits >> 16)) * jnp.uint32(0x85EBCA6B)
        bits = (bits ^ (bits >> 13)) * jnp.uint32(0xC2B2AE35)
        bits = bits ^ (bits >> 16)
        # 23 bits are the mantissa of a number in [1, 2): no division, and every value is equally likely.
        unit = jax.lax.bitcast_convert_type((bits >> 9) | jnp.uint32(0x3F800000), jnp.float32) - 1.0
        return low + (high - low) * unit

    def symmetric(self, half_width: float | Array) -> Float[Array, "N"]:
        """The next column, in [−half_width, half_width)."""
        return self.uniform(-half_width, half_width)

    def angle(self) -> Float[Array, "N"]:
        """The next column, in [−π, π)."""
        return self.symmetric(math.pi)

    def columns(self, count: int, half_width: float | Array) -> Float[Array, "N count"]:
        """The next `count` symmetric columns, side by side."""
        return side_by_side(*(self.symmetric(half_width) for _ in range(count)))
