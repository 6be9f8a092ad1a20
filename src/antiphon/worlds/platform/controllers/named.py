"""The controllers by name, each set up for a task."""

import dataclasses

from antiphon.core.errors import UserError
from antiphon.worlds.platform.controllers.controller import Controller
from antiphon.worlds.platform.controllers.lqr_observer import LqrObserver
from antiphon.worlds.platform.controllers.lqr_pattern import LqrPattern
from antiphon.worlds.platform.controllers.lqr_round import LqrRound
from antiphon.worlds.platform.controllers.mpc import Mpc
from antiphon.worlds.platform.controllers.pid import Pid
from antiphon.worlds.platform.controllers.weights import AUTHORS, weights_for
from antiphon.worlds.platform.tasks import Task, nearest

CONTROLLERS = {
    "lqr": "LQR cost-to-go, looked up one step ahead for all 256 valve patterns",
    "lqr-saving": "the same with a price on open valves: less than half the air, nearly the same precision",
    "lqr-observer": "lqr-saving with an estimate of what pushes from outside",
    "lqr-round": "LQR gains rounded to valves, the baseline of arXiv 2310.04266",
    "mpc": "sampled sequences of valve patterns, ten steps ahead",
    "pid": "PID, pseudo-inverse and whole pulses",
}
"""What each is, in a line."""

SAVING = 1e-4
"""Price of an open valve: the largest power of ten at which go-to-pose loses less than a point of PT1."""


def find_controller(name: str, task: Task) -> Controller:
    """A controller for a task.

    Args:
        name: one of ``CONTROLLERS``.
        task: what its target does not fix is only damped.

    Raises:
        UserError: there is no such controller; the nearest are offered.
    """
    match name:
        case "lqr":
            return LqrPattern(weights_for(task))
        case "lqr-saving":
            return LqrPattern(weights_for(task), valve_price=SAVING)
        case "lqr-observer":
            return LqrObserver(LqrPattern(weights_for(task), valve_price=SAVING))
        case "lqr-round":
            return LqrRound(
                dataclasses.replace(
                    AUTHORS,
                    position=AUTHORS.position if task.position else 0.0,
                    heading=AUTHORS.heading if task.heading else 0.0,
                )
            )
        case "mpc":
            return Mpc(weights_for(task))
        case "pid":
            return Pid(holds_position=task.position, holds_heading=task.heading)
        case _:
            raise UserError("usage", f"there is no controller {name!r}", nearest(name, list(CONTROLLERS)))
