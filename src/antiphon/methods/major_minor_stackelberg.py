"""Stackelberg-like fictitious play: the crowd answers several times for each answer of the major player."""

from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
from jaxtyping import Float

from antiphon.core.errors import UserError
from antiphon.equilibrium.game import Players
from antiphon.equilibrium.problem import Problem
from antiphon.methods.fictitious_play import FictitiousPlay, FictitiousPlayState


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class StackelbergFictitiousPlay:
    """One update of the major player, then ``inner`` updates of the minor players, and so on.

    Attributes:
        inner: minor updates after each major update.
        temperature: as in :class:`FictitiousPlay`.

    Source: arXiv 2312.10787 (variant "sfp" of the authors' program: inner 5, and one counter for both
    players).
    """

    inner: int = field(default=5, metadata={"static": True})
    temperature: float | Float[jax.Array, ""] | None = None

    def __post_init__(self) -> None:
        """Refuses to leave the crowd without updates."""
        if self.inner < 1:
            raise UserError("inner", f"inner is {self.inner}", "give at least one minor update")

    def init(self, problem: Problem, policy: Players) -> FictitiousPlayState:
        """Starts from the policies of both."""
        return self._play().init(problem, policy)

    def step(self, problem: Problem, state: FictitiousPlayState) -> FictitiousPlayState:
        """One update of whose turn it is."""
        moved = self._play().step(problem, state)
        major_turn = state.iteration % (self.inner + 1) == 0
        policy = Players(
            jnp.where(major_turn, state.policy.minor, moved.policy.minor),
            jnp.where(major_turn, moved.policy.major, state.policy.major),
        )
        return FictitiousPlayState(policy, moved.iteration)

    def policy(self, state: FictitiousPlayState) -> Players:
        """The averages."""
        return state.policy

    def _play(self) -> FictitiousPlay:
        return FictitiousPlay("plain", temperature=self.temperature)
