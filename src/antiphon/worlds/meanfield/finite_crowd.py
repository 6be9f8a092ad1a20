"""A plain mean field game played by N players: counts of states, whose cost does not grow with N."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from antiphon.core.errors import UserError
from antiphon.equilibrium import MeanFieldGame, Neighbours
from antiphon.equilibrium.kernel import Kernel, push
from antiphon.worlds.meanfield.kernel_table import kernel_table


class CrowdRollouts(NamedTuple):
    """What happened in R games of N players.

    Attributes:
        value: mean of all players, summed over populations, [R].
        tagged: what the one tagged player of each population earns, who may deviate; summed likewise, [R].
        mean_field: shares of states at each time, [R, T, *P, S].
    """

    value: Float[Array, "R"]
    tagged: Float[Array, "R"]
    mean_field: Float[Array, "R T *P S"]


def simulate_crowd(
    game: MeanFieldGame,
    policy: Float[Array, "T *P S A"],
    key: Key[Array, ""],
    *,
    players: int | Int[Array, ""],
    paths: int,
    deviation: Float[Array, "T *P S A"] | None = None,
) -> CrowdRollouts:
    """Games of N players of each population who all play a policy; perhaps one of each deviates.

    All players of one state draw their actions and next states together, as multinomials. Kernel and reward
    see the shares of the players themselves, so that a player who deviates moves the crowd by 1/N.

    Args:
        game: any game with a finite horizon.
        policy: what all play.
        key: random key.
        players: N of each population; may be traced.
        paths: R, how many games.
        deviation: what one tagged player of each population plays; by default what all do.

    Raises:
        UserError: no players.
    """
    if isinstance(players, int) and players < 1:
        raise UserError("players", f"a game of {players} players is empty", "give at least one player")
    other = policy if deviation is None else deviation
    many, rows = game.n_states, (*game.populations, game.n_states)

    def step(carry: tuple[Array, Array], at: tuple) -> tuple[tuple[Array, Array], tuple]:
        counts, own = carry
        time, now, instead, key = at
        keys = jax.random.split(key, 4)
        chosen = _draw(keys[0], counts, now)
        theirs = jnp.take_along_axis(instead, own[..., None, None], axis=-2)[..., 0, :]
        action = jax.random.categorical(keys[1], jnp.log(theirs))
        hot = jax.nn.one_hot(own * game.n_actions + action, many * game.n_actions, dtype=counts.dtype)
        hot = hot.reshape(*rows, game.n_actions)
        crowd = (chosen + hot) / players
        kernel, reward = game.kernel(time, crowd), game.reward(time, crowd)
        moved = _move(keys[2], chosen, kernel)
        after = jax.random.categorical(keys[3], jnp.log(push(kernel, hot)))
        paid = (jnp.sum(crowd * reward), jnp.sum(hot * reward))
        return (moved, after), (paid, jnp.sum(crowd, axis=-1))

    def path(key: Array) -> CrowdRollouts:
        keys = jax.random.split(key, 3)
        start = game.init().astype(policy.dtype)
        counts = _draw(keys[0], jnp.full(game.populations, players - 1, start.dtype), start)
        own = jax.random.categorical(keys[1], jnp.log(start))
        steps = (jnp.arange(game.horizon), policy, other, jax.random.split(keys[2], game.horizon))
        _, (paid, shares) = jax.lax.scan(step, (counts, own), steps)
        return CrowdRollouts(jnp.sum(paid[0]), jnp.sum(paid[1]), shares)

    return jax.vmap(path)(jax.random.split(key, paths))


def _move(key: Array, counts: Array, kernel: Kernel) -> Array:
    """Counts of states one step on."""
    if isinstance(kernel, Neighbours):
        # Only as many draws as there are successors: pushing ones through drawn counts adds them up.
        drawn = Neighbours(kernel.states, _draw(key, counts, kernel.probabilities))
        return push(drawn, jnp.ones_like(counts))
    table = kernel_table(kernel, jnp.sum(counts, axis=-1))
    return jnp.sum(_draw(key, counts, table), axis=(-3, -2))


def _draw(key: Array, counts: Array, chances: Array) -> Array:
    """Independent multinomials, one for each count; ``chances`` has one axis more."""
    flat = chances.reshape(-1, chances.shape[-1])
    keys = jax.random.split(key, len(flat))
    total = jnp.sum(flat, axis=-1, keepdims=True)
    drawn = jax.vmap(jax.random.multinomial)(keys, counts.ravel(), flat / total)
    return drawn.reshape(chances.shape).astype(counts.dtype)
