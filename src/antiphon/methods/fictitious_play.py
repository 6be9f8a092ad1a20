"""Fictitious play: answer the average of the past, and average the answer in."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PyTree

from antiphon.core.errors import UserError
from antiphon.equilibrium.problem import Facing, Policy, Problem, greedy, soft_greedy

Averaging = Literal["visits", "plain"]


class FictitiousPlayState(NamedTuple):
    """The average policy, and how many answers it holds."""

    policy: Policy
    iteration: Int[Array, ""]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class FictitiousPlay:
    """π ← (1 − α) π + α BR(π), with α = 1/(k + 2) at iteration k = 0, 1, 2 and so on.

    For a game with a major player both answer at once, each against the others' average.

    Attributes:
        averaging: "visits" weighs each decision by how often average and answer meet it, so that the result
            is the policy of the averaged crowd; "plain" averages action probabilities, as the paper does on a
            partition of the simplex.
        step_size: a constant α; None for 1/(k + 2).
        temperature: the answer is softmax(Q / temperature) of an entropy-paid player; None for the argmax.
        split_ties: share the weight among equally good actions; otherwise the first has it.

    Source: arXiv 2007.03458, algorithm 1 (visits); arXiv 2312.10787, algorithm 1 (plain, both players at
    once).
    """

    averaging: str = field(default="visits", metadata={"static": True})
    step_size: float | Float[Array, ""] | None = None
    temperature: float | Float[Array, ""] | None = None
    split_ties: bool = field(default=False, metadata={"static": True})

    def __post_init__(self) -> None:
        """Refuses an averaging that is not known."""
        if self.averaging not in get_args(Averaging):
            raise UserError("averaging", f"there is no averaging {self.averaging!r}", "use visits or plain")
        if isinstance(self.step_size, int | float) and not 0 < self.step_size <= 1:
            raise UserError("step_size", f"step_size is {self.step_size}", "give a number in (0, 1] or none")

    def init(self, problem: Problem, policy: Policy) -> FictitiousPlayState:
        """Starts from a policy."""
        del problem
        return FictitiousPlayState(policy, jnp.zeros((), jnp.int32))

    def step(self, problem: Problem, state: FictitiousPlayState) -> FictitiousPlayState:
        """One answer, averaged in."""
        mixture = self.towards_answer(problem, state.policy)
        return FictitiousPlayState(mixture(self.share(state.iteration)), state.iteration + 1)

    def towards_answer(self, problem: Problem, policy: Policy) -> Callable[[Float[Array, ""]], Policy]:
        """From the share of the answer to the policy with the answer averaged in."""
        others = problem.facing(policy)
        answer = self._answer(others)
        if self.averaging == "plain":
            return lambda share: plain_average(policy, answer, share)
        seen, seen_by_answer = others.seen, others.visits(answer)
        return lambda share: visited_average(policy, answer, seen, seen_by_answer, share)

    def answer(self, problem: Problem, policy: Policy) -> Policy:
        """Every player's best response to the policies of all others."""
        return self._answer(problem.facing(policy))

    def _answer(self, others: Facing) -> Policy:
        values = others.best_response_values(self.temperature)
        if self.temperature is None:
            return greedy(values, self.split_ties)
        return soft_greedy(values, self.temperature)

    def share(self, count: Int[Array, ""]) -> Float[Array, ""]:
        """α, the weight of the newest answer."""
        if self.step_size is not None:
            return jnp.asarray(self.step_size)
        # In the widest float of the session: in float32 the third iteration would already differ in 1e-8.
        return 1.0 / (count + 2).astype(jnp.result_type(float))

    def policy(self, state: FictitiousPlayState) -> Policy:
        """The average."""
        return state.policy


def plain_average(policy: Policy, answer: Policy, share: Float[Array, ""]) -> Policy:
    """(1 − α) π + α answer, leaf by leaf."""
    return jax.tree.map(lambda old, new: old + share.astype(old.dtype) * (new - old), policy, answer)


def visited_average(
    policy: Policy, answer: Policy, seen: PyTree, seen_by_answer: PyTree, share: Float[Array, ""]
) -> Policy:
    """(1 − α) μ π + α μ' π', normalised: the policy of a crowd of which a share α plays the answer.

    Decisions that nobody meets keep their policy.
    """

    def of_leaf(old: Array, new: Array, mass: Array, mass_of_new: Array) -> Array:
        alpha = share.astype(old.dtype)
        weight_old = ((1 - alpha) * mass)[..., None]
        weight_new = (alpha * mass_of_new)[..., None]
        total = weight_old + weight_new
        mixed = (weight_old * old + weight_new * new) / jnp.where(total > 0, total, 1.0)
        return jnp.where(total > 0, mixed, old)

    return jax.tree.map(of_leaf, policy, answer, seen, seen_by_answer)
