"""What a policy sees of a platform: ours in the body frame at two scales; the authors' in the world frame.

A third layout is ours followed by what the policy has found out about its valves and what pushes it.

Written against the array namespace of its arguments, so that the same lines run under jax in training and
with NumPy alone on the robot.
"""

import math
from typing import Any

from jaxtyping import Float

from antiphon.core.errors import UserError
from antiphon.worlds.platform.columns import apart, cos_sin, side_by_side
from antiphon.worlds.platform.state import PlatformState
from antiphon.worlds.platform.tasks import TASKS, Target, Task
from antiphon.worlds.platform.valve_belief import BELIEF_SIZE, ValveBelief, belief_observation

BODY_SIZE = 19
DRIFT_SIZE = 10
SIZES = {"body": BODY_SIZE, "adaptive": BODY_SIZE + BELIEF_SIZE, "drift": DRIFT_SIZE}
"""Lengths of the observations, by layout."""

BODY_LAYOUT = (
    "forward error / 3 m", "leftward error / 3 m",
    "tanh(5 forward error)", "tanh(5 leftward error)",
    "tanh(40 forward error)", "tanh(40 leftward error)",
    "sin(heading error)", "cos(heading error)", "tanh(20 heading error)",
    "forward velocity error / 1 m/s", "leftward velocity error / 1 m/s",
    "tanh(20 forward velocity error)", "tanh(20 leftward velocity error)",
    "angular velocity error / 1 rad/s", "tanh(10 angular velocity error)",
    "distance still to go along the passage / 3 m", "distance to the left of the passage's axis / 3 m",
    "tanh(5 to go)", "tanh(5 to the left)",
)  # fmt: skip
"""Meaning of each number of `body_observation`; errors are target − platform, rad, m, m/s, rad/s."""


def observation_size(layout: str) -> int:
    """Length of an observation: 19 for "body", 30 for "adaptive", 10 for "drift".

    Raises:
        UserError: another layout.
    """
    if layout == "spatial":
        raise UserError(
            "observation",
            "the observation is that of the platform in space, with sixteen valves",
            "give a policy of a planar task",
        )
    if layout not in SIZES:
        raise UserError(
            "observation", f"there is no observation {layout!r}", f"choose one of: {', '.join(SIZES)}"
        )
    return SIZES[layout]


def observe(
    layout: str, task: Task, state: PlatformState, target: Target, belief: ValveBelief | None = None
) -> Float[Any, "*B O"]:
    """An observation by name; "adaptive" is `body_observation` followed by `belief_observation`.

    Args:
        layout: "body", "adaptive" or "drift".
        task: what is asked for.
        state: as seen.
        target: to be met.
        belief: what "adaptive" has found out.

    Raises:
        UserError: another layout, a task that the authors' layout does not have, or no belief where one is
            shown.
    """
    observation_size(layout)
    if layout == "drift":
        return drift_observation(task, state, target)
    seen = body_observation(task, state, target)
    if layout == "body":
        return seen
    if belief is None:
        raise UserError(
            "observation",
            "the adaptive observation shows a belief about the valves, and there is none",
            "begin one with ValveFilter().begin(works), or observe the body layout",
        )
    xp = seen.__array_namespace__()
    return xp.concat([seen, belief_observation(belief, state.heading)], axis=-1)


def body_observation(task: Task, state: PlatformState, target: Target) -> Float[Any, "*B 19"]:
    """Errors (target − platform) turned into the body frame, coarse and fine; see `BODY_LAYOUT`.

    The fine copies let a small network act on millimetres while the coarse ones still say which way to go
    from metres away. All planar tasks share the layout: numbers of quantities that a task does not use are 0
    (velocity errors are used by all: a target that is not moving has velocity 0). The last four are the way
    through a gate or into a dock, in the target's frame, for those tasks alone.

    Source: research on the plant of arXiv 2310.04266. Differs from the paper: body frame and two scales.
    """
    xp = state.position.__array_namespace__()
    heading = xp.asarray(state.heading)
    nothing = xp.zeros_like(heading)
    cos, sin = cos_sin(heading)
    v_x, v_y = apart(target.velocity - state.velocity)
    forth, left = cos * v_x + sin * v_y, cos * v_y - sin * v_x
    spin = target.angular_velocity - state.angular_velocity
    numbers = [nothing] * BODY_SIZE
    if task.position:
        e_x, e_y = apart(target.position - state.position)
        ahead, aside = cos * e_x + sin * e_y, cos * e_y - sin * e_x
        numbers[0:6] = [
            ahead / 3, aside / 3,
            xp.tanh(5 * ahead), xp.tanh(5 * aside),
            xp.tanh(40 * ahead), xp.tanh(40 * aside),
        ]  # fmt: skip
        if task.passage in ("gate", "dock"):
            towards, across = cos_sin(xp.asarray(target.heading))
            to_go, off_axis = towards * e_x + across * e_y, across * e_x - towards * e_y
            numbers[15:19] = [to_go / 3, off_axis / 3, xp.tanh(5 * to_go), xp.tanh(5 * off_axis)]
    if task.heading:
        error = wrapped(target.heading - heading)
        cosine, sine = cos_sin(error)
        numbers[6:9] = [sine, cosine, xp.tanh(20 * error)]
    numbers[9:15] = [forth, left, xp.tanh(20 * forth), xp.tanh(20 * left), spin, xp.tanh(10 * spin)]
    return side_by_side(*numbers)


def drift_observation(task: Task, state: PlatformState, target: Target) -> Float[Any, "*B 10"]:
    """[cos θ, sin θ, v_x, v_y, ω, label, d_0, d_1, d_2, d_3] in the world frame, the authors' ten numbers.

    d is (e_x, e_y, 0, 0) for go-to-xy, (e_x, e_y, cos Δθ, sin Δθ) for go-to-pose, (e_vx, e_vy, 0, 0),
    (e_vx, e_vy, e_ω, 0) and (e_vx, e_vy, cos Δθ, sin Δθ) for the three velocity tasks, e = target − platform.

    Raises:
        UserError: a task that the authors' layout does not have.

    Source: arXiv 2310.04266, its published tasks.
    """
    if task.label is None:
        known = ", ".join(one.name for one in TASKS if one.label is not None)
        raise UserError(
            "observation",
            f"the authors' observation (drift) does not know the task {task.name!r}",
            f"use the body observation, or one of: {known}",
        )
    xp = state.position.__array_namespace__()
    heading = xp.asarray(state.heading)
    nothing = xp.zeros_like(heading)
    near, far = (target.position, state.position) if task.position else (target.velocity, state.velocity)
    data = [*apart(near - far), nothing, nothing]
    if task.heading:
        error = target.heading - heading
        data[2:] = cos_sin(error)
    elif task.angular_velocity:
        data[2] = target.angular_velocity - state.angular_velocity
    numbers = [
        *cos_sin(heading), *apart(state.velocity),
        state.angular_velocity, xp.full_like(heading, task.label), *data,
    ]  # fmt: skip
    return side_by_side(*numbers)


def wrapped(angle: Float[Any, "*B"]) -> Float[Any, "*B"]:
    """The angle in [−π, π]."""
    xp = angle.__array_namespace__()
    return angle - 2 * math.pi * xp.round(angle / (2 * math.pi))
