"""Iterating a map to its fixed point inside one compiled loop."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

_MOST_STEPS = 100_000


def discounted_fixpoint(
    step: Callable[[Array], Array],
    start: Float[Array, "..."],
    discount: float | Float[Array, ""],
    tolerance: float | Float[Array, ""],
) -> Float[Array, "..."]:
    """The fixed point of a contraction with factor γ in the largest norm, as value iteration has it.

    It stops when γ/(1 − γ) times the last change, which bounds the distance to the fixed point, is below the
    tolerance relative to the largest value, or when the last change is rounding.
    """
    rounding = 4 * jnp.finfo(start.dtype).eps
    enough = jnp.maximum(tolerance * (1.0 - discount) / discount, rounding).astype(start.dtype)

    def change_is_large(now: Array, before: Array) -> Array:
        scale = jnp.maximum(jnp.max(jnp.abs(now)), 1.0)
        return jnp.max(jnp.abs(now - before)) > enough * scale

    return _iterate(step, start, change_is_large)


def stationary_distribution(
    step: Callable[[Array], Array], start: Float[Array, "*P S"], tolerance: float | Float[Array, ""]
) -> Float[Array, "*P S"]:
    """A distribution that one step leaves as it is, reached from a start.

    Each iteration moves half of the crowd only, μ ← (μ + step(μ))/2: that has the same fixed points, and no
    period. It stops when an iteration moves less than the tolerance, or than rounding.
    """
    enough = jnp.maximum(tolerance, 4 * jnp.finfo(start.dtype).eps).astype(start.dtype)

    def lazily(now: Array) -> Array:
        following = 0.5 * (now + step(now))
        return following / jnp.sum(following, axis=-1, keepdims=True)

    return _iterate(lazily, start, lambda now, before: jnp.max(jnp.abs(now - before)) > enough)


def _iterate(step: Callable[[Array], Array], start: Array, going: Callable[[Array, Array], Array]) -> Array:
    def body(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        now, _, count = carry
        return step(now), now, count + 1

    def unfinished(carry: tuple[Array, Array, Array]) -> Array:
        now, before, count = carry
        return (count < _MOST_STEPS) & going(now, before)

    first = (step(start), start, jnp.ones((), jnp.int32))
    return jax.lax.while_loop(unfinished, body, first)[0]
