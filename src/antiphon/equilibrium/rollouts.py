"""A grid policy in the game it was made for: the continuous mean field, and a crowd of N players.

Players are alike, so a crowd is counts of states and a step costs the same for ten players and for a million.
"""

from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from antiphon.core.errors import UserError
from antiphon.equilibrium.game import Players

if TYPE_CHECKING:
    from antiphon.equilibrium.partition import PartitionProblem


class Rollouts(NamedTuple):
    """What happened on R paths.

    Attributes:
        value: of a minor player (the mean of all, or of the one who deviates) and of the major player, [R]
            each.
        mean_field: at each time, [R, T, X].
        major_state: [R, T].
        major_action: [R, T].
    """

    value: Players
    mean_field: Float[Array, "R T X"]
    major_state: Int[Array, "R T"]
    major_action: Int[Array, "R T"]


def rollout(
    problem: "PartitionProblem",
    policy: Players,
    key: Key[Array, ""],
    paths: int,
    *,
    discount: float | Float[Array, ""] = 1.0,
    steps: int | None = None,
) -> Rollouts:
    """Paths of the limit game: (x0, u0) is sampled, the mean field follows from it without a grid.

    The policy is read between grid points as the problem's projection reads everything. A minor player's
    value is Σ_t γ^t Σ_x μ_t(x) Σ_u π r, its exact expectation on the path.

    Args:
        problem: the game, and the grid by which policies are read.
        policy: what all play.
        key: random key.
        paths: how many.
        discount: γ.
        steps: how many of a policy that does not see the time (its leaves have no time axis); None for the
            game's horizon and a policy with a time axis.
    """
    game = problem.game
    horizon = game.horizon if steps is None else steps

    def step(carry: tuple[Array, Array], at: tuple) -> tuple[tuple[Array, Array], tuple]:
        mean_field, major_state = carry
        time, now, key = at
        key_action, key_state = jax.random.split(key)
        minor, major = _read(problem, policy if now is None else now, mean_field, major_state)
        major_action = jax.random.categorical(key_action, jnp.log(major))
        crowd = mean_field[:, None] * minor
        paid = Players(
            jnp.sum(crowd * game.reward(mean_field, major_state, major_action)),
            game.major_reward(mean_field, major_state, major_action),
        )
        worth = jnp.asarray(discount, mean_field.dtype) ** time
        paid = jax.tree.map(lambda earned: worth * earned, paid)
        following = jnp.einsum("xu,xuy->y", crowd, game.kernel(mean_field, major_state, major_action))
        following = following / jnp.sum(following)
        chances = game.major_kernel(mean_field, major_state, major_action)
        after = jax.random.categorical(key_state, jnp.log(chances))
        return (following, after), (paid, mean_field, major_state, major_action)

    def path(key: Array) -> Rollouts:
        key_start, key_steps = jax.random.split(key)
        mean_field = game.init().astype(problem.grid.points.dtype)
        major_state = jax.random.categorical(key_start, jnp.log(game.major_init()))
        keys = jax.random.split(key_steps, horizon)
        along = (jnp.arange(horizon), policy if steps is None else None, keys)
        _, (paid, *seen) = jax.lax.scan(step, (mean_field, major_state), along)
        return Rollouts(jax.tree.map(jnp.sum, paid), *seen)

    return jax.vmap(path)(jax.random.split(key, paths))


def simulate(
    problem: "PartitionProblem",
    policy: Players,
    key: Key[Array, ""],
    *,
    players: int | Int[Array, ""],
    paths: int,
    deviation: Players | None = None,
) -> Rollouts:
    """Paths of the game of N minor players and one major player.

    Args:
        problem: the game, and the grid by which policies are read.
        policy: what all play.
        key: random key.
        players: N; may be traced, so that one program serves all sizes.
        paths: how many games are played.
        deviation: what one tagged minor player (``.minor``) and the major player (``.major``) play instead.
            The minor value is then that of the tagged player.

    Raises:
        UserError: no players.

    Source: arXiv 2312.10787, section 2 (the N-player game). Differs from the authors' program: counts and
    multinomials take the place of N players.
    """
    if isinstance(players, int) and players < 1:
        raise UserError("players", f"a game of {players} players is empty", "give at least one player")
    game, dtype = problem.game, problem.grid.points.dtype
    tagged = 0 if deviation is None else 1
    other = policy if deviation is None else deviation
    if deviation is not None:
        policy = Players(policy.minor, deviation.major)

    def step(carry: tuple[Array, Array, Array], at: tuple) -> tuple[tuple[Array, Array, Array], tuple]:
        counts, own, major_state = carry
        now, instead, key = at
        keys = jax.random.split(key, 4)
        mean_field = (counts + tagged * jax.nn.one_hot(own, game.n_states, dtype=dtype)) / players
        minor, major = _read(problem, now, mean_field, major_state)
        major_action = jax.random.categorical(keys[0], jnp.log(major))
        kernel = game.kernel(mean_field, major_state, major_action)
        reward = game.reward(mean_field, major_state, major_action)
        # All players of one state draw action and next state together: one multinomial for each state.
        joint = (minor[..., None] * kernel).reshape(game.n_states, -1)
        joint = joint / jnp.sum(joint, axis=-1, keepdims=True)
        drawn = jax.vmap(jax.random.multinomial)(jax.random.split(keys[1], game.n_states), counts, joint)
        drawn = drawn.reshape(kernel.shape).astype(dtype)
        paid = jnp.sum(jnp.sum(drawn, axis=-1) * reward) / players
        if tagged:
            choice, _ = _read(problem, instead, mean_field, major_state)
            action = jax.random.categorical(keys[2], jnp.log(choice[own]))
            paid = reward[own, action]
            own = jax.random.categorical(keys[3], jnp.log(kernel[own, action]))
        key_state = jax.random.fold_in(key, 4)
        chances = game.major_kernel(mean_field, major_state, major_action)
        after = jax.random.categorical(key_state, jnp.log(chances))
        earned = Players(paid, game.major_reward(mean_field, major_state, major_action))
        return (jnp.sum(drawn, axis=(0, 1)), own, after), (earned, mean_field, major_state, major_action)

    def path(key: Array) -> Rollouts:
        keys = jax.random.split(key, 4)
        start = game.init().astype(dtype)
        counts = jax.random.multinomial(keys[0], jnp.asarray(players - tagged, dtype), start).astype(dtype)
        own = jax.random.categorical(keys[1], jnp.log(start))
        major_state = jax.random.categorical(keys[2], jnp.log(game.major_init()))
        steps = (policy, other, jax.random.split(keys[3], game.horizon))
        _, (paid, *seen) = jax.lax.scan(step, (counts, own, major_state), steps)
        return Rollouts(jax.tree.map(jnp.sum, paid), *seen)

    return jax.vmap(path)(jax.random.split(key, paths))


def _read(
    problem: "PartitionProblem", now: Players, mean_field: Array, major_state: Array
) -> tuple[Array, Array]:
    """π [X, U] and π0 [U0] of one time at one mean field and major state."""
    index, weight = problem.grid.locate(mean_field)
    minor = jnp.einsum("k,xku->xu", weight, now.minor[:, major_state][:, index])
    major = jnp.einsum("k,ku->u", weight, now.major[major_state][index])
    return minor, major
