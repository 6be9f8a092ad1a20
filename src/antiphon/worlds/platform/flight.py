"""What a robot hears, says and remembers in a flight: records without behaviour."""

import enum
import math
from typing import NamedTuple

from antiphon.worlds.platform.estimator import PoseBelief
from antiphon.worlds.platform.policy_file import VALVES
from antiphon.worlds.platform.tasks import Target
from antiphon.worlds.platform.valve_belief import Recollection

SHUT: tuple[bool, ...] = (False,) * VALVES


class AdaptiveMemory(NamedTuple):
    """What a policy that finds out knows, and when it decided last, s."""

    recollection: Recollection
    decided: float


class Pose(NamedTuple):
    """What motion capture says.

    Attributes:
        stamp: seconds on the clock of motion capture; 0 where it has none.
        frame: name of the frame of reference.
        position: x, y, z in m.
        orientation: unit quaternion x, y, z, w.
    """

    stamp: float
    frame: str
    position: tuple[float, float, float]
    orientation: tuple[float, float, float, float]


class Command(NamedTuple):
    """What the hardware is told: air bearings, and eight valves in the platform's order."""

    bearing: bool
    valves: tuple[bool, ...]


class Phase(enum.Enum):
    """Why valves may open, or not."""

    WAITING = "waiting for poses that agree, and for a goal"
    FLYING = "flying"
    STALE = "shut, because poses have stopped"
    STOPPED = "shut for good"


class Counts(NamedTuple):
    """Poses by what became of them, and what else went wrong."""

    accepted: int = 0
    not_finite: int = 0
    wrong_frame: int = 0
    tilted: int = 0
    outside: int = 0
    jumped: int = 0
    late: int = 0
    goals_refused: int = 0
    stale: int = 0


class Flight(NamedTuple):
    """All that the controller remembers.

    Attributes:
        phase: of the last command.
        frame: the frame poses must name; "" until the first good one.
        belief: of pose and velocity at the time of the last good pose.
        seen: when that pose arrived, s; −∞ before the first.
        stamp: its stamp.
        delay: least (arrival − stamp) of late, s: the difference of the clocks.
        agreeing: poses in a row that followed from each other.
        target: what to do; None until somebody says.
        command: the last one.
        memory: of a decision that finds out, see :class:`AdaptiveDecision`; None for others.
        counts: of poses and refusals.
        reason: why it stopped.
    """

    phase: Phase = Phase.WAITING
    frame: str = ""
    belief: PoseBelief | None = None
    seen: float = -math.inf
    stamp: float = -math.inf
    delay: float = math.inf
    agreeing: int = 0
    target: Target | None = None
    command: Command = Command(True, SHUT)
    memory: AdaptiveMemory | None = None
    counts: Counts = Counts()
    reason: str = ""
