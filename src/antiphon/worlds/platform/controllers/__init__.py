"""Classical controllers of the planar platform: what a learned policy has to beat."""

from antiphon.worlds.platform.controllers.controller import Controller
from antiphon.worlds.platform.controllers.lqr_observer import LqrObserver
from antiphon.worlds.platform.controllers.lqr_pattern import LqrPattern
from antiphon.worlds.platform.controllers.lqr_round import LqrRound
from antiphon.worlds.platform.controllers.mpc import Mpc
from antiphon.worlds.platform.controllers.pid import Pid
from antiphon.worlds.platform.controllers.weights import POSE, Weights, weights_for

__all__ = [
    "POSE",
    "Controller",
    "LqrObserver",
    "LqrPattern",
    "LqrRound",
    "Mpc",
    "Pid",
    "Weights",
    "weights_for",
]
