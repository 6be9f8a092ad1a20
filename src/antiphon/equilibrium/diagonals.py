"""Kernels whose moves are a few distances between state numbers: shifts, done many numbers at a time."""

from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Diagonals:
    """A sparse kernel whose successors are s + offset for a few offsets; made by :func:`diagonals`.

    Attributes:
        leaving: P(s + offset_d | s, a), 0 outside of the states, [*P, D, S, A].
        entering: P(s | s − offset_d, a), 0 outside of the states, [*P, D, S, A].
        offsets: D of them.
    """

    leaving: Float[Array, "*P D S A"]
    entering: Float[Array, "*P D S A"]
    offsets: tuple[int, ...] = field(metadata={"static": True})


def offsets_of(states: np.ndarray) -> np.ndarray:
    """The distances that occur in successors [*P, S, A, K], increasing."""
    return np.unique(states - np.arange(states.shape[-3])[:, None, None])


def diagonals(states: np.ndarray, probabilities: np.ndarray) -> Diagonals:
    """The kernel of successors [*P, S, A, K] and their probabilities."""
    offsets = offsets_of(states)
    n_states, n_actions = states.shape[-3:-1]
    which = np.searchsorted(offsets, states - np.arange(n_states)[:, None, None])
    leaving = np.zeros((*states.shape[:-3], len(offsets), n_states, n_actions), probabilities.dtype)
    entering = np.zeros_like(leaving)
    *batch, here, action, _ = np.indices(states.shape)
    np.add.at(leaving, (*batch, which, here, action), probabilities)
    np.add.at(entering, (*batch, which, states, action), probabilities)
    return Diagonals(jnp.asarray(leaving), jnp.asarray(entering), tuple(int(o) for o in offsets))


def push_along(kernel: Diagonals, joint: Float[Array, "*P S A"]) -> Float[Array, "*P S"]:
    """μ'(s) = Σ_d Σ_a joint(s − offset_d, a) P(s | s − offset_d, a)."""
    n_states, reach = joint.shape[-2], max(map(abs, kernel.offsets))
    padded = jnp.pad(joint, [(0, 0)] * (joint.ndim - 2) + [(reach, reach), (0, 0)])
    arrived = jnp.zeros_like(joint)
    for place, offset in enumerate(kernel.offsets):
        source = jax.lax.slice_in_dim(padded, reach - offset, reach - offset + n_states, axis=-2)
        arrived = arrived + source * kernel.entering[..., place, :, :]
    return jnp.sum(arrived, axis=-1)


def expect_along(kernel: Diagonals, value: Float[Array, "*P S"]) -> Float[Array, "*P S A"]:
    """Σ_d P(s + offset_d | s, a) value(s + offset_d)."""
    n_states, reach = value.shape[-1], max(map(abs, kernel.offsets))
    padded = jnp.pad(value, [(0, 0)] * (value.ndim - 1) + [(reach, reach)])
    found = jnp.zeros((*value.shape, kernel.leaving.shape[-1]), value.dtype)
    for place, offset in enumerate(kernel.offsets):
        target = jax.lax.slice_in_dim(padded, reach + offset, reach + offset + n_states, axis=-1)
        found = found + target[..., None] * kernel.leaving[..., place, :, :]
    return found
