"""Prior descent: soft answers around a prior policy, which follows them now and then."""

from dataclasses import dataclass, field
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from antiphon.core import simplex
from antiphon.core.errors import UserError
from antiphon.equilibrium.problem import Policy, Problem


class PriorDescentState(NamedTuple):
    """The policy and the prior as log-probabilities, and how many answers there were."""

    log_policy: Policy
    log_prior: Policy
    iteration: Int[Array, ""]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class PriorDescent:
    """π ← prior · exp(Q / η), normalised; and every ``inner`` answers prior ← π.

    With ``paid`` Q is that of a player whose reward is r − η KL(π‖prior) at each decision, whose answer this
    is exactly; for a large η the inner iteration contracts, and letting the prior follow lowers the price of
    that. Without, Q is the best response's in the game itself.

    Attributes:
        temperature: η > 0, in units of reward.
        inner: answers to one prior; 0 to keep the first prior for ever.
        paid: whether Q counts the relative entropy.

    Source: arXiv 2102.01585, section 4 (relative entropy, prior descent). ``paid=False`` is what MFGLib's
    PriorDescent computes (arXiv 2206.08781).
    """

    temperature: float | Float[Array, ""] = 1.0
    inner: int = field(default=10, metadata={"static": True})
    paid: bool = field(default=True, metadata={"static": True})

    def __post_init__(self) -> None:
        """Refuses a temperature that is not positive."""
        if isinstance(self.temperature, int | float) and self.temperature <= 0:
            raise UserError("temperature", f"temperature is {self.temperature}", "give a number > 0")
        if self.inner < 0:
            raise UserError(
                "inner", f"inner is {self.inner}", "give a number of answers, or 0 for a fixed prior"
            )

    def init(self, problem: Problem, policy: Policy) -> PriorDescentState:
        """Starts from a policy, which is also the first prior."""
        del problem
        log_policy = jax.tree.map(simplex.safe_log, policy)
        return PriorDescentState(log_policy, log_policy, jnp.zeros((), jnp.int32))

    def step(self, problem: Problem, state: PriorDescentState) -> PriorDescentState:
        """One answer around the prior."""
        others = problem.facing(self.policy(state))
        if self.paid:
            # −η KL(π‖prior) = η entropy(π) + ⟨π, η log prior⟩: a price of entropy and a bonus.
            bonus = jax.tree.map(lambda log_q: self.temperature * log_q, state.log_prior)
            values = others.best_response_values(self.temperature, bonus)
            answer = jax.tree.map(lambda q: jax.nn.log_softmax(q / self.temperature, axis=-1), values)
        else:
            values = others.best_response_values()
            answer = jax.tree.map(
                lambda log_q, q: simplex.mirror_step(log_q, q, self.temperature), state.log_prior, values
            )
        done = state.iteration + 1
        if self.inner == 0:
            return PriorDescentState(answer, state.log_prior, done)
        follows = done % self.inner == 0
        prior = jax.tree.map(lambda new, old: jnp.where(follows, new, old), answer, state.log_prior)
        return PriorDescentState(answer, prior, done)

    def policy(self, state: PriorDescentState) -> Policy:
        """Probabilities of the log-probabilities."""
        return jax.tree.map(jnp.exp, state.log_policy)
