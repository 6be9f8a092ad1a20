"""Beginning anew inside a step: environments that are done take the place of a fresh one."""

from typing import TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool

Batch = TypeVar("Batch")


def begun_anew(done: Bool[Array, "N"], fresh: Batch, going: Batch) -> Batch:
    """`fresh` where done, else `going`, in every leaf [N, …] of two trees of one structure.

    Leaves without axes belong to the whole batch, such as its clock; they are those of `fresh`.
    """

    def pick(new: Array, old: Array) -> Array:
        if not old.ndim:
            return new
        return jnp.where(done.reshape(done.shape + (1,) * (old.ndim - 1)), new, old)

    return jax.tree.map(pick, fresh, going)
