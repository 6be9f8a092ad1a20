"""What the platform is asked to do, by name: the target, how it is drawn, and what counts as done.

Nothing here imports jax, because a robot's computer reads it too.
"""

import difflib
from dataclasses import dataclass
from typing import Any, NamedTuple

from jaxtyping import Float

from antiphon.core.errors import UserError


class SpatialTarget(NamedTuple):
    """What is to be met in space, world frame.

    Attributes:
        position: m, [..., 3].
        orientation: unit quaternion (w, x, y, z), [..., 4].
    """

    position: Float[Any, "*B 3"]
    orientation: Float[Any, "*B 4"]


class Target(NamedTuple):
    """What is to be met, in the world frame; fields that a task does not use are zero.

    Attributes:
        position: m, [..., 2].
        heading: rad; for a gate or a dock, the direction of passage, [...].
        velocity: m/s, [..., 2].
        angular_velocity: rad/s, [...].
    """

    position: Float[Any, "*B 2"]
    heading: Float[Any, "*B"]
    velocity: Float[Any, "*B 2"]
    angular_velocity: Float[Any, "*B"]


@dataclass(frozen=True)
class Spawn:
    """Where episodes begin, every quantity uniform: direction and headings over the whole circle.

    Attributes:
        distance: least and greatest distance from the target, m.
        speed: greatest initial speed, m/s.
        angular_speed: greatest initial |ω|, rad/s.
        target_speed: greatest |component| of the target velocity, m/s.
        target_angular_speed: greatest |target ω|, rad/s.
    """

    distance: tuple[float, float] = (0.0, 4.5)
    speed: float = 0.0
    angular_speed: float = 0.0
    target_speed: float = 0.0
    target_angular_speed: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.distance[0] <= self.distance[1]:
            raise UserError(
                "field",
                f"spawn.distance {self.distance} is not a range of distances",
                "give (least, greatest), both at least 0",
            )
        for name in ("speed", "angular_speed", "target_speed", "target_angular_speed"):
            if not getattr(self, name) >= 0:
                raise UserError(
                    "field",
                    f"spawn.{name} is {getattr(self, name)}",
                    "give the greatest magnitude, at least 0",
                )


@dataclass(frozen=True)
class Tolerance:
    """What is near enough.

    Attributes:
        position: m.
        heading: rad.
        velocity: m/s.
        angular_velocity: rad/s.
    """

    position: float = 0.01
    heading: float = 0.025
    velocity: float = 0.01
    angular_velocity: float = 0.025


@dataclass(frozen=True)
class Task:
    """A task of the planar platform.

    Attributes:
        name: what the command line calls it.
        about: one line.
        position: whether the target's place is to be met.
        heading: whether its heading is.
        velocity: whether its velocity is.
        angular_velocity: whether its turning is.
        passage: None to arrive and stay; else what ends the episode: reaching a "point", a "pose", crossing
            a "gate"; "dock" stays in a cone, and leaving the cone near the dock ends it.
        spawn: where training episodes begin.
        tolerance: what counts as met.
        bound: distance from the target beyond which an episode is lost, m.
        label: the number of the task in the authors' observation; None where they have none.
    """

    name: str
    about: str
    position: bool = False
    heading: bool = False
    velocity: bool = False
    angular_velocity: bool = False
    passage: str | None = None
    spawn: Spawn = Spawn()
    tolerance: Tolerance = Tolerance()
    bound: float = 8.0
    label: int | None = None


# For passages: wide enough that one control step at walking pace cannot jump over it unseen.
_PASSING = Tolerance(position=0.1, heading=0.2)
_MOVING = Spawn(distance=(0.5, 4.5), speed=0.3, angular_speed=0.3)

TASKS: tuple[Task, ...] = (
    Task("go-to-xy", "reach a point and stay", position=True, label=0),
    Task("go-to-pose", "reach a point and a heading and stay", position=True, heading=True, label=1),
    Task(
        "track-xy-velocity",
        "move with a velocity",
        velocity=True,
        spawn=Spawn(distance=(0.0, 0.0), speed=0.3, angular_speed=0.3, target_speed=0.5),
        bound=500.0,
        label=2,
    ),
    Task(
        "track-xyo-velocity",
        "move with a velocity while turning at a rate",
        velocity=True,
        angular_velocity=True,
        spawn=Spawn((0.0, 0.0), 0.3, 0.3, target_speed=0.5, target_angular_speed=0.5),
        bound=500.0,
        label=3,
    ),
    Task(
        "track-velocity-heading",
        "move with a velocity while facing a heading",
        velocity=True,
        heading=True,
        spawn=Spawn((0.0, 0.0), 0.3, 0.3, target_speed=0.5),
        bound=500.0,
        label=4,
    ),
    Task(
        "go-through-position",
        "pass through a point, quickly",
        position=True,
        passage="point",
        spawn=_MOVING,
        tolerance=_PASSING,
    ),
    Task(
        "go-through-pose",
        "pass through a point while facing a heading, quickly",
        position=True,
        heading=True,
        passage="pose",
        spawn=_MOVING,
        tolerance=_PASSING,
    ),
    Task(
        "go-through-gate",
        "cross a gate the right way without touching its posts, quickly",
        position=True,
        heading=True,
        passage="gate",
        spawn=_MOVING,
        tolerance=_PASSING,
    ),
    Task(
        "dock",
        "come to rest at a pose, approaching inside a cone",
        position=True,
        heading=True,
        passage="dock",
        spawn=Spawn(distance=(0.5, 3.0)),
        tolerance=Tolerance(position=0.02, heading=0.05, velocity=0.05),
    ),
)

SPATIAL_TASKS: tuple[Task, ...] = (
    Task("go-to-xyz", "reach a point in space and stay", position=True, spawn=Spawn(distance=(0.0, 4.5))),
    Task(
        "go-to-pose-6dof",
        "reach a point and an attitude in space and stay",
        position=True,
        heading=True,
        spawn=Spawn(distance=(0.0, 4.5)),
    ),
)
"""Tasks of the platform in six degrees of freedom; `heading` stands for the attitude."""


def find_spatial_task(name: str) -> Task:
    """The six-degree task of a name.

    Raises:
        UserError: there is no such task; the nearest names are offered.
    """
    return _find(name, SPATIAL_TASKS)


def find_task(name: str) -> Task:
    """The planar task of a name.

    Raises:
        UserError: there is no such task; the nearest names are offered.
    """
    return _find(name, TASKS)


def nearest(name: str, known: list[str]) -> str:
    """A mend for an unknown name: the likeliest known ones, then all of them."""
    close = difflib.get_close_matches(name.lower().replace("_", "-"), known, n=2, cutoff=0.5)
    offer = f"did you mean {' or '.join(repr(one) for one in close)}? " if close else ""
    return f"{offer}choose one of: {', '.join(known)}"


def _find(name: str, tasks: tuple[Task, ...]) -> Task:
    for task in tasks:
        if task.name == name:
            return task
    raise UserError("task", f"there is no task {name!r}", nearest(name, [task.name for task in tasks]))
