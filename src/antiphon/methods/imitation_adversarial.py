"""Adversarial imitation in a population: be where the experts are, though a critic looks for the difference.

The critic sees how imitators and experts are spread over states and actions, and pays where imitators are too
few. Its best choice has a closed form, the slope of the divergence, so that it needs no training. What tells
the two methods apart is what a change of the policy moves: in a frozen population one player, by mean field
control everybody.
"""

from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from antiphon.core import simplex
from antiphon.core.errors import UserError
from antiphon.equilibrium import FlowProblem, flow
from antiphon.equilibrium.flow import occupancy

Population = Literal["vanilla", "mfc"]
Divergence = Literal["l1", "l2", "js"]


_HALVINGS = 8
"""Step lengths 2 η, η, η/2 and so on that are tried at once."""


class ImitationState(NamedTuple):
    """Log-probabilities of the policy, and the length of its last step."""

    log_policy: Float[Array, "T S A"]
    step_size: Float[Array, ""]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class AdversarialImitation:
    """Minimises Σ_t D(μ_t, μ^E_t) over policies, by mirror descent on what each action deserves.

    credit_t(s, a) = −∂ Σ D / ∂π_t(a|s) / μ_t(s), and log π ← log_softmax(log π + η credit) with the best of
    eight lengths η around the last one; a step that would not descend is not made. In a frozen population the
    credit is the Q-value of the critic's reward −∂D/∂μ; by mean field control it also holds what the action
    does to the kernel of all others, because the flow itself is differentiated.

    A ``Solver`` of a plain game of one population: the exploitability that ``solve`` keeps is the Nash
    imitation gap. The method does not read the reward.

    Attributes:
        target: μ^E as demonstrated, joint distributions of state and action, [T, S, A].
        population: "vanilla" moves one player inside the frozen flow of the experts; "mfc" moves everybody.
        divergence: D. "js" is the Jensen–Shannon divergence, the critic of GAIL, and by far the fastest here;
            "l1" is Σ √(d² + w²) − w, the critic of total variation with rounded corners; "l2" is ½ Σ d².
        step_size: η of the first step.
        width: w, in units of probability.

    Source: arXiv 2306.14799 (adversarial imitation and mean field control); GAIL is arXiv 1606.03476.
    Differs from the paper, whose algorithms were out of reach: the critic is exact and the model is known, so
    that what is measured is the proxy and not its training.
    """

    target: Float[Array, "T S A"]
    population: str = field(default="mfc", metadata={"static": True})
    divergence: str = field(default="js", metadata={"static": True})
    step_size: float | Float[Array, ""] = 1.0
    width: float | Float[Array, ""] = 1e-3

    def __post_init__(self) -> None:
        """Refuses what is not known."""
        for name, kinds in (("population", Population), ("divergence", Divergence)):
            if getattr(self, name) not in get_args(kinds):
                raise UserError(
                    name, f"there is no {name} {getattr(self, name)!r}", f"use {' or '.join(get_args(kinds))}"
                )

    def init(self, problem: Any, policy: Float[Array, "T S A"]) -> ImitationState:
        """Starts from a policy; actions that it never takes get the smallest number's logarithm."""
        del problem
        log_policy = simplex.safe_log(policy)
        return ImitationState(log_policy, jnp.asarray(self.step_size, log_policy.dtype))

    def step(self, problem: Any, state: ImitationState) -> ImitationState:
        """One mirror step towards what the critic pays for."""
        policy = jnp.exp(state.log_policy)
        credit = self.credit(problem, policy)

        def tried(eta: Array) -> tuple[Array, Array]:
            log_policy = simplex.mirror_step(state.log_policy, eta * credit, 1.0)
            return log_policy, self.loss(problem, jnp.exp(log_policy))

        etas = state.step_size * 2.0 ** jnp.arange(1, 1 - _HALVINGS, -1, dtype=state.step_size.dtype)
        log_policies, losses = jax.vmap(tried)(etas)
        best = jnp.argmin(jnp.where(jnp.isnan(losses), jnp.inf, losses))
        descends = losses[best] < self.loss(problem, policy)
        return ImitationState(
            jnp.where(descends, log_policies[best], state.log_policy),
            jnp.where(descends, etas[best], jnp.maximum(etas[-1], 1e-12)),
        )

    def policy(self, state: ImitationState) -> Float[Array, "T S A"]:
        """Probabilities of the log-probabilities."""
        return jnp.exp(state.log_policy)

    def loss(self, problem: FlowProblem, policy: Float[Array, "T S A"]) -> Float[Array, ""]:
        """Σ_t D(μ_t, μ^E_t): what is minimised."""
        return jnp.sum(self.distance(self._seen(problem, policy)))

    def credit(self, problem: FlowProblem, policy: Float[Array, "T S A"]) -> Float[Array, "T S A"]:
        """What each action deserves of the critic, 0 in states that nobody meets."""
        seen, pull = jax.vjp(lambda policy: self._seen(problem, policy), policy)
        (slope,) = pull(self.reward(seen))
        visits = jnp.sum(seen, axis=-1, keepdims=True)
        met = visits > jnp.finfo(visits.dtype).tiny
        return jnp.where(met, slope / jnp.where(met, visits, 1.0), 0.0)

    def distance(self, seen: Float[Array, "T S A"]) -> Float[Array, "T"]:
        """D(μ_t, μ^E_t) at each time."""
        apart = seen - self.target
        if self.divergence == "l1":
            return jnp.sum(jnp.sqrt(apart**2 + self.width**2) - self.width, axis=(1, 2))
        if self.divergence == "l2":
            return 0.5 * jnp.sum(apart**2, axis=(1, 2))
        middle = simplex.safe_log((seen + self.target) / 2)
        both = (p * (simplex.safe_log(p) - middle) for p in (seen, self.target))
        return 0.5 * jnp.sum(sum(both, jnp.zeros_like(seen)), axis=(1, 2))

    def reward(self, seen: Float[Array, "T S A"]) -> Float[Array, "T S A"]:
        """The critic's: −∂D/∂μ, in [−1, 1] for "l1", ½ log of the share of experts' excess for "js"."""
        apart = seen - self.target
        if self.divergence == "l1":
            return -apart / jnp.sqrt(apart**2 + self.width**2)
        if self.divergence == "l2":
            return -apart
        return 0.5 * (simplex.safe_log((seen + self.target) / 2) - simplex.safe_log(seen))

    def _seen(self, problem: FlowProblem, policy: Array) -> Array:
        if self.population == "mfc":
            return flow(problem.game, policy)
        return occupancy(problem.game, policy, self.target.astype(policy.dtype))
