"""Plain mean field games: the crowd's flow, the best response to it, and the exploitability of a policy.

Everything is one scan over time, dense or sparse, for one population or several, in the dtype of the policy.
"""

import math
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PyTree

from antiphon.equilibrium.decision import DecisionProblem, Entropy
from antiphon.equilibrium.game import MeanFieldGame
from antiphon.equilibrium.kernel import Kernel, cast, push
from antiphon.equilibrium.policy_moves import policy_moves
from antiphon.equilibrium.problem import Gap, best_value
from antiphon.equilibrium.tables import Tables, game_tables

_MOST_KEPT = (
    1 << 19
)  # Numbers of all kernels of a flow that are kept for the sweeps back; others are rebuilt.


def flow(game: MeanFieldGame, policy: Float[Array, "T *P S A"]) -> Float[Array, "T *P S A"]:
    """Joint distribution of states and actions at each time when everybody plays ``policy``.

    μ_{t+1}(s') = Σ_{s,a} μ_t(s) π_t(a|s) P(s' | s, a, μ_t π_t); the result is μ_t(s) π_t(a|s), so its sum
    over the last axis is the mean field.
    """
    return _run(game, game_tables(game, policy.dtype), policy, keep=False)[0]


def facing(game: MeanFieldGame, crowd: Float[Array, "T *P S A"]) -> DecisionProblem:
    """What one player faces inside a crowd of a given flow, which need not be that of any policy."""
    return _inside(game, game_tables(game, crowd.dtype), crowd, None)


def occupancy(
    game: MeanFieldGame, policy: Float[Array, "T *P S A"], crowd: Float[Array, "T *P S A"]
) -> Float[Array, "T *P S A"]:
    """Where one player of ``policy`` is, inside a crowd whose flow is given and does not answer."""
    return facing(game, crowd).occupancy(policy)


def best_response(
    game: MeanFieldGame, crowd: Float[Array, "T *P S A"], tau: Entropy = None
) -> Float[Array, "T *P S A"]:
    """Q* of one player inside the crowd's flow: Q_t = r_t + P_t max_a Q_{t+1}, by backward induction."""
    return facing(game, crowd).best_response_values(tau)


def policy_values(
    game: MeanFieldGame,
    policy: Float[Array, "T *P S A"],
    crowd: Float[Array, "T *P S A"],
    tau: Entropy = None,
) -> Float[Array, "T *P S A"]:
    """Q of one player of ``policy`` inside the crowd's flow."""
    return facing(game, crowd).policy_values(policy, tau)


