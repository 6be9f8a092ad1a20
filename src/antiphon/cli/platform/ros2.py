"""``antiphon platform ros2``: fly a platform over ROS 2, or be the platform."""

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from antiphon.cli.output import emit, say
from antiphon.cli.parsing import parse
from antiphon.core.errors import UserError

if TYPE_CHECKING:
    from antiphon.worlds.platform.robot import PlatformController
    from antiphon.worlds.platform.ros2.controller_node import Landed
    from antiphon.worlds.platform.ros2.layouts import Layout
    from antiphon.worlds.platform.tasks import Target


@dataclass(frozen=True)
class Ros2Arguments:
    """Fly a platform over ROS 2: poses of motion capture in, valves out, shut at the end whatever happens."""

    policy: str = "lqr"
    """A policy file, the folder of a training, a bundled name, or lqr (pattern look-ahead, no training)."""

    task: str = ""
    """What to do; by default what the policy was trained for."""

    goal: tuple[float, ...] = ()
    """X Y [HEADING] in m and rad; without it, wait for the goal's topic."""

    velocity: tuple[float, ...] = ()
    """VX VY [RATE] in m/s and rad/s, for tasks that follow a velocity."""

    layout: Literal["2023", "2025"] = "2025"
    """Topics and messages: ByteMultiArray valves of 2023, or Int16MultiArray of 2025."""

    pose_topic: str = ""
    """In place of the layout's."""

    goal_topic: str = ""
    """In place of the layout's."""

    valve_topic: str = ""
    """In place of the layout's."""

    valve_map: tuple[int, ...] = ()
    """Eight numbers: which valve of the platform each number of the message drives."""

    frame: str = ""
    """Frame that poses must name; by default that of the first good pose."""

    dead_valves: tuple[int, ...] = ()
    """Valves never to open."""

    seconds: float | None = None
    """Land after this time; by default fly until Ctrl-C."""

    wait: float = 30.0
    """Seconds to wait for the first good pose."""

    log: Path | None = None
    """Keep the flight in this .npz file."""

    bag: Path | None = None
    """Keep the flight in this folder, as a ROS 2 bag."""

    localhost: bool = False
    """Look for other nodes on this machine only."""

    simulate: bool = False
    """Be motion capture and platform instead: hear valves, send poses, and measure the controller."""

    start: tuple[float, float, float] = (1.5, -1.0, 1.0)
    """With --simulate: X Y HEADING to begin from."""

    silent_after: float | None = None
    """With --simulate: stop sending poses so many seconds after the first valve opened."""

    seed: int = 0
    """With --simulate: of the noise of poses."""

    json: bool = False
    """Make the last line of output one JSON object."""


def main(argv: Sequence[str]) -> int:
    """Flies, or simulates, until the time is over or somebody stops it."""
    arguments = parse(Ros2Arguments, argv, "antiphon platform ros2")
    if arguments.seconds is not None and not arguments.seconds > 0:
        raise UserError("usage", f"--seconds is {arguments.seconds}", "give a positive number")
    if arguments.localhost:
        os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    layout = _layout(arguments)
    return _simulate(arguments, layout) if arguments.simulate else _fly(arguments, layout)


def _layout(arguments: Ros2Arguments) -> "Layout":
    from antiphon.worlds.platform.ros2.layouts import LAYOUT_2023, LAYOUT_2025

    layout = LAYOUT_2023 if arguments.layout == "2023" else LAYOUT_2025
    return replace(
        layout,
        pose_topic=arguments.pose_topic or layout.pose_topic,
        goal_topic=arguments.goal_topic or layout.goal_topic,
        valve_topic=arguments.valve_topic or layout.valve_topic,
        valve_map=arguments.valve_map or layout.valve_map,
    )


def _simulate(arguments: Ros2Arguments, layout: "Layout") -> int:
    from antiphon.worlds.platform.parameters import VALVES, planar
    from antiphon.worlds.platform.ros2.simulated_node import Stage, simulate

    params = planar()
    for valve in arguments.dead_valves:
        if not 0 <= valve < VALVES:
            raise UserError("usage", f"there is no valve {valve}", f"name dead valves by 0 to {VALVES - 1}")
        params = replace(params, mask=params.mask.at[valve].set(0.0))
    x, y, heading = (*arguments.goal, 0.0, 0.0, 0.0)[:3]
    measured = simulate(
        Stage(
            layout, params, start=arguments.start, goal=(x, y, heading), seconds=arguments.seconds,
            frame=arguments.frame or "world", silent_after=arguments.silent_after, seed=arguments.seed,
            say=say,
        )
    )  # fmt: skip
    if arguments.json:
        emit(measured)
    else:
        print("\n".join(f"{name}: {value}" for name, value in measured.items()))
    return 0


