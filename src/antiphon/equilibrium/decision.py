"""One player inside a crowd whose flow is given: a Markov decision process, and what can be asked of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from antiphon.equilibrium.game import MeanFieldGame
from antiphon.equilibrium.kernel import Kernel, cast, expect, push
from antiphon.equilibrium.policy_moves import PolicyMoves, policy_moves
from antiphon.equilibrium.problem import best_value, mean_value
from antiphon.equilibrium.tables import Tables

Entropy = Float[Array, ""] | float | None
Close = Callable[[Array, Array], Array]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class DecisionProblem:
    """What one player faces while everybody else follows a flow that does not answer.

    Made by :func:`antiphon.equilibrium.flow.facing`. Flow and rewards are computed once, and shared by
    whatever is asked.

    Attributes:
        game: the game.
        tables: what the game says whatever the crowd does.
        start: distribution of the states at time 0, [*P, S].
        crowd: joint distribution of everybody's states and actions, [T, *P, S, A].
        reward: inside the crowd, [T, *P, S, A].
        kernel: inside the crowd, with a leading T, if the crowd moves it and it was small enough to keep.
    """

    game: MeanFieldGame
    tables: Tables
    start: Float[Array, "*P S"]
    crowd: Float[Array, "T *P S A"]
    reward: Float[Array, "T *P S A"]
    kernel: Kernel | None

    @property
    def seen(self) -> Float[Array, "T *P S"]:
        """Where everybody is: the mean field."""
        return jnp.sum(self.crowd, axis=-1)

    def best_response_values(
        self, tau: Entropy = None, bonus: Float[Array, "T *P S A"] | None = None
    ) -> Float[Array, "T *P S A"]:
        """Q* by backward induction: Q_t = r_t + P_t max_a Q_{t+1}, with the bonus added to r_t."""
        return self._backward(lambda q, _: best_value(q, tau), self.crowd, bonus)

    def policy_values(
        self,
        policy: Float[Array, "T *P S A"],
        tau: Entropy = None,
        bonus: Float[Array, "T *P S A"] | None = None,
    ) -> Float[Array, "T *P S A"]:
        """Q of a player of ``policy``: Q_t = r_t + P_t Σ_a π_{t+1} Q_{t+1}."""
        moves = self._moves(policy)
        if moves is None:
            return self._backward(lambda q, pi: mean_value(q, pi, tau), policy, bonus)
        reward = self.reward if bonus is None else self.reward + bonus
        return reward + self.expected(moves.values_after(mean_value(reward, policy, tau)))

    def occupancy(self, policy: Float[Array, "T *P S A"]) -> Float[Array, "T *P S A"]:
        """Where a player of ``policy`` is, and what it does there."""
        moves = self._moves(policy)
        if moves is not None:
            return moves.follow(self.start)[..., None] * policy
        steps, kernel_at = self._kernels()

        def step(state: Array, at: tuple[Any, Array]) -> tuple[Array, Array]:
            now, pi = at
            own = state[..., None] * pi
            return push(kernel_at(now), own), own

        return jax.lax.scan(step, self.start, (steps, policy))[1]

    def visits(self, policy: Float[Array, "T *P S A"]) -> Float[Array, "T *P S"]:
        """Where a player of ``policy`` is."""
        return jnp.sum(self.occupancy(policy), axis=-1)

    def pushed(self, joint: Float[Array, "T *P S A"]) -> Float[Array, "T *P S"]:
        """Where players are one step on who are ``joint[t]`` at each time t, all times at once."""
        steps, kernel_at = self._kernels()
        return jax.vmap(lambda now, own: push(kernel_at(now), own))(steps, joint)

    def expected(self, value: Float[Array, "T *P S"]) -> Float[Array, "T *P S A"]:
        """What is expected of ``value[t]`` one step after each time t, all times at once."""
        steps, kernel_at = self._kernels()
        return jax.vmap(lambda now, ahead: expect(kernel_at(now), ahead))(steps, value)

    def crowd_value(self, policy: Float[Array, "T *P S A"], tau: Entropy = None) -> Float[Array, ""]:
        """What a player earns who does as everybody does (``policy`` must be the crowd's), over populations.

        Σ_t ⟨crowd_t, r_t⟩: no sweep is needed.
        """
        # Nobody is paid where nobody is, even if a logarithm of the crowd is infinite there.
        paid = jnp.where(self.crowd > 0, self.crowd * self.reward, 0.0)
        value = jnp.sum(paid)
        if tau is None:
            return value
        return value + jnp.sum(self.seen * mean_value(jnp.zeros_like(policy), policy, tau))

    def _moves(self, policy: Array) -> PolicyMoves | None:
        """The kernel under a policy, where no crowd changes it."""
        kept = self.tables.kernel
        return None if kept is None else policy_moves(kept, policy)

    def _backward(self, close: Close, policy: Array, bonus: Array | None) -> Array:
        steps, kernel_at = self._kernels()
        reward = self.reward if bonus is None else self.reward + bonus

        def step(value: Array, at: tuple[Any, Array, Array]) -> tuple[Array, Array]:
            now, paid, pi = at
            q = paid + expect(kernel_at(now), value)
            return close(q, pi), q

        last = jnp.zeros_like(self.start)
        return jax.lax.scan(step, last, (steps, reward, policy), reverse=True)[1]

    def _kernels(self) -> tuple[Any, Callable[[Any], Kernel]]:
        """What a scan over time carries along, and how the kernel of a time is read off it."""
        kept = self.tables.kernel if self.kernel is None else self.kernel
        if kept is None:
            times = jnp.arange(self.game.horizon, dtype=jnp.int32)
            return (times, self.crowd), lambda at: cast(self.game.kernel(*at), self.crowd.dtype)
        if self.kernel is None and not self.tables.kernel_in_time:
            return None, lambda _: kept
        return kept, lambda now: now
