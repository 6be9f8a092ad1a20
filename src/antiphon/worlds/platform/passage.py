"""Points, gates and docks: whether one was passed or hit between two states."""

import math
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from antiphon.worlds.platform.columns import apart, cos_sin
from antiphon.worlds.platform.parameters import RADIUS
from antiphon.worlds.platform.reward import errors
from antiphon.worlds.platform.state import PlatformState
from antiphon.worlds.platform.tasks import Target, Task

GATE_HALF_WIDTH = 0.5
"""From the middle of a gate to each post, m."""
CONE_HALF_ANGLE = math.radians(25.0)
"""Of the docking cone, whose axis is the target's heading and whose tip is the target."""
CONE_LENGTH = 0.6
"""From the dock, within which leaving the cone is a collision, m."""
CONE_SLACK = 0.03
"""Room around the tip of the cone, m."""
# Before the gate's middle, and beside it clear of the posts, m: where the way to the gate bends.
_MOUTH, _BESIDE = 0.6, 1.0


class Outcome(NamedTuple):
    """What became of a passage in one step, [N].

    Attributes:
        passed: done as asked.
        hit: a post or the dock was touched.
        cone: distance outside the docking cone, m; 0 for other tasks.
    """

    passed: Bool[Array, "N"]
    hit: Bool[Array, "N"]
    cone: Float[Array, "N"]


def way_left(task: Task, state: PlatformState, target: Target) -> Float[Array, "N"]:
    """Metres still to fly: the distance, or for a gate the way round a post into its mouth and through.

    From inside a right angle that opens before the gate the way is straight; from elsewhere before it, the
    way leads to a point 0.6 m before the gate; from behind it, past a point 1 m beside its middle first.
    Where these meet it is right to a few decimetres, and as a potential it need not be more: differences of
    it cancel on every loop.
    """
    if task.passage != "gate":
        return errors(state, target).position
    to_go, aside = _in_frame(state, target)
    aside = jnp.abs(aside)
    mouth = jnp.sqrt((to_go - _MOUTH) ** 2 + aside**2) + _MOUTH
    straight = aside < GATE_HALF_WIDTH - RADIUS + to_go
    before = jnp.where(straight, jnp.sqrt(to_go**2 + aside**2), mouth)
    past_post = jnp.sqrt(to_go**2 + (aside - _BESIDE) ** 2) + math.hypot(_MOUTH, _BESIDE) + _MOUTH
    return jnp.where(to_go > 0, before, jnp.where(aside > _BESIDE, mouth, past_post))


def outcome(task: Task, before: PlatformState, after: PlatformState, target: Target) -> Outcome:
    """Passed, hit, or neither.

    Point and pose: the straight line between two positions comes within tolerance (and, for a pose, the
    heading is within tolerance then). Gate: its line is crossed along the target's heading with the whole
    disc of the platform between the posts; crossed either way with the disc on a post, it is hit. Dock:
    within `CONE_LENGTH` and outside the cone, or beyond the tip, it is hit; nothing passes, one stays.
    """
    never = jnp.zeros(after.heading.shape, bool)
    nowhere = jnp.zeros_like(after.heading)
    if task.passage in ("point", "pose"):
        near = _line_distance(before, after, target) < task.tolerance.position
        if task.passage == "pose":
            near = near & (errors(after, target).heading < task.tolerance.heading)
        return Outcome(near, never, nowhere)
    if task.passage == "gate":
        to_go, aside = _in_frame(after, target)
        was_to_go, was_aside = _in_frame(before, target)
        crossed = (was_to_go > 0) != (to_go > 0)
        # Where on the gate's line; the divisor is zero only for what has not crossed.
        share = was_to_go / jnp.where(crossed, was_to_go - to_go, 1.0)
        at = jnp.abs(was_aside + share * (aside - was_aside))
        clear = at < GATE_HALF_WIDTH - RADIUS
        touched = jnp.abs(at - GATE_HALF_WIDTH) <= RADIUS
        return Outcome(crossed & clear & (to_go <= 0), crossed & touched, nowhere)
    if task.passage == "dock":
        to_go, aside = _in_frame(after, target)
        outside = jnp.abs(aside) - math.tan(CONE_HALF_ANGLE) * jnp.maximum(to_go, 0.0) - CONE_SLACK
        outside = jnp.maximum(outside, -to_go - CONE_SLACK)
        near = to_go**2 + aside**2 < CONE_LENGTH**2
        return Outcome(never, near & (outside > 0), jnp.maximum(outside, 0.0))
    return Outcome(never, never, nowhere)


def _in_frame(state: PlatformState, target: Target) -> tuple[Array, Array]:
    """Distance still to go along the target's heading, and distance to the side."""
    x, y = apart(target.position - state.position)
    cos, sin = cos_sin(target.heading)
    return cos * x + sin * y, sin * x - cos * y


def _line_distance(before: PlatformState, after: PlatformState, target: Target) -> Array:
    """From the target to the straight line between two positions."""
    step = after.position - before.position
    to_target = target.position - before.position
    length = jnp.sum(step**2, -1)
    share = jnp.clip(jnp.sum(step * to_target, -1) / jnp.maximum(length, 1e-12), 0.0, 1.0)
    rest = to_target - share[..., None] * step
    return jnp.sqrt(jnp.sum(rest**2, -1))