def _fly(arguments: Ros2Arguments, layout: "Layout") -> int:
    controller, task = _controller(arguments)
    target = _target(arguments, task)
    from antiphon.worlds.platform.bags import BagWriter
    from antiphon.worlds.platform.ros2.controller_node import Outing, fly

    facts = (
        ("task", task),
        ("policy", arguments.policy),
        ("layout", layout.name),
        ("rate_hz", controller.rate_hz),
    )
    with ExitStack() as stack:
        heard: Callable[..., None] = lambda kind, value, now: None  # noqa: E731
        if arguments.bag is not None:
            heard = stack.enter_context(BagWriter(arguments.bag, layout)).heard
        landed = fly(
            controller, Outing(layout, target, arguments.seconds, arguments.wait, facts, say=say, heard=heard)
        )
    if arguments.log is not None:
        landed.log.save(arguments.log)
    _report(arguments, landed)
    return 0 if not landed.reason.startswith("the policy failed") else 1


def _report(arguments: Ros2Arguments, landed: "Landed") -> None:
    facts = {
        "reason": landed.reason,
        "commands": landed.commands,
        "rate_hz": landed.rate_hz,
        "longest_period_s": landed.longest,
        "counts": landed.counts._asdict(),
        "log": arguments.log,
        "bag": arguments.bag,
    }
    if arguments.json:
        emit(facts)
        return
    refused = ", ".join(
        f"{n} {name}" for name, n in landed.counts._asdict().items() if n and name != "accepted"
    )
    print(
        f"{landed.reason}: {landed.commands} commands at {landed.rate_hz:.2f} Hz, "
        f"longest gap {landed.longest:.3f} s"
    )
    print(f"poses: {landed.counts.accepted} good{', ' + refused if refused else ''}")


def _controller(arguments: Ros2Arguments) -> tuple["PlatformController", str]:
    """The controller and the name of its task."""
    from antiphon.worlds.platform.nominal_plant import NominalPlant
    from antiphon.worlds.platform.robot import PlatformController, policy_decision
    from antiphon.worlds.platform.tasks import find_task

    frame, dead = arguments.frame, arguments.dead_valves
    if arguments.policy == "lqr":
        task = find_task(arguments.task or "go-to-pose").name
        if task != "go-to-pose":
            raise UserError(
                "usage", f"lqr does not do {task}", "leave --task away, or give a policy trained for it"
            )
        from antiphon.worlds.platform.classical_decision import controller_decision
        from antiphon.worlds.platform.controllers.lqr_pattern import LqrPattern
        from antiphon.worlds.platform.nominal_plant import plant_figures
        from antiphon.worlds.platform.parameters import planar

        params = planar()
        decide = controller_decision(LqrPattern(), params, dead)
        plant = NominalPlant.of(plant_figures(params))
        return PlatformController(decide, plant, frame=frame, dead_valves=dead), task
    from antiphon.worlds.platform.policy_search import find_policy

    policy = find_policy(arguments.policy)
    task = find_task(arguments.task or policy.metadata.task).name
    plant = NominalPlant.of(policy.metadata.plant) if policy.metadata.plant else None
    decide = policy_decision(policy, task, dead)
    rate = policy.metadata.rate_hz
    return PlatformController(decide, plant, rate, frame, dead), task


def _target(arguments: Ros2Arguments, task: str) -> "Target | None":
    from antiphon.worlds.platform.robot import pose_target, velocity_target
    from antiphon.worlds.platform.tasks import find_task

    moving = find_task(task).velocity
    for name, numbers, fits in (
        ("goal", arguments.goal, not moving),
        ("velocity", arguments.velocity, moving),
    ):
        if numbers and len(numbers) not in (2, 3):
            raise UserError("usage", f"--{name} has {len(numbers)} numbers", "give two or three")
        if numbers and not fits:
            other = "velocity" if moving else "goal"
            raise UserError("usage", f"the task {task} has no {name}", f"give --{other} instead")
    if arguments.velocity:
        return velocity_target(*arguments.velocity)
    return pose_target(*arguments.goal) if arguments.goal else None
