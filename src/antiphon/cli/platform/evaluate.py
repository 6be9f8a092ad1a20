"""``antiphon platform evaluate``: a policy or a controller under a protocol, with intervals."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from antiphon.cli.compilation import keep_compilations
from antiphon.cli.output import emit, say, show_table
from antiphon.cli.parsing import parse
from antiphon.core.errors import UserError

if TYPE_CHECKING:
    from antiphon.core.statistics import Interval
    from antiphon.worlds.platform.protocol import Protocol
    from antiphon.worlds.platform.tasks import Task

    Flown = Callable[[Protocol], Mapping[str, Interval]]

STABLE = ("PT5", "PT2", "PT1", "OT5", "OT2", "OT1", "air_use", "ever_1cm", "ever_2cm")
"""Figures that are always in the JSON object; null where the task has no use for one."""

_ABOUT = {
    "PT5": "of the time within 5 cm",
    "PT2": "of the time within 2 cm",
    "PT1": "of the time within 1 cm",
    "OT5": "of the time within 5°",
    "OT2": "of the time within 2°",
    "OT1": "of the time within 1°",
    "air_use": "of the valves open, on average",
    "angular_speed": "rad/s, mean of |ω|",
    "ever_2cm": "of the episodes come within 2 cm",
    "ever_1cm": "of the episodes come within 1 cm",
    "stay": "of the episodes come within 2 cm, and stay within 15 cm",
    "VT": "of the time within 0.15 m/s",
    "velocity_error": "m/s, mean over the second half",
    "angular_velocity_error": "rad/s, mean over the second half",
    "passed": "of the episodes pass as asked",
    "failed": "of the episodes hit something, or are lost",
    "seconds": "s, until those that pass do",
    "arrived": "of the episodes end within 5 cm, and 5° where an attitude is asked for",
}


@dataclass(frozen=True)
class EvaluateArguments:
    """Judge a policy or a controller over hundreds of episodes."""

    target: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="DIR|POLICY|CONTROLLER")]
    """A policy file, the folder of a training, a bundled name, or a controller: lqr, lqr-saving,
    lqr-observer, lqr-round, mpc, pid."""

    task: str = ""
    """What to do; by default what the policy was trained for, and go-to-pose for controllers."""

    protocol: str = "authors"
    """authors (episodes of 50 s from 3 to 4 m, at rest) or training (from where training episodes begin)."""

    disturb: tuple[str, ...] = ()
    """Disturbances, all at once, as in --disturb floor-0.25 latency; an unknown name lists all."""

    told: Annotated[bool, tyro.conf.arg(name="tell-dead-valves")] = False
    """Tell the controller which valves are dead. Of the policies, only adaptive ones can be told."""

    envs: int = 256
    """Episodes."""

    seed: int = 0
    """Of spawns and disturbances."""

    json: bool = False
    """Make the last line of output one JSON object."""


def main(argv: Sequence[str]) -> int:
    """Flies, and prints every figure with its interval."""
    arguments = parse(EvaluateArguments, argv, "antiphon platform evaluate")
    keep_compilations()
    import dataclasses

    from antiphon.worlds.platform.protocol import find_protocol

    protocol = dataclasses.replace(
        find_protocol(arguments.protocol), envs=arguments.envs, seed=arguments.seed
    )
    task, flown = _flight_in_space(arguments) or _flight(arguments)
    say(f"{arguments.target}: {protocol.envs} episodes of {task.name}")
    began = time.monotonic()
    figures = flown(protocol)
    if arguments.json:
        emit(
            {
                "target": arguments.target,
                "task": task.name,
                "protocol": protocol.name,
                "disturbances": "+".join(arguments.disturb) or "nominal",
                "episodes": protocol.envs,
                "seed": protocol.seed,
                **dict.fromkeys(STABLE),
                **{name: one.estimate for name, one in figures.items()},
                "intervals": {name: one.as_dict() for name, one in figures.items()},
                "seconds_flown": time.monotonic() - began,
            }
        )
        return 0
    show_table(("figure", "value", "95 % interval", "meaning"), _rows(figures))
    return 0


def _rows(figures: "Mapping[str, Interval]") -> list[tuple[str, str, str, str]]:
    return [
        (name, f"{one.estimate:.3f}", f"{one.low:.3f} to {one.high:.3f}", _ABOUT[name])
        for name, one in figures.items()
    ]


def _flight_in_space(arguments: EvaluateArguments) -> "tuple[Task, Flown] | None":
    """The task, and how to judge it, of a policy with six degrees of freedom; None for anything of the plane.

    Raises:
        UserError: an unknown task or disturbance, a policy that does not fit, or telling of dead valves.
    """
    from antiphon.worlds.platform.controllers.named import CONTROLLERS
    from antiphon.worlds.platform.policy_search import bundled_spatial_policies, find_policy

    target = arguments.target
    if target in CONTROLLERS or not (Path(target).exists() or target in bundled_spatial_policies()):
        return None
    policy = find_policy(target)
    if policy.metadata.observation != "spatial":
        return None
    if arguments.told:
        raise UserError(
            "usage", "this policy cannot be told which valves are dead", "leave --tell-dead-valves away"
        )
    from antiphon.worlds.platform.disturbances import find_disturbances
    from antiphon.worlds.platform.spatial_environment import SpatialEnvironment
    from antiphon.worlds.platform.spatial_protocol import fly_spatial, judge_spatial
    from antiphon.worlds.platform.tasks import find_spatial_task

    task = find_spatial_task(arguments.task or policy.metadata.task)
    disturbances = find_disturbances("+".join(arguments.disturb) or "nominal")
    world = SpatialEnvironment(task=task, disturbances=disturbances)
    return task, lambda protocol: judge_spatial(task, fly_spatial(world, policy, protocol))


def _flight(arguments: EvaluateArguments) -> "tuple[Task, Flown]":
    """The task, and how to judge who does it on the plane.

    Raises:
        UserError: an unknown target, task or disturbance, or a policy that does not fit.
    """
    from antiphon.worlds.platform.disturbances import find_disturbances
    from antiphon.worlds.platform.environment import PlatformEnvironment
    from antiphon.worlds.platform.pilots import can_be_told, find_pilot
    from antiphon.worlds.platform.protocol import fly, judge

    disturbances = find_disturbances("+".join(arguments.disturb) or "nominal")
    task, pilot = find_pilot(arguments.target, arguments.task)
    if arguments.told and not can_be_told(pilot):
        raise UserError(
            "usage", "this policy cannot be told which valves are dead", "leave --tell-dead-valves away"
        )
    world = PlatformEnvironment(task=task, disturbances=disturbances)
    return task, lambda protocol: judge(task, fly(world, pilot, protocol, told=arguments.told))
