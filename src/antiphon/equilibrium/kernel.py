"""Where an action leads: a dense table of probabilities, or a few successors of each state and action."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, Int

from antiphon.equilibrium.diagonals import Diagonals, diagonals, expect_along, offsets_of, push_along

# Of a successor or a diagonal, in columns of a table: a gather and a scatter go one by one, shifts do not,
# and a product of matrices is the fastest of all. Measured on a CPU; a factor of two has no great effect.
_PRICE_OF_SUCCESSORS, _PRICE_OF_DIAGONALS = 16, 4


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Neighbours:
    """A sparse kernel: each state and action lead to at most K states.

    Attributes:
        states: successors, [*P, S, A, K]; one state may appear twice.
        probabilities: of each successor, [*P, S, A, K], rows sum to 1.
    """

    states: Int[Array, "*P S A K"]
    probabilities: Float[Array, "*P S A K"]


Kernel = Float[Array, "*P S A S"] | Neighbours | Diagonals
"""Dense ``[*P, S, A, S]`` with the successor last, or sparse; games return one of the first two."""


def push(kernel: Kernel, joint: Float[Array, "*P S A"]) -> Float[Array, "*P S"]:
    """The crowd one step on: μ'(s') = Σ_{s,a} joint(s, a) P(s' | s, a)."""
    if isinstance(kernel, Diagonals):
        return push_along(kernel, joint)
    if not isinstance(kernel, Neighbours):
        return jnp.einsum("...sa,...sax->...x", joint, kernel)
    mass = joint[..., None] * kernel.probabilities
    n_states = joint.shape[-2]

    def scatter(states: Array, mass: Array) -> Array:
        return jnp.zeros(n_states, mass.dtype).at[states.ravel()].add(mass.ravel())

    for _ in range(joint.ndim - 2):
        scatter = jax.vmap(scatter)
    return scatter(kernel.states, mass)


def expect(kernel: Kernel, value: Float[Array, "*P S"]) -> Float[Array, "*P S A"]:
    """What is expected of the next state: Σ_{s'} P(s' | s, a) value(s')."""
    if isinstance(kernel, Diagonals):
        return expect_along(kernel, value)
    if not isinstance(kernel, Neighbours):
        return jnp.einsum("...sax,...x->...sa", kernel, value)

    def gather(states: Array, value: Array) -> Array:
        return value[states]

    for _ in range(value.ndim - 1):
        gather = jax.vmap(gather)
    return jnp.sum(kernel.probabilities * gather(kernel.states, value), axis=-1)


def dense(kernel: Float[Array, "*P S A S"] | Neighbours, n_states: int) -> Float[Array, "*P S A S"]:
    """The table that a sparse kernel stands for; a dense one is returned as it is."""
    if not isinstance(kernel, Neighbours):
        return kernel
    hot = jax.nn.one_hot(kernel.states, n_states, dtype=kernel.probabilities.dtype)
    return jnp.sum(hot * kernel.probabilities[..., None], axis=-2)


def compact(kernel: Kernel) -> Kernel:
    """The same kernel as a table, as diagonals or as a list of successors, whichever is swept fastest.

    A kernel whose numbers are not known yet (inside a traced function) stays what it is.
    """
    if isinstance(kernel, Diagonals) or any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(kernel)):
        return kernel
    if isinstance(kernel, Neighbours):
        states, chances = np.asarray(kernel.states), np.asarray(kernel.probabilities)
    else:
        table = np.asarray(kernel)
        successors = int(np.max(np.sum(table > 0, axis=-1)))
        states = np.argsort(table <= 0, axis=-1, kind="stable")[..., :successors].astype(np.int32)
        chances = np.take_along_axis(table, states, axis=-1)
        # What has fewer successors elsewhere is filled up with chances of 0, which must not add distances.
        states = np.where(chances > 0, states, states[..., :1])
    prices = {
        Neighbours: _PRICE_OF_SUCCESSORS * states.shape[-1],
        Diagonals: _PRICE_OF_DIAGONALS * len(offsets_of(states)),
        None: states.shape[-3],
    }
    best = min(prices, key=lambda kind: prices[kind])
    if best is Diagonals:
        return diagonals(states, chances)
    if best is Neighbours:
        return Neighbours(jnp.asarray(states), jnp.asarray(chances))
    return dense(kernel, states.shape[-3])


def cast(kernel: Kernel, dtype: jnp.dtype) -> Kernel:
    """The kernel with probabilities of another precision."""
    return jax.tree.map(
        lambda leaf: leaf.astype(dtype) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf, kernel
    )
