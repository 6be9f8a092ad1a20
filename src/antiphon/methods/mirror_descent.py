"""Mirror descent: add up the values of actions and play their softmax; online, Munchausen, optimistic."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from antiphon.core import simplex
from antiphon.equilibrium.problem import Policy, Problem


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class MirrorDescent:
    """Online mirror descent: y ← y + η Q^π, π = softmax(y), which is the mirror step with anchor π.

    Attributes:
        step_size: η, per unit of reward.

    Source: arXiv 2103.00623, algorithm 1 (continuous time: its section 3). Differs from the paper: y starts
    at the logarithm of the start, which is 0 up to a constant for the uniform policy.
    """

    step_size: float | Float[Array, ""] = 1.0

    def init(self, problem: Problem, policy: Policy) -> Policy:
        """Log-probabilities of the start; actions it never takes get the smallest number's logarithm."""
        del problem
        return jax.tree.map(simplex.safe_log, policy)

    def step(self, problem: Problem, state: Policy) -> Policy:
        """One mirror step from the current policy towards its own values."""
        values = problem.policy_values(self.policy(state))
        return mirror(state, values, self.step_size)

    def policy(self, state: Policy) -> Policy:
        """Probabilities of the log-probabilities."""
        return jax.tree.map(jnp.exp, state)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class MunchausenMirrorDescent:
    """Mirror descent on entropy-paid values, whose fixed point is the regularised equilibrium.

    y ← (1 − η τ) y + η Q^π_τ, π = softmax(y): anchored to the past by its own log-probability, paid τ times
    its entropy. At a fixed point π = softmax(Q^π_τ / τ), the entropy-regularised equilibrium; τ → 0 is plain
    mirror descent.

    Attributes:
        step_size: η, per unit of reward; η τ ≤ 1.
        tau: price of entropy, in units of reward.

    Source: arXiv 2203.11973, section 4 (Munchausen trick: the log-policy in the reward carries the sum of
    Qs).
    """

    step_size: float | Float[Array, ""] = 1.0
    tau: float | Float[Array, ""] = 0.01

    def init(self, problem: Problem, policy: Policy) -> Policy:
        """Log-probabilities of the start."""
        del problem
        return jax.tree.map(simplex.safe_log, policy)

    def step(self, problem: Problem, state: Policy) -> Policy:
        """One mirror step towards the entropy-paid values."""
        values = problem.policy_values(self.policy(state), self.tau)

        def of_leaf(log_p: Array, q: Array) -> Array:
            # Where the past weighs (1 − ητ) the anchor is a power of the old policy.
            return jax.nn.log_softmax((1.0 - self.step_size * self.tau) * log_p + self.step_size * q, axis=-1)

        return jax.tree.map(of_leaf, state, values)

    def policy(self, state: Policy) -> Policy:
        """Probabilities of the log-probabilities."""
        return jax.tree.map(jnp.exp, state)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class ExtragradientMirrorDescent:
    """Mirror descent that first looks where a step would lead, and then steps by the values found there.

    π½ = mirror(π, η Q^π); π ← mirror(π, η Q^{π½}). On cyclic games, where plain mirror descent turns in
    circles or spirals away, the last iterate converges.

    Attributes:
        step_size: η, per unit of reward; must be small against the game's steepness.

    Source: Korpelevich 1976; mirror-prox, Nemirovski 2004, section 3.
    """

    step_size: float | Float[Array, ""] = 0.1

    def init(self, problem: Problem, policy: Policy) -> Policy:
        """Log-probabilities of the start."""
        del problem
        return jax.tree.map(simplex.safe_log, policy)

    def step(self, problem: Problem, state: Policy) -> Policy:
        """A look ahead, and a step."""
        half = mirror(state, problem.policy_values(self.policy(state)), self.step_size)
        return mirror(state, problem.policy_values(self.policy(half)), self.step_size)

    def policy(self, state: Policy) -> Policy:
        """Probabilities of the log-probabilities."""
        return jax.tree.map(jnp.exp, state)


def mirror(log_policy: Policy, values: Policy, step_size: float | Float[Array, ""]) -> Policy:
    """The shared mirror step, leaf by leaf: anchor the policy, credit its values, τ = 1/η."""
    return jax.tree.map(lambda log_p, q: simplex.mirror_step(log_p, step_size * q, 1.0), log_policy, values)
