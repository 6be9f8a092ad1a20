"""The linear–quadratic mean field game, solved exactly by two Riccati recursions; and the game on a grid.

A player's state moves by x' = A x + Ā m + B u + w, w ~ N(0, W), where m is the mean of all players, and costs
½ Σ_t [(x − S m)ᵀ Q (x − S m) + uᵀ R u] + ½ (x − S m)ᵀ Q_T (x − S m) at the end. Only the mean of the crowd is
ever seen, so the equilibrium is a few matrices.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from antiphon.equilibrium import Neighbours, rules


@rules
class LinearGaussian:
    """The coefficients of a linear–quadratic game of states in D and controls in C dimensions.

    Attributes:
        drift: A, [D, D].
        crowd_drift: Ā, [D, D].
        control: B, [D, C].
        noise: W, covariance, [D, D].
        state_cost: Q ≥ 0, [D, D].
        control_cost: R > 0, [C, C].
        last_cost: Q_T ≥ 0, [D, D].
        target: S, [D, D]: players want to be at S m; 0 to ignore the crowd, 1 to follow it.
        mean: of the first state, [D].
        covariance: of the first state, [D, D].
        horizon: number of controls.
    """

    drift: Float[Array, "D D"]
    crowd_drift: Float[Array, "D D"]
    control: Float[Array, "D C"]
    noise: Float[Array, "D D"]
    state_cost: Float[Array, "D D"]
    control_cost: Float[Array, "C C"]
    last_cost: Float[Array, "D D"]
    target: Float[Array, "D D"]
    mean: Float[Array, "D"]
    covariance: Float[Array, "D D"]
    horizon: int


class LinearEquilibrium(NamedTuple):
    """Everybody plays u = −K_t x − L_t m_t.

    Attributes:
        gain: K, [T, C, D].
        mean_gain: L, [T, C, D].
        mean: m_t, [T + 1, D].
        covariance: of a player's state, [T + 1, D, D].
        value: −(expected cost) of a player.
    """

    gain: Float[Array, "T C D"]
    mean_gain: Float[Array, "T C D"]
    mean: Float[Array, "T+1 D"]
    covariance: Float[Array, "T+1 D D"]
    value: Float[Array, ""]


def equilibrium(game: LinearGaussian) -> LinearEquilibrium:
    """The Nash equilibrium of the linear–quadratic mean field game.

    V_t(x) = ½ xᵀ P_t x + xᵀ Π_t m_t + const with G = (R + Bᵀ P' B)⁻¹ and primes for time t + 1:
        P = Q + Aᵀ P' A − Aᵀ P' B G Bᵀ P' A
        m' = F m,  F = (I + B G Bᵀ Π')⁻¹ (I − B G Bᵀ P') (A + Ā)
        Π = −Q S + (A − B G Bᵀ P' A)ᵀ (P' Ā + Π' F).

    Source: derived from the dynamic programme of one player in a known mean; in continuous time
    Bensoussan, Sung, Yam and Yung 2016, section 3.
    """
    eye = jnp.eye(len(game.drift))

    def back(carry: tuple[Array, Array], _: None) -> tuple[tuple[Array, Array], tuple[Array, ...]]:
        ahead, ahead_mean = carry
        respond = jnp.linalg.solve(game.control_cost + game.control.T @ ahead @ game.control, game.control.T)
        push = game.control @ respond
        flow = jnp.linalg.solve(
            eye + push @ ahead_mean, (eye - push @ ahead) @ (game.drift + game.crowd_drift)
        )
        closed = game.drift - push @ ahead @ game.drift
        coming = ahead @ game.crowd_drift + ahead_mean @ flow
        here = game.state_cost + game.drift.T @ ahead @ closed
        here_mean = -game.state_cost @ game.target + closed.T @ coming
        return (here, here_mean), (respond @ ahead @ game.drift, respond @ coming)

    last = (game.last_cost, -game.last_cost @ game.target)
    _, (gain, mean_gain) = jax.lax.scan(back, last, length=game.horizon, reverse=True)
    return play(game, gain, mean_gain)


def play(
    game: LinearGaussian, gain: Float[Array, "T C D"], mean_gain: Float[Array, "T C D"]
) -> LinearEquilibrium:
    """What happens, and what is earned, when everybody plays u = −K x − L m; exact for Gaussian states."""

    def step(
        carry: tuple[Array, Array], at: tuple[Array, Array]
    ) -> tuple[tuple[Array, Array], tuple[Array, Array, Array]]:
        mean, spread = carry
        k, other = at
        control = -(k + other) @ mean
        closed = game.drift - game.control @ k
        following = (game.drift + game.crowd_drift) @ mean + game.control @ control
        cost = _quadratic(game.state_cost, mean - game.target @ mean, spread)
        cost += _quadratic(game.control_cost, control, k @ spread @ k.T)
        return (following, closed @ spread @ closed.T + game.noise), (mean, spread, cost)

    end, (mean, spread, cost) = jax.lax.scan(step, (game.mean, game.covariance), (gain, mean_gain))
    total = jnp.sum(cost) + _quadratic(game.last_cost, end[0] - game.target @ end[0], end[1])
    means = jnp.concatenate([mean, end[0][None]])
    return LinearEquilibrium(gain, mean_gain, means, jnp.concatenate([spread, end[1][None]]), -total)


def _quadratic(weight: Array, mean: Array, spread: Array) -> Array:
    """½ E xᵀ W x of a random x."""
    return 0.5 * (mean @ weight @ mean + jnp.trace(weight @ spread))


@rules
class LinearGaussianGrid:
    """A one-dimensional :class:`LinearGaussian` on a grid of states and controls, for any tabular solver.

    The next state is read between two grid points at each of three Gauss–Hermite nodes of the noise; errors
    fall with the square of the spacing while nobody comes near the ends. The last cost is charged by a last
    decision, at which controls do nothing, so the game has one decision more.
    """

    game: LinearGaussian
    width: float = 4.0
    widest_control: float = 2.0
    n_states: int = 41
    n_actions: int = 41

    populations = ()
    time_dependent = True

    @property
    def horizon(self) -> int:
        """Controls, and the end."""
        return self.game.horizon + 1

    @property
    def positions(self) -> Float[Array, "S"]:
        """States, from −width to width."""
        return jnp.linspace(-self.width, self.width, self.n_states)

    @property
    def controls(self) -> Float[Array, "A"]:
        """Controls, likewise."""
        return jnp.linspace(-self.widest_control, self.widest_control, self.n_actions)

    def init(self) -> Float[Array, "S"]:
        """The normal distribution of the start, three nodes of it, between grid points."""
        spread = jnp.sqrt(self.game.covariance[0, 0])
        states, chances = self._between(self.game.mean[0] + spread * _NODES)
        weight = (chances * _WEIGHTS[:, None]).ravel()
        return jnp.zeros(self.n_states, weight.dtype).at[states.ravel()].add(weight)

    def kernel(self, time, crowd: Float[Array, "S A"]) -> Neighbours:
        """A x + Ā m + B u + w, kept inside."""
        del time
        game, mean = self.game, self._mean(crowd)
        still = game.drift[0, 0] * self.positions[:, None] + game.crowd_drift[0, 0] * mean
        centre = still + game.control[0, 0] * self.controls
        states, chances = self._between(centre[..., None] + jnp.sqrt(game.noise[0, 0]) * _NODES)
        weight = chances * _WEIGHTS[:, None]
        shape = (*centre.shape, -1)
        return Neighbours(states.reshape(shape), weight.reshape(shape))

    def reward(self, time, crowd: Float[Array, "S A"]) -> Float[Array, "S A"]:
        """Minus the cost."""
        game = self.game
        apart = (self.positions - game.target[0, 0] * self._mean(crowd))[:, None] ** 2
        running = game.state_cost[0, 0] * apart + game.control_cost[0, 0] * self.controls**2
        return -0.5 * jnp.where(time == game.horizon, game.last_cost[0, 0] * apart, running)

    def _mean(self, crowd: Array) -> Array:
        return self.positions @ jnp.sum(crowd, axis=-1)

    def _between(self, where: Array) -> tuple[Array, Array]:
        """The two grid points around a place, and their shares."""
        scaled = jnp.clip((where + self.width) / (2 * self.width), 0.0, 1.0) * (self.n_states - 1)
        low = jnp.clip(jnp.floor(scaled), 0, self.n_states - 2)
        rest = scaled - low
        index = low.astype(jnp.int32)
        return jnp.stack([index, index + 1], -1), jnp.stack([1 - rest, rest], -1)


# Three nodes have the first five moments of a normal distribution.
_NODES = np.array([-1.0, 0.0, 1.0]) * 3**0.5
_WEIGHTS = np.array([1.0, 4.0, 1.0]) / 6
