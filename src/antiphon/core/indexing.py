"""Choosing entries by index, with gradients that are not scatters."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int


def pick(values: Float[Array, "*B V"], index: Int[Array, "*B"]) -> Float[Array, "*B"]:
    """``values[..., index]`` along the last axis: the log-probability of a token, say.

    The transpose of a gather is a scatter-add, which XLA runs index by index on CPUs. A masked sum reads the
    same numbers, and both it and its gradient fuse into the loops around them.

    Args:
        values: Entries that are not chosen may be infinite.
        index: In [0, V); anything else picks 0.
    """
    chosen = index[..., None] == jnp.arange(values.shape[-1])
    return jnp.sum(jnp.where(chosen, values, 0), axis=-1)
