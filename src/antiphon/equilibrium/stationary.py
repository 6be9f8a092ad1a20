"""Plain games that never end: a crowd that stays as it is, and players who discount."""

from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from antiphon.core.errors import UserError
from antiphon.equilibrium.decision import Entropy
from antiphon.equilibrium.dependence import reads
from antiphon.equilibrium.fixpoint import discounted_fixpoint, stationary_distribution
from antiphon.equilibrium.game import MeanFieldGame
from antiphon.equilibrium.kernel import Kernel, cast, expect, push
from antiphon.equilibrium.problem import Gap, best_value, mean_value
from antiphon.equilibrium.tables import Tables, game_tables

Number = float | Float[Array, ""]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class StationaryDecision:
    """What one player faces inside a crowd that stays as it is.

    Attributes:
        kernel: inside the crowd.
        reward: inside the crowd, [*P, S, A].
        crowd: joint distribution of everybody's states and actions, [*P, S, A].
        discount: γ.
        tolerance: of values and distributions.
    """

    kernel: Kernel
    reward: Float[Array, "*P S A"]
    crowd: Float[Array, "*P S A"]
    discount: Number
    tolerance: Number

    @property
    def seen(self) -> Float[Array, "*P S"]:
        """Where everybody is: the mean field."""
        return jnp.sum(self.crowd, axis=-1)

    def best_response_values(
        self, tau: Entropy = None, bonus: Float[Array, "*P S A"] | None = None
    ) -> Float[Array, "*P S A"]:
        """Q* = r + γ P max_a Q*, with the bonus added to r."""
        return self._values(lambda q: best_value(q, tau), bonus)

    def policy_values(
        self,
        policy: Float[Array, "*P S A"],
        tau: Entropy = None,
        bonus: Float[Array, "*P S A"] | None = None,
    ) -> Float[Array, "*P S A"]:
        """Q of a player of ``policy``: Q = r + γ P Σ_a π Q."""
        return self._values(lambda q: mean_value(q, policy, tau), bonus)

    def visits(self, policy: Float[Array, "*P S A"]) -> Float[Array, "*P S"]:
        """Where a player of ``policy`` is in the long run, if it starts where everybody is."""
        return stationary_distribution(
            lambda state: push(self.kernel, state[..., None] * policy), self.seen, self.tolerance
        )

    def _values(self, close: Any, bonus: Array | None) -> Array:
        reward = self.reward if bonus is None else self.reward + bonus

        def q_of(value: Array) -> Array:
            return reward + self.discount * expect(self.kernel, value)

        start = jnp.zeros_like(self.seen)
        return q_of(discounted_fixpoint(lambda v: close(q_of(v)), start, self.discount, self.tolerance))


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class StationaryProblem:
    """A plain game without an end as solvers see it; made by :func:`stationary`.

    A policy is an array ``[*P, S, A]``. Its crowd is the distribution that it leaves as it is, reached from
    the game's start; a player begins where the crowd is and earns Σ_t γ^t r_t. The game's horizon does not
    count.

    Attributes:
        game: the game.
        discount: γ.
        tolerance: of values (relative) and distributions.
        tables: what the game says whatever the crowd does; None to compute it where it is needed.
    """

    game: MeanFieldGame
    discount: Number
    tolerance: Number
    tables: Tables | None = field(default=None)

    def prepared(self) -> "StationaryProblem":
        """With all that no policy changes computed."""
        dtype = jax.eval_shape(self.uniform).dtype
        return self if self.tables is not None else replace(self, tables=game_tables(self.game, dtype))

    def uniform(self) -> Float[Array, "*P S A"]:
        """The policy that chooses all actions alike."""
        shape = (*self.game.populations, self.game.n_states, self.game.n_actions)
        return jnp.full(shape, 1.0 / self.game.n_actions, jax.eval_shape(self.game.init).dtype)

    def facing(self, policy: Float[Array, "*P S A"]) -> StationaryDecision:
        """What one player faces while everybody else plays the policy, in the long run."""
        tables = game_tables(self.game, policy.dtype) if self.tables is None else self.tables
        now = jnp.zeros((), jnp.int32)

        def kernel(crowd: Array) -> Kernel:
            table = self.game.kernel(now, crowd) if tables.kernel is None else tables.kernel
            return cast(table, policy.dtype)

        def step(mean_field: Array) -> Array:
            crowd = mean_field[..., None] * policy
            return push(kernel(crowd), crowd)

        start = self.game.init().astype(policy.dtype)
        crowd = stationary_distribution(step, start, self.tolerance)[..., None] * policy
        reward = self.game.reward(now, crowd) if tables.reward is None else tables.reward
        return StationaryDecision(
            kernel(crowd), reward.astype(policy.dtype), crowd, self.discount, self.tolerance
        )

    def best_response_values(
        self, policy: Float[Array, "*P S A"], tau: Entropy = None
    ) -> Float[Array, "*P S A"]:
        """Q* inside the crowd of the policy."""
        return self.facing(policy).best_response_values(tau)

    def policy_values(self, policy: Float[Array, "*P S A"], tau: Entropy = None) -> Float[Array, "*P S A"]:
        """Q of the policy inside its own crowd."""
        return self.facing(policy).policy_values(policy, tau)

    def visits(self, policy: Float[Array, "*P S A"], crowd: Float[Array, "*P S A"]) -> Float[Array, "*P S"]:
        """Where a player of ``policy`` is in the long run, inside the crowd of another."""
        return self.facing(crowd).visits(policy)

    def true_value(self, policy: Float[Array, "*P S A"], key: Key[Array, ""], paths: int = 0) -> Array:
        """The value itself: nothing is approximated."""
        del key, paths
        return self.measure(policy).value

    def measure(self, policy: Float[Array, "*P S A"], tau: Entropy = None) -> Gap:
        """Exploitability E_{s ~ μ}[V* − V^π] and value E_{s ~ μ}[V^π], both summed over populations."""
        around = self.facing(policy)
        best = best_value(around.best_response_values(tau), tau)
        own = mean_value(around.policy_values(policy, tau), policy, tau)
        return Gap(jnp.sum(around.seen * (best - own)), jnp.sum(around.seen * own))


