"""What a controller is to hold: prices of errors, zero for those a task does not care about."""

from dataclasses import dataclass

import jax
from jaxtyping import Array, Float

from antiphon.worlds.platform.tasks import Task


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Weights:
    """Prices of squared errors in the quadratic cost of an LQR, each per control step.

    Attributes:
        position: per m².
        heading: per rad².
        velocity: per (m/s)².
        angular_velocity: per (rad/s)².
    """

    position: float | Float[Array, ""] = 1.0
    heading: float | Float[Array, ""] = 1.0
    velocity: float | Float[Array, ""] = 0.5
    angular_velocity: float | Float[Array, ""] = 0.1


POSE = Weights()
"""For a pose, and for docking at one."""
AUTHORS = Weights(position=1.0, heading=0.25, velocity=5.0, angular_velocity=1.0)
"""Of the classical baseline of arXiv 2310.04266, its quaternion's price turned into one of the heading."""


def weights_for(task: Task) -> Weights:
    """The weights with which a controller does a task: what the target does not fix is only damped."""
    tracks = task.velocity or task.angular_velocity
    return Weights(
        position=1.0 if task.position else 0.0,
        heading=1.0 if task.heading else 0.0,
        # A passage is to be quick, so speed costs little there.
        velocity=1.0 if tracks else 0.5 if task.passage in (None, "dock") else 0.1,
        angular_velocity=1.0 if task.angular_velocity else 0.1,
    )
