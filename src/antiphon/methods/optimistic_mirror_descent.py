"""Optimistic mirror descent: step by the values that the last change lets one expect, at one flow a step."""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from antiphon.core import simplex
from antiphon.equilibrium.problem import Policy, Problem
from antiphon.methods.mirror_descent import mirror


class OptimisticState(NamedTuple):
    """Log-probabilities, and the values of the policy before."""

    log_policy: Policy
    values: Policy


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class OptimisticMirrorDescent:
    """π ← mirror(π, η (2 Q_k − Q_{k−1})): the last change of the values is expected to happen again.

    It converges on cyclic games, as :class:`antiphon.methods.mirror_descent.ExtragradientMirrorDescent`
    does, for half the price of a step.

    Attributes:
        step_size: η, per unit of reward; must be small against the game's steepness.

    Source: Popov 1980; Rakhlin and Sridharan, arXiv 1311.1869, with the last values as the prediction.
    """

    step_size: float | Float[Array, ""] = 0.1

    def init(self, problem: Problem, policy: Policy) -> OptimisticState:
        """Starts from a policy, whose values are those expected."""
        return OptimisticState(jax.tree.map(simplex.safe_log, policy), problem.policy_values(policy))

    def step(self, problem: Problem, state: OptimisticState) -> OptimisticState:
        """One mirror step towards the values that are expected next."""
        values = problem.policy_values(self.policy(state))
        expected = jax.tree.map(lambda new, old: 2 * new - old, values, state.values)
        return OptimisticState(mirror(state.log_policy, expected, self.step_size), values)

    def policy(self, state: OptimisticState) -> Policy:
        """Probabilities of the log-probabilities."""
        return jax.tree.map(jnp.exp, state.log_policy)
