"""Major–minor games that never end, on a partition of the simplex: value iteration in one compiled loop."""

import math
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from antiphon.core.errors import UserError
from antiphon.equilibrium.fixpoint import discounted_fixpoint
from antiphon.equilibrium.game import Players
from antiphon.equilibrium.partition import AmongPlayers, Entropy, PartitionProblem
from antiphon.equilibrium.problem import Gap
from antiphon.equilibrium.rollouts import rollout

Number = float | Float[Array, ""]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class DiscountedProblem:
    """A major–minor game without an end; made by :func:`discounted`.

    A policy does not see the time: ``Players(minor [X, X0, M, U], major [X0, M, U0])``. Everybody earns
    Σ_t γ^t r_t from the game's start on, whose horizon does not count.

    Attributes:
        partition: the game on its grid.
        discount: γ.
        tolerance: of values, relative.
        steps: how long a roll-out for the true value is; what comes later is worth γ^steps of the whole.
    """

    partition: PartitionProblem
    discount: Number
    tolerance: Number
    steps: int = field(metadata={"static": True})

    @property
    def game(self) -> object:
        """The game that is approximated."""
        return self.partition.game

    @property
    def grid(self) -> object:
        """The mean fields."""
        return self.partition.grid

    def uniform(self) -> Players:
        """The policies that choose all actions alike."""
        return jax.tree.map(lambda leaf: leaf[0], self.partition.uniform())

    def prepared(self) -> "DiscountedProblem":
        """Itself: all its tables are made when it is."""
        return self

    def facing(self, policy: Players) -> AmongPlayers:
        """What a player faces while all others keep to the policies."""
        return AmongPlayers(self, policy)

    def best_response_values(self, policy: Players, tau: Entropy = None) -> Players:
        """Q* of a minor player and of the major player, each against the policies of all others."""
        return self.sweep(policy, ("best",), tau)[0]

    def policy_values(self, policy: Players, tau: Entropy = None) -> Players:
        """Q of both players under the policies."""
        return self.sweep(policy, ("own",), tau)[0]

    def visits(self, policy: Players, crowd: Players) -> Players:
        """Not defined, as on every partition."""
        return self.facing(crowd).visits(policy)

    def measure(self, policy: Players, tau: Entropy = None) -> Gap:
        """Exploitability and value of both players at the initial mean field."""
        best, own = self.sweep(policy, ("best", "own"), tau)
        return self.partition.gap_at_start(best, own, policy, tau)

    def true_value(self, policy: Players, key: Key[Array, ""], paths: int = 256) -> Players:
        """Mean over ``paths`` roll-outs of the continuous mean field, ``steps`` long."""
        rollouts = rollout(self.partition, policy, key, paths, discount=self.discount, steps=self.steps)
        return Players(*(jnp.mean(value) for value in rollouts.value))

    def sweep(
        self, policy: Players, kinds: tuple[str, ...], tau: Entropy = None, bonus: Players | None = None
    ) -> tuple[Players, ...]:
        """Q of the asked kinds, by value iteration of all of them at once."""

        def back(value: Array) -> tuple[Array, tuple[Players, ...]]:
            return self.partition.step_back(value, policy, kinds, tau, bonus, self.discount)

        start = self.partition.nothing_ahead(len(kinds))
        value = discounted_fixpoint(lambda v: back(v)[0], start, self.discount, self.tolerance)
        return back(value)[1]


def discounted(
    problem: PartitionProblem, discount: float = 0.99, tolerance: float = 1e-9
) -> DiscountedProblem:
    """The game of a partition without an end, γ^t being the worth of what is earned at time t.

    Args:
        problem: the game on its grid, made by :func:`antiphon.equilibrium.partition`.
        discount: γ, above 0 and below 1.
        tolerance: of values, relative to the largest; rounding is the limit.

    Raises:
        UserError: a discount outside (0, 1).

    Source: arXiv 2312.10787, section 2 (infinite horizon; γ = 0.99 in the authors' program).
    """
    if not 0 < discount < 1:
        raise UserError("discount", f"discount is {discount}", "give a number in (0, 1)")
    # A ten-thousandth of a value is far below the sampling error of its roll-outs.
    return DiscountedProblem(problem, discount, tolerance, math.ceil(math.log(1e-4) / math.log(discount)))
