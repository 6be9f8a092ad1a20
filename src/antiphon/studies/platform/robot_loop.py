"""The robot's controller and a platform in one process: poses at 100 Hz in, valves at 5 Hz out."""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from antiphon.worlds.platform.flight import Pose
from antiphon.worlds.platform.nominal_plant import NominalPlant
from antiphon.worlds.platform.plant import CONTROL_PERIOD
from antiphon.worlds.platform.policy_file import PlatformPolicy
from antiphon.worlds.platform.robot import PlatformController, policy_decision, pose_target

_POSE_PERIOD = 0.01


class RobotFlight(NamedTuple):
    """What happened.

    Attributes:
        distance: from the goal at each pose, m.
        commands: that were given.
        refused: poses that the controller did not believe.
        shut: whether all valves were shut after the stream of poses had ended.
    """

    distance: Float[np.ndarray, " T"]
    commands: int
    refused: int
    shut: bool


def fly_robot(
    policy: PlatformPolicy,
    start: tuple[float, float, float] = (3.0, 1.0, 2.0),
    seconds: float = 40.0,
    noise: float = 0.001,
    seed: int = 0,
) -> RobotFlight:
    """Flies to the origin as a robot does; then the stream of poses stops.

    Args:
        policy: of a pose.
        start: x m, y m, heading rad.
        seconds: of poses.
        noise: deviation of poses, m, and half as much in rad.
        seed: of the noise.
    """
    plant = NominalPlant.of(policy.metadata.plant)
    controller = PlatformController(policy_decision(policy), plant)
    rng = np.random.default_rng(seed)
    flight = controller.aim(controller.start(), pose_target(0.0, 0.0, 0.0))
    place, rate = np.array(start), np.zeros(3)
    per_command = round(CONTROL_PERIOD / _POSE_PERIOD)
    distance, commands = [], 0
    for tick in range(round(seconds / _POSE_PERIOD)):
        now = tick * _POSE_PERIOD
        seen = place + noise * np.array([1.0, 1.0, 0.5]) * rng.normal(size=3)
        turn = (0.0, 0.0, math.sin(seen[2] / 2), math.cos(seen[2] / 2))
        flight = controller.receive(flight, Pose(now, "world", (seen[0], seen[1], 0.0), turn), now)
        if tick % per_command == per_command - 1:
            flight = controller.step(flight, now)
            commands += 1
        push = plant.acceleration(float(place[2]), np.array(flight.command.valves))
        place = place + _POSE_PERIOD * rate + 0.5 * _POSE_PERIOD**2 * push
        rate = rate + _POSE_PERIOD * push
        distance.append(float(np.hypot(place[0], place[1])))
    flight = controller.watch(flight, seconds + 2 * CONTROL_PERIOD)
    refused = len(distance) - flight.counts.accepted
    return RobotFlight(np.array(distance), commands, refused, not any(flight.command.valves))
