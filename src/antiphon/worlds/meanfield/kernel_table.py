"""A kernel of any kind as a table of probabilities, for those who must look at every entry."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from antiphon.equilibrium.kernel import Kernel, expect


def kernel_table(kernel: Kernel, mean_field: Float[Array, "*P S"]) -> Float[Array, "*P S A S"]:
    """P(s' | s, a), the successor last: what is expected of being in s'.

    Args:
        kernel: dense or sparse in any way.
        mean_field: of the shape and precision that the kernel works on.
    """
    being = jnp.eye(mean_field.shape[-1], dtype=mean_field.dtype)

    def chance(one: Array) -> Array:
        return expect(kernel, jnp.broadcast_to(one, mean_field.shape))

    return jnp.moveaxis(jax.vmap(chance)(being), 0, -1)
