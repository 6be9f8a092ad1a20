"""Choosing entries by index."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int


def pick(values: Float[Array, "*B V"], index: Int[Array, "*B"]) -> Float[Array, "*B"]:
    """``values[..., index]`` along the last axis: the log-probability of a token, say.

    A masked sum instead of a gather: it and its gradient fuse into the loops around them, and entries that
    are not chosen get a gradient of zero even where they are infinite.

    Args:
        values: Entries that are not chosen may be infinite.
        index: In [0, V); anything else picks 0.
    """
    chosen = index[..., None] == jnp.arange(values.shape[-1])
    return jnp.sum(jnp.where(chosen, values, 0), axis=-1)
