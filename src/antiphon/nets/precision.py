"""The number format of matrix products: weights and sums stay float32, factors may be bfloat16.

Recent server processors and every accelerator multiply bfloat16 matrices several times faster than float32
ones (1.1-1.4 against 0.3 TFLOP/s on two cores with AMX tiles). Older processors emulate the format and get
slower, so the choice is made from what the machine says of itself, and ``ANTIPHON_MATMUL=float32`` or
``=bfloat16`` overrides it.
"""

import functools
import os
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental.layout import Layout, with_layout_constraint
from jaxtyping import Array, Float

from antiphon.core.errors import UserError

_CHOICES = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}


@functools.cache
def matmul_dtype() -> Any:
    """The dtype of matrix factors on this machine: bfloat16 where the hardware multiplies it natively.

    Raises:
        UserError: ``ANTIPHON_MATMUL`` names an unknown format.
    """
    wanted = os.environ.get("ANTIPHON_MATMUL", "auto")
    if wanted in _CHOICES:
        return _CHOICES[wanted]
    if wanted != "auto":
        raise UserError(
            "config",
            f"ANTIPHON_MATMUL is {wanted!r}, which is no matrix format",
            "set it to auto, float32 or bfloat16",
        )
    if jax.default_backend() != "cpu":
        return jnp.bfloat16
    flags = Path("/proc/cpuinfo")
    native = flags.exists() and "amx_bf16" in flags.read_text(errors="replace")
    return jnp.bfloat16 if native else jnp.float32


def matmul(x: Float[Array, "*B d_in"], weight: Float[Array, "d_in d_out"]) -> Float[Array, "*B d_out"]:
    """``x @ weight`` with factors in :func:`matmul_dtype` and a float32 sum, forwards and backwards.

    Plain ``jnp.dot(bf16, bf16, preferred_element_type=f32)`` multiplies a float32 cotangent in its transpose,
    which falls back to the slow path; here the cotangent is rounded as well.
    """
    if matmul_dtype() == jnp.float32:
        return jnp.dot(x, weight.astype(jnp.float32))
    return _rounded_matmul(x, weight)


@jax.custom_vjp
def _rounded_matmul(x, weight):
    return jnp.dot(x.astype(jnp.bfloat16), weight.astype(jnp.bfloat16), preferred_element_type=jnp.float32)


def _forward(x, weight):
    low_x, low = x.astype(jnp.bfloat16), weight.astype(jnp.bfloat16)
    # Empty arrays of the arguments' dtypes tell the backward pass what its cotangents must be.
    likes = jnp.zeros((0,), x.dtype), jnp.zeros((0,), weight.dtype)
    return jnp.dot(low_x, low, preferred_element_type=jnp.float32), (low_x, low, *likes)


def _backward(residuals, g):
    x, weight, like_x, like_weight = residuals
    g = g.astype(jnp.bfloat16)
    dx = jnp.dot(g, _transposed(weight), preferred_element_type=jnp.float32)
    flat_x, flat_g = x.reshape(-1, x.shape[-1]), g.reshape(-1, g.shape[-1])
    dweight = jnp.dot(_transposed(flat_x), flat_g, preferred_element_type=jnp.float32)
    return dx.astype(like_x.dtype), dweight.astype(like_weight.dtype)


def _transposed(matrix):
    """``matrix.T`` laid out row by row.

    XLA would fold the transpose into the product, and its CPU kernel for a transposed bfloat16 factor is five
    times slower than copying the factor first.
    """
    if jax.default_backend() != "cpu":
        return matrix.T
    return with_layout_constraint(matrix.T, Layout(major_to_minor=(0, 1)))


_rounded_matmul.defvjp(_forward, _backward)
