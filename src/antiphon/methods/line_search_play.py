"""Fictitious play that goes as far towards the answer as pays best."""

from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from antiphon.core.errors import UserError
from antiphon.equilibrium.problem import Policy, Problem
from antiphon.methods.fictitious_play import FictitiousPlay, FictitiousPlayState


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class LineSearchPlay:
    """π ← (1 − α) π + α BR(π) with the α of 1/(k + 2), 1, ½, ¼, … that leaves the least exploitability.

    Exploitabilities of several kinds of players are added. Each step measures all candidates, and so costs
    as much as ``candidates`` steps without the search.

    Attributes:
        play: how answers are found and averaged in; its own step size is one of the candidates.
        candidates: how many shares are tried, at least 2.

    Source: the exact line search of Frank and Wolfe 1956, of which fictitious play in a potential game is an
    instance (arXiv 2103.00623 compares step sizes 1/k and constant; it has no line search).
    """

    play: FictitiousPlay = field(default_factory=FictitiousPlay)
    candidates: int = field(default=12, metadata={"static": True})

    def __post_init__(self) -> None:
        """Refuses to search among fewer than two."""
        if self.candidates < 2:
            raise UserError("candidates", f"candidates is {self.candidates}", "try at least two shares")

    def init(self, problem: Problem, policy: Policy) -> FictitiousPlayState:
        """Starts from a policy."""
        return self.play.init(problem, policy)

    def step(self, problem: Problem, state: FictitiousPlayState) -> FictitiousPlayState:
        """One answer, averaged in with the best share."""
        mixture = self.play.towards_answer(problem, state.policy)
        usual = self.play.share(state.iteration)
        # From the whole answer down to a sixteenth of the usual share, even on a logarithmic axis.
        finest = usual / 16
        ladder = finest ** jnp.linspace(0, 1, self.candidates - 1, dtype=usual.dtype)
        shares = jnp.concatenate([usual[None], ladder])

        def remaining(share: Float[Array, ""]) -> Float[Array, ""]:
            gap = problem.measure(mixture(share), self.play.temperature)
            return sum(jax.tree.leaves(gap.exploitability), jnp.zeros((), usual.dtype))

        # One after the other: side by side they would not fit where a policy is large.
        best: Array = shares[jnp.argmin(jax.lax.map(remaining, shares))]
        return FictitiousPlayState(mixture(best), state.iteration + 1)

    def policy(self, state: FictitiousPlayState) -> Policy:
        """The average."""
        return state.policy
