"""What an imitator is given: trajectories of players of an expert, from the mean field or from N of them."""

from typing import NamedTuple, cast

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from antiphon.core.errors import UserError
from antiphon.equilibrium.flow import flow
from antiphon.equilibrium.game import MeanFieldGame
from antiphon.equilibrium.kernel import Neighbours


class Demonstrations(NamedTuple):
    """What n players did; rewards are not part of it.

    Attributes:
        states: [T, n].
        actions: [T, n].
    """

    states: Int[Array, "T n"]
    actions: Int[Array, "T n"]

    def occupancy(self, n_states: int, n_actions: int) -> Float[Array, "T S A"]:
        """Share of the players in each state and action at each time, the estimate of μ^E."""

        def share(states: Array, actions: Array) -> Array:
            empty = jnp.zeros((n_states, n_actions), jnp.result_type(float))
            return empty.at[states, actions].add(1.0 / states.shape[0])

        return jax.vmap(share)(self.states, self.actions)


def demonstrate(
    game: MeanFieldGame, policy: Float[Array, "T S A"], key: Key[Array, ""], trajectories: int
) -> Demonstrations:
    """Trajectories of players inside the policy's own mean field: independent of each other.

    Raises:
        UserError: no trajectories, or a game of several populations.
    """
    return _play(game, policy, key, trajectories, flow(game, policy))


def demonstrate_players(
    game: MeanFieldGame, policy: Float[Array, "T S A"], key: Key[Array, ""], players: int
) -> Demonstrations:
    """One play of the game of N players: each moves in the empirical distribution of all of them.

    Several plays are a ``vmap`` over keys.

    Raises:
        UserError: no players, or a game of several populations.
    """
    return _play(game, policy, key, players, None)


def _play(
    game: MeanFieldGame, policy: Array, key: Array, players: int, crowd: Array | None
) -> Demonstrations:
    if players < 1:
        raise UserError(
            "demonstrations", f"{players} players demonstrate nothing", "ask for one player or more"
        )
    if game.populations:
        raise UserError("game", "this game has several populations", "demonstrate games of one population")

    def step(states: Array, at: tuple) -> tuple[Array, tuple[Array, Array]]:
        time, pi, around, key = at
        key_action, key_state = jax.random.split(key)
        actions = _draw(key_action, pi[states], players)
        if crowd is None:
            around = jnp.zeros_like(pi).at[states, actions].add(1.0 / players)
        kernel = cast("Array | Neighbours", game.kernel(time, around))
        if isinstance(kernel, Neighbours):
            which = _draw(key_state, kernel.probabilities[states, actions], players)
            following = kernel.states[states, actions, which]
        else:
            following = _draw(key_state, kernel[states, actions], players)
        return following, (states, actions)

    key_start, key_steps = jax.random.split(key)
    start = _draw(key_start, game.init()[None], players)
    around = policy if crowd is None else crowd
    keys = jax.random.split(key_steps, game.horizon)
    _, (states, actions) = jax.lax.scan(step, start, (jnp.arange(game.horizon), policy, around, keys))
    return Demonstrations(states, actions)


def _draw(key: Array, probabilities: Float[Array, "n K"], count: int) -> Int[Array, "n"]:
    """One outcome for each row (or all from the only row), by inverting its distribution."""
    up_to = jnp.cumsum(probabilities, axis=-1)
    level = jax.random.uniform(key, (count,), up_to.dtype)[:, None] * up_to[:, -1:]
    return jnp.sum(level >= up_to, axis=-1, dtype=jnp.int32)
