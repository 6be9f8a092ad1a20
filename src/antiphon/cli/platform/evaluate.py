"""``antiphon platform evaluate``: a policy or a controller under a protocol, with intervals."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import tyro

from antiphon.cli.compilation import keep_compilations
from antiphon.cli.output import emit, say, show_table
from antiphon.cli.parsing import parse
from antiphon.core.errors import UserError

if TYPE_CHECKING:
    from antiphon.core.statistics import Interval
    from antiphon.worlds.platform.controllers import Controller
    from antiphon.worlds.platform.environment import PlatformEnvironment

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

    from antiphon.worlds.platform.protocol import find_protocol, fly, judge

    protocol = dataclasses.replace(
        find_protocol(arguments.protocol), envs=arguments.envs, seed=arguments.seed
    )
    world, pilot = _contest(arguments)
    say(f"{arguments.target}: {protocol.envs} episodes of {world.task.name}")
    began = time.monotonic()
    figures = judge(world.task, fly(world, pilot, protocol, told=arguments.told))
    if arguments.json:
        emit(
            {
                "target": arguments.target,
                "task": world.task.name,
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


def _contest(arguments: EvaluateArguments) -> "tuple[PlatformEnvironment, Controller]":
    """The world and who is judged in it.

    Raises:
        UserError: an unknown target, task or disturbance, or a policy that does not fit.
    """
    from antiphon.worlds.platform.disturbances import find_disturbances
    from antiphon.worlds.platform.environment import PlatformEnvironment
    from antiphon.worlds.platform.pilots import can_be_told, find_pilot

    disturbances = find_disturbances("+".join(arguments.disturb) or "nominal")
    task, pilot = find_pilot(arguments.target, arguments.task)
    if arguments.told and not can_be_told(pilot):
        raise UserError(
            "usage", "this policy cannot be told which valves are dead", "leave --tell-dead-valves away"
        )
    return PlatformEnvironment(task=task, disturbances=disturbances), pilot
