"""What a plain game says whatever the crowd does, computed once and not in every iteration of a solver."""

import math
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from antiphon.equilibrium.dependence import reads
from antiphon.equilibrium.game import MeanFieldGame
from antiphon.equilibrium.kernel import Kernel, cast, compact

_MOST_NUMBERS = 1 << 24  # Of a table over all times; larger ones are computed step by step.


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Tables:
    """Kernel and reward as far as no crowd changes them; made by :func:`game_tables`.

    Attributes:
        kernel: [*P, S, A, S] or sparse, with a leading T if ``kernel_in_time``; None if the crowd moves it.
        reward: [*P, S, A], with a leading T if ``reward_in_time``; None if the crowd moves it.
        kernel_in_time: whether the kernel reads the time.
        reward_in_time: whether the reward reads the time.
    """

    kernel: Kernel | None
    reward: Float[Array, "..."] | None
    kernel_in_time: bool = field(default=False, metadata={"static": True})
    reward_in_time: bool = field(default=False, metadata={"static": True})


def game_tables(game: MeanFieldGame, dtype: Any) -> Tables:
    """What the game says whatever the crowd does; whether it does is read off its traced functions.

    Args:
        game: the game. Where its numbers are known (not inside a traced function), a kernel with few
            successors becomes sparse.
        dtype: precision of the tables.
    """
    time = jax.ShapeDtypeStruct((), jnp.int32)
    crowd = jax.ShapeDtypeStruct((*game.populations, game.n_states, game.n_actions), dtype)
    kernel_time, kernel_crowd = reads(lambda t, c: jax.tree.leaves(game.kernel(t, c)), time, crowd)
    reward_time, reward_crowd = reads(game.reward, time, crowd)
    shapes = jax.tree.leaves(jax.eval_shape(game.kernel, time, crowd))
    size = sum(math.prod(leaf.shape) for leaf in shapes)
    kernel = reward = None
    if not kernel_crowd and (not kernel_time or game.horizon * size <= _MOST_NUMBERS):
        kernel = compact(cast(_kernel(game, dtype, kernel_time), dtype))
    if not reward_crowd:
        reward = _reward(game, dtype, reward_time).astype(dtype)
    return Tables(kernel, reward, kernel_time, reward_time)


def _at_all_times(function: Any, game: MeanFieldGame, dtype: Any, in_time: bool) -> Any:
    shape = (*game.populations, game.n_states, game.n_actions)
    # The crowd is not read, so that any will do.
    crowd = jnp.full(shape, 1.0 / (game.n_states * game.n_actions), dtype)
    if not in_time:
        return function(jnp.zeros((), jnp.int32), crowd)
    return jax.vmap(function, (0, None))(jnp.arange(game.horizon, dtype=jnp.int32), crowd)


_kernel = jax.jit(
    lambda game, dtype, in_time: _at_all_times(game.kernel, game, dtype, in_time), static_argnums=(1, 2)
)
_reward = jax.jit(
    lambda game, dtype, in_time: _at_all_times(game.reward, game, dtype, in_time), static_argnums=(1, 2)
)
