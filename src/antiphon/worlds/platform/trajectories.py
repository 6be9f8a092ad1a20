"""Curves to follow: circle, square, lemniscate and spiral, by way-points or by velocities."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Key

from antiphon.core.errors import UserError
from antiphon.worlds.platform.controllers.controller import Controller
from antiphon.worlds.platform.parameters import PlatformParams, planar
from antiphon.worlds.platform.plant import CONTROL_PERIOD, advance
from antiphon.worlds.platform.state import PlatformState
from antiphon.worlds.platform.tasks import Target, Task, nearest

SPACING = 0.01
"""Distance of two points of a path along it, m."""


@dataclass(frozen=True, eq=False)
class Path:
    """A curve on the floor.

    Attributes:
        name: for tables.
        points: every centimetre along it, m, [K, 2].
    """

    name: str
    points: Float[np.ndarray, "K 2"]

    def __post_init__(self) -> None:
        """Raises ``UserError`` for a curve without length."""
        if self.points.ndim != 2 or self.points.shape[1] != 2 or len(self.points) < 10:
            raise UserError(
                "field", f"the path {self.name} has points of shape {self.points.shape}", "give ten or more"
            )

    @property
    def length(self) -> float:
        """In metres."""
        return SPACING * (len(self.points) - 1)


def path_of(name: str, curve: Callable[[np.ndarray], np.ndarray], samples: int = 20_000) -> Path:
    """A path from a curve over [0, 1].

    Args:
        name: of it.
        curve: from shares [S] to points [S, 2], m.
        samples: with which its length is measured.
    """
    fine = np.asarray(curve(np.linspace(0, 1, samples)), float)
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(fine, axis=0), axis=1))])
    at = np.arange(0, along[-1], SPACING)
    return Path(name, np.column_stack([np.interp(at, along, fine[:, k]) for k in range(2)]))


def circle(radius: float = 1.5) -> Path:
    """Once round the origin."""
    return path_of("circle", lambda s: radius * _turn(2 * math.pi * s))


def square(side: float = 2.0) -> Path:
    """Once round the origin, beginning and ending at a corner."""
    corners = 0.5 * side * np.array([[1, -1], [1, 1], [-1, 1], [-1, -1], [1, -1]])
    return path_of(
        "square", lambda s: np.column_stack([np.interp(4 * s, range(5), corners[:, k]) for k in (0, 1)])
    )


def lemniscate(width: float = 1.5) -> Path:
    """A figure of eight, x = w sin φ, y = w sin φ cos φ (Gerono's)."""

    def curve(s: np.ndarray) -> np.ndarray:
        phi = 2 * math.pi * s
        return width * np.column_stack([np.sin(phi), np.sin(phi) * np.cos(phi)])

    return path_of("lemniscate", curve)


def spiral(radius: float = 1.5, turns: float = 2.5) -> Path:
    """From 0.3 m around the origin outwards."""
    return path_of("spiral", lambda s: (0.3 + (radius - 0.3) * s)[:, None] * _turn(2 * math.pi * turns * s))


PATHS = {"circle": circle, "square": square, "lemniscate": lemniscate, "spiral": spiral}
"""By name; the sizes are those of the authors' laboratory."""


def find_path(name: str) -> Path:
    """A path by its name.

    Raises:
        UserError: there is none; the nearest are offered.
    """
    if name not in PATHS:
        raise UserError("usage", f"there is no path {name!r}", nearest(name, list(PATHS)))
    return PATHS[name]()


@dataclass(frozen=True)
class Guide:
    """How a pilot is led along a path.

    A pilot that goes to places is shown way-points: the next one comes when it is within `reach`, and its
    heading is that of the path. A pilot that keeps velocities is asked to move with `speed` towards the point
    `ahead` metres along the path from where it is.

    Attributes:
        step: between way-points, m.
        reach: of a way-point, m.
        speed: m/s.
        ahead: m.

    Source: arXiv 2310.04266, its published scripts for the laboratory (3 cm, 0.25 m/s, 0.15 to 0.3 m).
    """

    step: float = 0.25
    reach: float = 0.03
    speed: float = 0.25
    ahead: float = 0.2

    def __post_init__(self) -> None:
        for name in ("step", "reach", "speed", "ahead"):
            if not getattr(self, name) > 0:
                raise UserError(
                    "field", f"the guide's {name} is {getattr(self, name)}", "give a positive number"
                )


class Tracked(NamedTuple):
    """N flights along a path, after each control step, [T, N].

    Attributes:
        position: m, [T, N, 2].
        distance: from the nearest point of the path, m.
        progress: share of the path that lies behind.
        air_use: share of valves open.
    """

    position: Float[Any, "T N 2"]
    distance: Float[Any, "T N"]
    progress: Float[Any, "T N"]
    air_use: Float[Any, "T N"]

    @property
    def completed(self) -> Bool[np.ndarray, " N"]:
        """Whether the end was reached."""
        return np.asarray(self.progress)[-1] >= 1.0

    def error(self) -> Float[np.ndarray, " N"]:
        """Mean distance from the path until its end is reached, m."""
        going = np.concatenate(
            [np.ones((1, self.progress.shape[1]), bool), np.asarray(self.progress)[:-1] < 1.0]
        )
        return np.sum(np.asarray(self.distance) * going, 0) / np.sum(going, 0)

    def seconds(self) -> Float[np.ndarray, " N"]:
        """Until the end was reached, or of the whole flight."""
        return CONTROL_PERIOD * np.sum(np.asarray(self.progress) < 1.0, 0)


def track(
    pilot: Controller,
    task: Task,
    path: Path,
    guide: Guide = Guide(),
    *,
    envs: int = 16,
    seconds: float = 0.0,
    seed: int = 0,
    params: PlatformParams | None = None,
) -> Tracked:
    """Flies along a path, from rest at its beginning with any heading.

    Args:
        pilot: flies.
        task: its own: one of a place, or one of a velocity.
        path: to follow.
        guide: how it is led.
        envs: flights.
        seconds: of each; by default what the path takes at a quarter of the speed, or 2 s for each way-point.
        seed: of the headings.
        params: the platform; the authors' unless given.

    Raises:
        UserError: a task of passing or docking.
    """
    if task.passage or not (task.position or task.velocity):
        raise UserError("task", f"{task.name} follows no path", "give a task of a place or of a velocity")
    if not seconds:
        seconds = 4 * path.length / guide.speed if task.velocity else 4.0 * path.length / guide.step
    steps = math.ceil(seconds / CONTROL_PERIOD)
    rows = max(1, round(guide.step / SPACING)) if task.position else max(1, round(guide.ahead / SPACING))
    points = jnp.asarray(path.points, jnp.float32)
    key = jax.random.key(seed)
    flown = _tracked(
        params or planar(), pilot, points, guide.reach, guide.speed, key, task, rows, envs, steps
    )
    return Tracked(*(np.asarray(part) for part in flown))


@partial(jax.jit, static_argnums=(6, 7, 8, 9))
def _tracked(
    params: PlatformParams, pilot: Controller, points: Array, reach: float, speed: float, key: Key[Array, ""],
    task: Task, rows: int, envs: int, steps: int,
) -> Tracked:  # fmt: skip
    last = points.shape[0] - 1
    along = jnp.concatenate([points[1:] - points[:-1], points[-1:] - points[-2:-1]])
    course = jnp.arctan2(along[:, 1], along[:, 0])

    def asked(place: Array, state: PlatformState) -> tuple[Target, Array]:
        """The target from the index reached so far, and the index after the pilot has come this far."""
        nothing = jnp.zeros(envs)
        if task.position:
            goal = jnp.minimum(place, last)
            met = jnp.linalg.norm(points[goal] - state.position, axis=-1) < reach
            # The last way-point is the end of the path, whatever the rest of the division.
            place = jnp.where(met, jnp.where(place >= last, last + 1, jnp.minimum(place + rows, last)), place)
            goal = jnp.minimum(place, last)
            return Target(points[goal], course[goal], jnp.zeros((envs, 2)), nothing), place
        # Only a little ahead, so that where the path crosses itself nobody takes the other branch.
        window = jnp.minimum(place[:, None] + jnp.arange(2 * rows), last)
        gap = jnp.linalg.norm(points[window] - state.position[:, None], axis=-1)
        place = jnp.maximum(place, window[jnp.arange(envs), jnp.argmin(gap, -1)])
        goal = points[jnp.minimum(place + rows, last)]
        way = goal - state.position
        way = way / jnp.maximum(jnp.linalg.norm(way, axis=-1, keepdims=True), 1e-6)
        # Past the end it is asked to stop.
        wanted = jnp.where((place < last)[:, None], speed * way, 0.0)
        return Target(jnp.zeros((envs, 2)), course[jnp.minimum(place, last)], wanted, nothing), place

    def step(carry: tuple, _: None) -> tuple[tuple, Tracked]:
        state, memory, place = carry
        target, place = asked(place, state)
        valves, memory = pilot.act(params, memory, state, target)
        state = advance(params, state, jnp.asarray(valves, jnp.float32))
        gap = jnp.min(jnp.linalg.norm(state.position[:, None] - points, axis=-1), -1)
        share = (place - rows) / last if task.position else place / last
        done = place > last if task.position else place >= last
        progress = jnp.where(done, 1.0, jnp.clip(share, 0.0, 0.999))
        return (state, memory, place), Tracked(state.position, gap, progress, jnp.mean(valves, -1))

    heading = jax.random.uniform(key, (envs,), minval=-jnp.pi, maxval=jnp.pi)
    still = jnp.zeros((envs, 2))
    state = PlatformState(jnp.broadcast_to(points[0], (envs, 2)), heading, still, jnp.zeros(envs))
    begun = jnp.full(envs, min(rows, last) if task.position else 0)
    return jax.lax.scan(step, (state, pilot.start(params, envs), begun), length=steps)[1]


def _turn(angle: np.ndarray) -> np.ndarray:
    return np.column_stack([np.cos(angle), np.sin(angle)])
