"""The exact values of a short major–minor game: every path of the major player, with no grid at all.

The mean field is random only through the major player's states and actions. A tree with one node for each of
their histories therefore holds every mean field that can occur, and backward induction on it is exact.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array

from antiphon.core.errors import UserError
from antiphon.equilibrium.game import Players, major_minor_tables
from antiphon.equilibrium.partition import PartitionProblem
from antiphon.equilibrium.problem import Gap

_MOST_NODES = 3_000_000


def measure_on_tree(problem: PartitionProblem, policy: Players) -> Gap:
    """Exploitability and value of a grid policy in the game itself, over all deviations, exactly.

    Deviations see the whole history, which includes the mean field. The tree has X0 (U0 X0)^(T−1) leaves.

    Raises:
        UserError: the tree is too large.
    """
    game = problem.game
    leaves = game.n_major_states * (game.n_major_actions * game.n_major_states) ** (game.horizon - 1)
    if leaves > _MOST_NODES:
        raise UserError("horizon", f"the tree has {leaves} leaves", "give a game with a shorter horizon")
    return _measure(problem, policy)


@jax.jit
def _measure(problem: PartitionProblem, policy: Players) -> Gap:
    game, dtype = problem.game, problem.grid.points.dtype
    mean_field = jnp.broadcast_to(game.init().astype(dtype), (game.n_major_states, game.n_states))
    major_state = jnp.arange(game.n_major_states)
    levels = []
    for t in range(game.horizon):
        tables = jax.vmap(lambda m, x0: jax.tree.map(lambda a: a[x0], major_minor_tables(game, m)))(
            mean_field, major_state
        )
        index, weight = problem.grid.locate(mean_field)
        by_point = jnp.moveaxis(policy.minor[t], 0, 2)[major_state[:, None], index]
        minor = jnp.einsum("nk,nkxu->nxu", weight, by_point)
        major = jnp.einsum("nk,nku->nu", weight, policy.major[t][major_state[:, None], index])
        levels.append((tables, minor, major))
        following = jnp.einsum("nx,nxu,nvxuy->nvy", mean_field, minor, tables.kernel)
        # Children are ordered by node, major action, next major state.
        mean_field = jnp.repeat(following.reshape(-1, game.n_states), game.n_major_states, axis=0)
        major_state = jnp.tile(jnp.arange(game.n_major_states), len(mean_field) // game.n_major_states)
    best, own = (
        _backward(levels, game.n_major_states, game.n_major_actions, greedy=greedy)
        for greedy in (True, False)
    )
    start, chances = game.init().astype(dtype), game.major_init().astype(dtype)
    value = Players(chances @ own[0] @ start, chances @ own[1])
    answer = Players(chances @ best[0] @ start, chances @ best[1])
    return Gap(jax.tree.map(jnp.subtract, answer, value), value)


def _backward(
    levels: list, n_major_states: int, n_major_actions: int, *, greedy: bool
) -> tuple[Array, Array]:
    """Values of the first level: [X0, X] of a minor player and [X0] of the major player."""
    ahead = ahead0 = jnp.zeros(())
    for tables, minor, major in reversed(levels):
        shape = (len(minor), n_major_actions, n_major_states)
        q = tables.reward
        q0 = tables.major_reward
        if ahead.ndim:
            coming = jnp.einsum("nvz,nvzy->nvy", tables.major_kernel, ahead.reshape(*shape, -1))
            q = q + jnp.einsum("nvxuy,nvy->nvxu", tables.kernel, coming)
            q0 = q0 + jnp.einsum("nvz,nvz->nv", tables.major_kernel, ahead0.reshape(shape))
        mean = jnp.einsum("nv,nvxu->nxu", major, q)
        ahead = jnp.max(mean, -1) if greedy else jnp.sum(mean * minor, -1)
        ahead0 = jnp.max(q0, -1) if greedy else jnp.sum(q0 * major, -1)
    return ahead, ahead0
