"""How hard the world is after so many steps: a level that rises from 0 to 1."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from antiphon.core.errors import UserError

_EXTENT = 4.5


@dataclass(frozen=True)
class Curriculum:
    """A level in [0, 1] that rises between two times.

    linear: u; sigmoid: (σ(4.5(2u − 1)) − σ(−4.5)) / (σ(4.5) − σ(−4.5)), with u = (t − begin)/(end − begin)
    clipped to [0, 1].

    Attributes:
        begin: control steps of one environment before the level rises.
        end: control steps after which it is 1.
        shape: "linear" or "sigmoid".

    Raises:
        UserError: an end before the beginning, or another shape.

    Source: arXiv 2310.04266, its published simulator (rate functions; extent 4.5).
    """

    begin: int
    end: int
    shape: str = "sigmoid"

    def __post_init__(self) -> None:
        if not 0 <= self.begin < self.end:
            raise UserError(
                "field",
                f"a curriculum cannot go from step {self.begin} to step {self.end}",
                "give 0 <= begin < end",
            )
        if self.shape not in ("linear", "sigmoid"):
            raise UserError("field", f"there is no curriculum {self.shape!r}", "choose linear or sigmoid")

    def level(self, step: Int[Array, ""]) -> Float[Array, ""]:
        """The level after a number of control steps."""
        share = jnp.clip((step - self.begin) / (self.end - self.begin), 0.0, 1.0)
        if self.shape == "linear":
            return share
        low, high = jax.nn.sigmoid(-_EXTENT), jax.nn.sigmoid(_EXTENT)
        return (jax.nn.sigmoid(_EXTENT * (2 * share - 1)) - low) / (high - low)


@dataclass(frozen=True)
class Curricula:
    """What grows, each at its own pace; None is at full strength from the start.

    Attributes:
        spawn: initial distances grow from `first_distance` to those of the task.
        first_distance: least and greatest initial distance at level 0, m.
        disturbances: all magnitudes of the disturbances, and the chance of failures.
        penalties: the costs in the reward of air, switching and spin.
    """

    spawn: Curriculum | None = None
    first_distance: tuple[float, float] = (0.5, 2.5)
    disturbances: Curriculum | None = None
    penalties: Curriculum | None = None

    def distance(
        self, last: tuple[float, float], step: Int[Array, ""]
    ) -> tuple[float | Float[Array, ""], float | Float[Array, ""]]:
        """Least and greatest initial distance at a step, on the way to `last`."""
        if self.spawn is None:
            return last
        level = self.spawn.level(step)
        low, high = (a + level * (b - a) for a, b in zip(self.first_distance, last, strict=True))
        return low, high


def level_of(curriculum: Curriculum | None, step: Int[Array, ""]) -> float | Float[Array, ""]:
    """The level, or 1 without a curriculum: a plain number, so that nothing is computed."""
    return 1.0 if curriculum is None else curriculum.level(step)
