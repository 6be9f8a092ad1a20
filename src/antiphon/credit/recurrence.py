"""The one recurrence under every return, trace and advantage: x_t = a_t x_{t±1} + b_t.

Two evaluations give the same answer and the same gradients. A sequential scan does T multiply-adds one after
another and is the faster on a CPU; an associative scan composes the affine maps in log T rounds and is the
faster where there are more lanes than steps. "auto" decides by platform when the function is traced.
"""

from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Backend = Literal["auto", "scan", "associative"]

# Shorter than this the log T rounds of the associative scan are not fewer launches than the loop itself.
_SHORTEST_ASSOCIATIVE = 16


def reverse_affine(
    a: Float[Array, "T *#B"],
    b: Float[Array, "T *#B"],
    init: float | Float[Array, "*B"] = 0.0,
    backend: Backend = "auto",
) -> Float[Array, "T *B"]:
    """Backwards in time: x_t = a_t x_{t+1} + b_t, with x_T = init.

    Args:
        a: factors, time first; a and b broadcast against each other.
        b: offsets, time first.
        init: the value after the last step.
        backend: "scan", "associative", or "auto" (scan on a CPU, associative elsewhere).

    Returns:
        x_0 … x_{T−1}.
    """
    return _affine(a, b, init, backend, reverse=True)


def forward_affine(
    a: Float[Array, "T *#B"],
    b: Float[Array, "T *#B"],
    init: float | Float[Array, "*B"] = 0.0,
    backend: Backend = "auto",
) -> Float[Array, "T *B"]:
    """Forwards in time: x_t = a_t x_{t−1} + b_t, with x_{−1} = init; arguments as in `reverse_affine`."""
    return _affine(a, b, init, backend, reverse=False)


def _affine(
    a: Float[Array, "T *#B"],
    b: Float[Array, "T *#B"],
    init: float | Float[Array, "*B"],
    backend: Backend,
    reverse: bool,
) -> Float[Array, "T *B"]:
    a, b = jnp.broadcast_arrays(a, b)
    dtype = jnp.result_type(a, b)
    a, b = a.astype(dtype), b.astype(dtype)
    start = jnp.broadcast_to(jnp.asarray(init, dtype), b.shape[1:])
    if backend == "auto":
        sequential = jax.default_backend() == "cpu" or b.shape[0] < _SHORTEST_ASSOCIATIVE
        backend = "scan" if sequential else "associative"
    if backend == "scan":
        return _by_scan(a, b, start, reverse)
    return _by_associative_scan(a, b, start, reverse)


def _by_scan(
    a: Float[Array, "T *B"], b: Float[Array, "T *B"], start: Float[Array, "*B"], reverse: bool
) -> Float[Array, "T *B"]:
    def step(x: Array, coefficients: tuple[Array, Array]) -> tuple[Array, Array]:
        a_t, b_t = coefficients
        x = a_t * x + b_t
        return x, x

    return jax.lax.scan(step, start, (a, b), reverse=reverse)[1]


def _by_associative_scan(
    a: Float[Array, "T *B"], b: Float[Array, "T *B"], start: Float[Array, "*B"], reverse: bool
) -> Float[Array, "T *B"]:
    def compose(first: tuple[Array, Array], then: tuple[Array, Array]) -> tuple[Array, Array]:
        # then ∘ first: x ↦ a₂(a₁x + b₁) + b₂
        return then[0] * first[0], then[0] * first[1] + then[1]

    factor, offset = jax.lax.associative_scan(compose, (a, b), reverse=reverse, axis=0)
    return factor * start + offset