def exploitability(game: MeanFieldGame, policy: Float[Array, "T *P S A"]) -> Float[Array, ""]:
    """max_π' J(π'; flow of π) − J(π; flow of π) ≥ 0, over all populations; 0 exactly at equilibrium.

    Source: arXiv 2007.03458, section 2 (one population); NashConv of a mean field game.
    """
    return FlowProblem(game).measure(policy).exploitability


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class FlowProblem:
    """A plain mean field game as solvers see it: policies are arrays ``[T, *P, S, A]``.

    Attributes:
        game: the game.
        tables: what the game says whatever the crowd does; None to compute it where it is needed.
        dtype: float32 or float64 (which needs ``jax_enable_x64``) of the policies made here; by default that
            of the game's start, which follows jax.
    """

    game: MeanFieldGame
    tables: Tables | None = None
    dtype: Any = field(default=None, metadata={"static": True})

    def prepared(self) -> "FlowProblem":
        """With all that no policy changes computed."""
        dtype = jax.eval_shape(self.uniform).dtype
        return self if self.tables is not None else replace(self, tables=game_tables(self.game, dtype))

    def uniform(self) -> Float[Array, "T *P S A"]:
        """The policy that chooses all actions alike."""
        game, dtype = self.game, self.dtype or jax.eval_shape(self.game.init).dtype
        shape = (game.horizon, *game.populations, game.n_states, game.n_actions)
        return jnp.full(shape, 1.0 / game.n_actions, dtype)

    def facing(self, policy: Float[Array, "T *P S A"]) -> DecisionProblem:
        """What one player faces while everybody else plays the policy."""
        tables = self._tables(policy.dtype)
        return _inside(self.game, tables, *_run(self.game, tables, policy, keep=True))

    def inside(self, crowd: Float[Array, "T *P S A"]) -> DecisionProblem:
        """What one player faces inside a crowd whose flow is given, and need not be that of any policy."""
        return _inside(self.game, self._tables(crowd.dtype), crowd, None)

    def best_response_values(
        self, policy: Float[Array, "T *P S A"], tau: Entropy = None
    ) -> Float[Array, "T *P S A"]:
        """Q* against the flow of the policy."""
        return self.facing(policy).best_response_values(tau)

    def policy_values(
        self, policy: Float[Array, "T *P S A"], tau: Entropy = None
    ) -> Float[Array, "T *P S A"]:
        """Q of the policy in its own flow."""
        return self.facing(policy).policy_values(policy, tau)

    def true_value(self, policy: Float[Array, "T *P S A"], key: Key[Array, ""], paths: int = 0) -> Array:
        """The value itself: nothing is approximated."""
        del key, paths
        return self.facing(policy).crowd_value(policy)

    def visits(
        self, policy: Float[Array, "T *P S A"], crowd: Float[Array, "T *P S A"]
    ) -> PyTree[Float[Array, "T *P S"]]:
        """State occupancy of one player inside the flow of the crowd's policy."""
        return self.facing(crowd).visits(policy)

    def measure(self, policy: Float[Array, "T *P S A"], tau: Entropy = None) -> Gap:
        """Exploitability, and the value that is earned; both summed over populations."""
        around = self.facing(policy)
        best = jnp.sum(around.start * best_value(around.best_response_values(tau)[0], tau))
        value = around.crowd_value(policy, tau)
        return Gap(best - value, value)

    def _tables(self, dtype: Any) -> Tables:
        return game_tables(self.game, dtype) if self.tables is None else self.tables


def _run(
    game: MeanFieldGame, tables: Tables, policy: Array, keep: bool
) -> tuple[Float[Array, "T *P S A"], Kernel | None]:
    """The flow, and the kernels along it if they are worth keeping."""
    moves = None if tables.kernel is None else policy_moves(cast(tables.kernel, policy.dtype), policy)
    if moves is not None:
        mean_field = moves.follow(game.init().astype(policy.dtype))
        # Where no crowd changes the kernel the flow is linear, so that its rounding is mended all at once.
        mean_field = mean_field / jnp.sum(mean_field, axis=-1, keepdims=True)
        return mean_field[..., None] * policy, None
    moved = tables.kernel is None
    crowd_now = jax.ShapeDtypeStruct(policy.shape[1:], policy.dtype)
    shapes = jax.tree.leaves(jax.eval_shape(game.kernel, 0, crowd_now)) if moved else []
    keep = keep and moved and game.horizon * sum(math.prod(leaf.shape) for leaf in shapes) <= _MOST_KEPT
    constant = None if moved or tables.kernel_in_time else tables.kernel
    along = tables.kernel if not moved and tables.kernel_in_time else None

    def step(mean_field: Array, at: tuple) -> tuple[Array, tuple]:
        time, pi, of_time = at
        crowd = mean_field[..., None] * pi
        kernel = game.kernel(time, crowd) if moved else of_time if constant is None else constant
        kernel = cast(kernel, policy.dtype)
        following = push(kernel, crowd)
        # Rounding would lose a millionth of the crowd in a thousand steps of float32.
        following = following / jnp.sum(following, axis=-1, keepdims=True)
        return following, (crowd, kernel if keep else None)

    times = jnp.arange(game.horizon, dtype=jnp.int32)
    return jax.lax.scan(step, game.init().astype(policy.dtype), (times, policy, along))[1]


def _inside(game: MeanFieldGame, tables: Tables, crowd: Array, kernel: Kernel | None) -> DecisionProblem:
    dtype = crowd.dtype
    if tables.kernel is not None:
        tables = replace(tables, kernel=cast(tables.kernel, dtype))
    if tables.reward is None:
        reward = jax.vmap(game.reward)(jnp.arange(game.horizon, dtype=jnp.int32), crowd)
    else:
        reward = jnp.broadcast_to(tables.reward, crowd.shape)
    return DecisionProblem(game, tables, game.init().astype(dtype), crowd, reward.astype(dtype), kernel)