def stationary(game: MeanFieldGame, discount: float = 0.99, tolerance: float = 1e-9) -> StationaryProblem:
    """A plain game without an end, in its stationary state.

    Stationary equilibrium: μ = μ P(π, μ), and π is optimal for the discounted problem inside μ.

    Args:
        game: the game; its rules must not read the time.
        discount: γ, at least 0 and below 1.
        tolerance: of values (relative) and distributions; rounding is the limit.

    Raises:
        UserError: a discount outside [0, 1), or rules that read the time.

    Source: arXiv 1901.09585, section 2 (stationary mean field games); the measure of arXiv 2602.12517.
    """
    if not 0 <= discount < 1:
        raise UserError("discount", f"discount is {discount}", "give a number in [0, 1)")
    dtype = jax.eval_shape(game.init).dtype
    crowd = jax.ShapeDtypeStruct((*game.populations, game.n_states, game.n_actions), dtype)
    time = jax.ShapeDtypeStruct((), jnp.int32)
    kernel_in_time, _ = reads(lambda t, c: jax.tree.leaves(game.kernel(t, c)), time, crowd)
    reward_in_time, _ = reads(game.reward, time, crowd)
    if kernel_in_time or reward_in_time:
        raise UserError(
            "game", "the rules of this game read the time, so that it has no stationary state",
            "solve it with a finite horizon, as FlowProblem(game)",
        )  # fmt: skip
    # A discount of 0 would divide by zero in the bound; the smallest number does not differ from it.
    return StationaryProblem(game, max(discount, 1e-30), tolerance)
