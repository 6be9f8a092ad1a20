"""Where an action leads: a dense table of probabilities, or a few successors of each state and action."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int


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


Kernel = Float[Array, "*P S A S"] | Neighbours
"""Dense ``[*P, S, A, S]`` with the successor last, or sparse."""


def push(kernel: Kernel, joint: Float[Array, "*P S A"]) -> Float[Array, "*P S"]:
    """The crowd one step on: μ'(s') = Σ_{s,a} joint(s, a) P(s' | s, a)."""
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
    if not isinstance(kernel, Neighbours):
        return jnp.einsum("...sax,...x->...sa", kernel, value)

    def gather(states: Array, value: Array) -> Array:
        return value[states]

    for _ in range(value.ndim - 1):
        gather = jax.vmap(gather)
    return jnp.sum(kernel.probabilities * gather(kernel.states, value), axis=-1)


def dense(kernel: Kernel, n_states: int) -> Float[Array, "*P S A S"]:
    """The table that a sparse kernel stands for; a dense one is returned as it is."""
    if not isinstance(kernel, Neighbours):
        return kernel
    hot = jax.nn.one_hot(kernel.states, n_states, dtype=kernel.probabilities.dtype)
    return jnp.sum(hot * kernel.probabilities[..., None], axis=-2)
