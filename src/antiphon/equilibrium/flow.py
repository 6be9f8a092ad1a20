"""Plain mean field games: the crowd's flow, the best response to it, and the exploitability of a policy.

Everything is one scan over time, dense or sparse, for one population or several, in the dtype of the game.
"""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PyTree

from antiphon.equilibrium.game import MeanFieldGame
from antiphon.equilibrium.kernel import expect, push
from antiphon.equilibrium.problem import Gap, best_value, mean_value

Entropy = Float[Array, ""] | float | None
Close = Callable[[Array, Array], Array]


def flow(game: MeanFieldGame, policy: Float[Array, "T *P S A"]) -> Float[Array, "T *P S A"]:
    """Joint distribution of states and actions at each time when everybody plays ``policy``.

    μ_{t+1}(s') = Σ_{s,a} μ_t(s) π_t(a|s) P(s' | s, a, μ_t π_t); the result is μ_t(s) π_t(a|s), so its sum
    over the last axis is the mean field.
    """

    def step(mean_field: Array, at: tuple[Array, Array]) -> tuple[Array, Array]:
        time, pi = at
        crowd = mean_field[..., None] * pi
        following = push(game.kernel(time, crowd), crowd)
        # Rounding would lose a millionth of the crowd in a thousand steps of float32.
        return following / jnp.sum(following, axis=-1, keepdims=True), crowd

    return jax.lax.scan(step, _start(game, policy), (jnp.arange(game.horizon), policy))[1]


def occupancy(
    game: MeanFieldGame, policy: Float[Array, "T *P S A"], crowd: Float[Array, "T *P S A"]
) -> Float[Array, "T *P S A"]:
    """Where one player of ``policy`` is, inside a crowd whose flow is given and does not answer."""

    def step(mean_field: Array, at: tuple[Array, Array, Array]) -> tuple[Array, Array]:
        time, pi, around = at
        own = mean_field[..., None] * pi
        return push(game.kernel(time, around), own), own

    return jax.lax.scan(step, _start(game, policy), (jnp.arange(game.horizon), policy, crowd))[1]


def best_response(
    game: MeanFieldGame, crowd: Float[Array, "T *P S A"], tau: Entropy = None
) -> Float[Array, "T *P S A"]:
    """Q* of one player inside the crowd's flow: Q_t = r_t + P_t max_a Q_{t+1}, by backward induction."""
    return _backward(game, crowd, lambda q, _: best_value(q, tau), crowd)


def policy_values(
    game: MeanFieldGame,
    policy: Float[Array, "T *P S A"],
    crowd: Float[Array, "T *P S A"],
    tau: Entropy = None,
) -> Float[Array, "T *P S A"]:
    """Q of one player of ``policy`` inside the crowd's flow."""
    return _backward(game, crowd, lambda q, pi: mean_value(q, pi, tau), policy)


def exploitability(game: MeanFieldGame, policy: Float[Array, "T *P S A"]) -> Float[Array, ""]:
    """max_π' J(π'; flow of π) − J(π; flow of π) ≥ 0, over all populations; 0 exactly at equilibrium.

    Source: arXiv 2007.03458, section 2 (one population); NashConv of a mean field game.
    """
    return FlowProblem(game).measure(policy).exploitability


def _backward(game: MeanFieldGame, crowd: Array, close: Close, policy: Array) -> Array:
    def step(value: Array, at: tuple[Array, Array, Array]) -> tuple[Array, Array]:
        time, around, pi = at
        q = game.reward(time, around) + expect(game.kernel(time, around), value)
        return close(q, pi), q

    last = jnp.zeros_like(crowd[0, ..., 0])
    times = jnp.arange(game.horizon)
    return jax.lax.scan(step, last, (times, crowd, policy), reverse=True)[1]


def _start(game: MeanFieldGame, policy: Array) -> Array:
    # One dtype through the whole scan: that of the policy.
    return game.init().astype(policy.dtype)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class FlowProblem:
    """A plain mean field game as solvers see it: policies are arrays ``[T, *P, S, A]``."""

    game: MeanFieldGame

    def uniform(self) -> Float[Array, "T *P S A"]:
        """The policy that chooses all actions alike."""
        shape = (self.game.horizon, *self.game.populations, self.game.n_states, self.game.n_actions)
        return jnp.full(shape, 1.0 / self.game.n_actions, self.game.init().dtype)

    def best_response_values(
        self, policy: Float[Array, "T *P S A"], tau: Entropy = None
    ) -> Float[Array, "T *P S A"]:
        """Q* against the flow of the policy."""
        return best_response(self.game, flow(self.game, policy), tau)

    def policy_values(
        self, policy: Float[Array, "T *P S A"], tau: Entropy = None
    ) -> Float[Array, "T *P S A"]:
        """Q of the policy in its own flow."""
        return policy_values(self.game, policy, flow(self.game, policy), tau)

    def true_value(self, policy: Float[Array, "T *P S A"], key: Key[Array, ""], paths: int = 0) -> Array:
        """The value itself: nothing is approximated."""
        del key, paths
        return self.measure(policy).value

    def visits(
        self, policy: Float[Array, "T *P S A"], crowd: Float[Array, "T *P S A"]
    ) -> PyTree[Float[Array, "T *P S"]]:
        """State occupancy of one player inside the flow of the crowd's policy."""
        return jnp.sum(occupancy(self.game, policy, flow(self.game, crowd)), axis=-1)

    def measure(self, policy: Float[Array, "T *P S A"], tau: Entropy = None) -> Gap:
        """Exploitability, and the value that is earned; both summed over populations."""
        crowd = flow(self.game, policy)
        start = _start(self.game, policy)
        best = best_value(best_response(self.game, crowd, tau)[0], tau)
        own = mean_value(policy_values(self.game, policy, crowd, tau)[0], policy[0], tau)
        return Gap(jnp.sum(start * (best - own)), jnp.sum(start * own))
