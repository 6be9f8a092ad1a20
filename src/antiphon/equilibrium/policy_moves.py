"""Where players of one policy go: the kernel with their actions chosen, a small matrix for each time.

A sweep over time is a chain of steps too small to keep a processor busy. With the actions summed out for all
times at once, what is left in the chain is one product of a matrix and a vector.
"""

import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from antiphon.equilibrium.diagonals import Diagonals
from antiphon.equilibrium.kernel import Kernel, Neighbours

_MOST_NUMBERS = (
    1 << 22
)  # Of all matrices together; beyond that the memory they fill costs more than they save.


@dataclass(frozen=True)
class PolicyMoves:
    """P_t^π(s' | s) = Σ_a π_t(a|s) P_t(s' | s, a) at all times; made by :func:`policy_moves`.

    Attributes:
        leaving: as a table [T, *P, S, S], or along diagonals: P^π(s + offset_d | s), [T, *P, D, S].
        offsets: D of them; None for a table.
    """

    leaving: Float[Array, "T *P D S"]
    offsets: tuple[int, ...] | None

    def follow(self, start: Float[Array, "*P S"]) -> Float[Array, "T *P S"]:
        """Where the players are at each time: μ_{t+1} = μ_t P_t^π."""
        if self.offsets is None:

            def step(now: Array, moves: Array) -> tuple[Array, Array]:
                return jnp.einsum("...s,...sx->...x", now, moves), now

            return jax.lax.scan(step, start, self.leaving)[1]
        reach, size = _reach(self.offsets), start.shape[-1]
        padded = _pad(self.leaving, reach)
        arriving = [
            padded[..., place, reach - offset : reach - offset + size]
            for place, offset in enumerate(self.offsets)
        ]

        def shift(now: Array, arriving: Array) -> tuple[Array, Array]:
            # What is carried along is padded, so that a step is one pass over it.
            after = sum(
                now[..., reach - offset : reach - offset + size] * arriving[..., place, :]
                for place, offset in enumerate(self.offsets or ())
            )
            return _pad(jnp.asarray(after), reach), now

        along = jax.lax.scan(shift, _pad(start, reach), jnp.stack(arriving, axis=-2))[1]
        return along[..., reach : reach + size]

    def values_after(self, paid: Float[Array, "T *P S"]) -> Float[Array, "T *P S"]:
        """What each state is worth after each time t: V_{t+1}, where V_t = paid_t + P_t^π V_{t+1}."""
        if self.offsets is None:

            def step(ahead: Array, at: tuple[Array, Array]) -> tuple[Array, Array]:
                moves, now = at
                return now + jnp.einsum("...sx,...x->...s", moves, ahead), ahead

            return jax.lax.scan(step, jnp.zeros_like(paid[0]), (self.leaving, paid), reverse=True)[1]
        reach, size = _reach(self.offsets), paid.shape[-1]

        def shift(ahead: Array, at: tuple[Array, Array]) -> tuple[Array, Array]:
            moves, now = at
            for place, offset in enumerate(self.offsets or ()):
                now = now + ahead[..., reach + offset : reach + offset + size] * moves[..., place, :]
            return _pad(now, reach), ahead

        nothing = _pad(jnp.zeros_like(paid[0]), reach)
        ahead = jax.lax.scan(shift, nothing, (self.leaving, paid), reverse=True)[1]
        return ahead[..., reach : reach + size]


def policy_moves(kernel: Kernel, policy: Float[Array, "T *P S A"]) -> PolicyMoves | None:
    """The kernel under a policy, or None where that is no faster: lists of successors, or too large.

    Args:
        kernel: of any time, or with a leading T.
        policy: what all players do.
    """
    if isinstance(kernel, Neighbours):
        return None
    # Sums over few actions, written out: each is one pass over long rows.
    chosen = [policy[..., action] for action in range(policy.shape[-1])]
    if isinstance(kernel, Diagonals):
        size = math.prod(policy.shape[:-1]) * len(kernel.offsets)
        if size > _MOST_NUMBERS:
            return None
        parts = (pi[..., None, :] * kernel.leaving[..., a] for a, pi in enumerate(chosen))
        return PolicyMoves(sum(parts, jnp.zeros((), policy.dtype)), kernel.offsets)
    if math.prod(policy.shape[:-1]) * policy.shape[-2] > _MOST_NUMBERS:
        return None
    parts = (pi[..., None] * kernel[..., a, :] for a, pi in enumerate(chosen))
    return PolicyMoves(sum(parts, jnp.zeros((), policy.dtype)), None)


def _reach(offsets: tuple[int, ...]) -> int:
    return max(map(abs, offsets))


def _pad(values: Array, reach: int) -> Array:
    return jnp.pad(values, [(0, 0)] * (values.ndim - 1) + [(reach, reach)])
