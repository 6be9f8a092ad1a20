"""The classical controllers as decisions of the robot: what a policy file offers, with jax behind it."""

from typing import Any

import jax
import numpy as np
from jaxtyping import Bool

from antiphon.worlds.platform.controllers.controller import Controller
from antiphon.worlds.platform.parameters import VALVES, PlatformParams
from antiphon.worlds.platform.robot import Decide
from antiphon.worlds.platform.state import PlatformState
from antiphon.worlds.platform.tasks import Target


def controller_decision(
    controller: Controller, params: PlatformParams, dead_valves: tuple[int, ...] = ()
) -> Decide:
    """A controller for one robot, compiled before it is needed; its memory goes from call to call.

    Args:
        controller: as ``lqr_pattern.LqrPattern()``.
        params: the platform as the controller believes it to be.
        dead_valves: that it must do without.
    """
    mask = np.asarray(params.mask) * ~np.isin(np.arange(VALVES), dead_valves)
    known = jax.tree.map(np.asarray, params)
    known = type(params)(**{**vars(known), "mask": mask.astype(np.float32)})
    act = jax.jit(controller.act)
    memory: list[Any] = [jax.jit(controller.start, static_argnums=1)(known, 1)]

    def decide(state: PlatformState, target: Target) -> Bool[np.ndarray, " 8"]:
        batched: Any = jax.tree.map(lambda part: np.asarray(part, np.float32)[None], (state, target))
        valves, memory[0] = act(known, memory[0], *batched)
        return np.asarray(valves)[0]

    rest = PlatformState(np.zeros(2), np.zeros(()), np.zeros(2), np.zeros(()))
    begun = memory[0]
    decide(rest, Target(*rest))
    memory[0] = begun
    return decide
