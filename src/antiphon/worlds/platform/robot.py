"""The controller of a real platform, whatever brings the poses and takes the valves: no transport, no clock.

Poses go in with the time they arrived, commands come out five times a second. Every function returns the next
:class:`Flight`; time only comes in as an argument, so a whole flight can be replayed. Valves are open in one
case only: poses are fresh and agree, a goal is set, nobody stopped. Anything else is a command with all of
them shut.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float

from antiphon.core.errors import UserError
from antiphon.worlds.platform.adaptive_decision import AdaptiveDecision
from antiphon.worlds.platform.estimator import PoseBelief, PoseFilter
from antiphon.worlds.platform.flight import SHUT, Command, Flight, Phase, Pose
from antiphon.worlds.platform.nominal_plant import NominalPlant
from antiphon.worlds.platform.observation import observation_size, observe
from antiphon.worlds.platform.policy_file import VALVES, PlatformPolicy
from antiphon.worlds.platform.state import PlatformState
from antiphon.worlds.platform.tasks import Target, find_task

Decide = Callable[[PlatformState, Target], Bool[np.ndarray, " 8"]]
"""Valves to open, in the platform's order, from where the robot believes to be and what it is asked to do."""

# A clock that runs fast or slow by a thousandth must not make poses look late after an hour.
_CLOCK_DRIFT = 1e-3


@dataclass(frozen=True, eq=False)
class PlatformController:
    """From poses to valves, with everything that keeps valves shut.

    Attributes:
        decide: opens valves; with memory, if it finds out about its valves.
        plant: what its thrusts do, so that the filter knows of them; None if nothing is known.
        rate_hz: of commands.
        frame: the frame poses must name; "" takes that of the first good pose.
        dead_valves: never opened.
        filter: velocities from poses.
        stale_after: s without a good pose until valves shut; one period unless given.
        settle: poses in a row that must agree before valves may open.
        jump: m that a pose may differ from what is expected.
        turn: rad likewise.
        top_speed: m/s; how much farther it may be for every second without a good pose.
        tilt: rad that the platform may lean; more means another axis is up.
        arena: m; a pose or a goal beyond ± this on an axis is in other units, or of something else.
    """

    decide: Decide
    plant: NominalPlant | None = None
    rate_hz: float = 5.0
    frame: str = ""
    dead_valves: tuple[int, ...] = ()
    filter: PoseFilter = field(default_factory=PoseFilter)
    stale_after: float | None = None
    settle: int = 10
    jump: float = 0.3
    turn: float = 0.6
    top_speed: float = 2.0
    tilt: float = 0.35
    arena: float = 20.0

    def __post_init__(self) -> None:
        for name in ("rate_hz", "settle", "jump", "turn", "top_speed", "tilt", "arena"):
            if not getattr(self, name) > 0:
                raise UserError(
                    "field", f"the controller's {name} is {getattr(self, name)}", "give a positive number"
                )
        if self.stale_after is not None and not 0 < self.stale_after <= 2 * self.period:
            raise UserError(
                "field",
                f"stale_after is {self.stale_after} s",
                f"give at most two periods, {2 * self.period:g} s: valves must not stay open on old poses",
            )
        for valve in self.dead_valves:
            if not 0 <= valve < VALVES:
                raise UserError(
                    "field", f"there is no valve {valve}", f"name dead valves by 0 to {VALVES - 1}"
                )

    @property
    def period(self) -> float:
        """Seconds between commands."""
        return 1 / self.rate_hz

    @property
    def patience(self) -> float:
        """Seconds without a good pose until valves shut."""
        return self.period if self.stale_after is None else self.stale_after

    def start(self) -> Flight:
        """Nothing known, valves shut, bearings on."""
        return Flight(frame=self.frame)

    def aim(self, flight: Flight, target: Target) -> Flight:
        """A new goal; one that is not finite or outside the arena is counted, and the old one stays."""
        numbers = np.concatenate([np.ravel(np.asarray(part, np.float64)) for part in target])
        if not np.isfinite(numbers).all() or np.abs(np.asarray(target.position)).max() > self.arena:
            return _counted(flight, "goals_refused")
        return flight._replace(target=target)

    def receive(self, flight: Flight, pose: Pose, now: float) -> Flight:
        """Takes a pose in, or refuses and counts it.

        Args:
            flight: so far.
            pose: as motion capture says.
            now: when it arrived, s, on a clock that never goes back.
        """
        flight = self.watch(flight, now)
        numbers = np.array([pose.stamp, *pose.position, *pose.orientation], np.float64)
        length = float(np.linalg.norm(numbers[4:]))
        if not np.isfinite(numbers).all() or abs(length - 1) > 0.05:
            return _counted(flight, "not_finite")
        if flight.frame and pose.frame != flight.frame:
            return _counted(flight, "wrong_frame")
        heading, lean = heading_and_lean(numbers[4:] / length)
        if lean > self.tilt:
            return _counted(flight, "tilted")
        seen = np.array([pose.position[0], pose.position[1], heading])
        if np.abs(seen[:2]).max() > self.arena:
            return _counted(flight, "outside")
        silent = now - flight.seen
        belief = flight.belief
        if belief is None or silent > self.patience:
            return self._begin(flight, pose, seen, now)
        stamped = pose.stamp != 0
        if stamped:
            delay = min(flight.delay + _CLOCK_DRIFT * silent, now - pose.stamp)
            if pose.stamp <= flight.stamp or now - pose.stamp - delay > self.patience:
                return _counted(flight, "late")
            flight = flight._replace(delay=delay)
        # A stamp from the future would let the filter believe that an hour has gone by.
        dt = min(pose.stamp - flight.stamp, silent + 0.1) if stamped else max(silent, 1e-4)
        expected = self.filter.predict(belief, dt, self._acceleration(flight))
        if self._is_jump(expected, seen, 0.0):
            return _counted(flight, "jumped")
        return _counted(flight, "accepted")._replace(
            frame=flight.frame or pose.frame,
            belief=self.filter.correct(expected, seen),
            seen=now,
            stamp=pose.stamp,
            agreeing=flight.agreeing + 1,
        )

    def step(self, flight: Flight, now: float) -> Flight:
        """The command of this period, in ``flight.command``; call it ``rate_hz`` times a second.

        A decision that fails stops the flight: a robot whose policy raises an error has none.
        """
        if flight.phase is Phase.STOPPED:
            return flight
        flight = self.watch(flight, now)
        if flight.belief is None or flight.target is None or flight.agreeing < self.settle:
            waiting = flight.phase if flight.phase is Phase.STALE else Phase.WAITING
            return flight._replace(phase=waiting, command=Command(True, SHUT))
        if now - flight.seen > self.patience:
            return flight
        memory, seen = None, self.estimate(flight, now)
        try:
            if isinstance(self.decide, AdaptiveDecision):
                valves, memory = self.decide.act(flight.memory, seen, flight.target, now)
            else:
                valves = np.asarray(self.decide(seen, flight.target))
            if valves.shape != (VALVES,) or valves.dtype != np.bool_:
                raise ValueError(f"the decision has shape {valves.shape} and type {valves.dtype}")
        except Exception as error:
            return self.stop(flight, f"the policy failed: {error}")
        valves = tuple(bool(v) and i not in self.dead_valves for i, v in enumerate(valves))
        if memory is not None:
            memory = memory._replace(
                recollection=memory.recollection._replace(valves=np.array(valves, float))
            )
        return flight._replace(phase=Phase.FLYING, command=Command(True, valves), memory=memory)

    def watch(self, flight: Flight, now: float) -> Flight:
        """Shuts the valves if poses have stopped; call it as often as you like, between steps too."""
        if flight.phase is Phase.FLYING and now - flight.seen > self.patience:
            flight = _counted(flight, "stale")
            return flight._replace(phase=Phase.STALE, agreeing=0, command=Command(True, SHUT))
        return flight

    def stop(self, flight: Flight, reason: str) -> Flight:
        """Valves shut for good; :func:`shutdown` says what to send."""
        if flight.phase is Phase.STOPPED:
            return flight
        return flight._replace(phase=Phase.STOPPED, reason=reason, command=Command(True, SHUT))

    def estimate(self, flight: Flight, now: float) -> PlatformState:
        """Where the platform should be now, by the filter and what its valves are known to do.

        Raises:
            UserError: no pose has come yet.
        """
        if flight.belief is None:
            raise UserError("pose", "no pose has come yet", "check the topic and the frame of motion capture")
        ahead = self.filter.predict(flight.belief, now - flight.seen, self._acceleration(flight))
        return ahead.state()

    def _begin(self, flight: Flight, pose: Pose, seen: Float[np.ndarray, " 3"], now: float) -> Flight:
        """The first pose, or the first after a silence: it is believed, and must be confirmed by others."""
        silent = now - flight.seen
        if flight.belief is not None and self._is_jump(flight.belief, seen, silent):
            return _counted(flight, "jumped")
        return _counted(flight, "accepted")._replace(
            frame=flight.frame or pose.frame,
            belief=self.filter.begin(seen),
            seen=now,
            stamp=pose.stamp,
            delay=now - pose.stamp,
            agreeing=1,
        )

    def _is_jump(self, expected: PoseBelief, seen: Float[np.ndarray, " 3"], silent: float) -> bool:
        missed = self.filter.innovation(expected, seen)
        if silent > 0:  # it may have gone anywhere that it can reach, and turned to anywhere
            return float(np.hypot(missed[0], missed[1])) > self.jump + self.top_speed * silent
        return float(np.hypot(missed[0], missed[1])) > self.jump or abs(float(missed[2])) > self.turn

    def _acceleration(self, flight: Flight) -> Float[np.ndarray, " 3"] | float:
        if self.plant is None or flight.belief is None:
            return 0.0
        return self.plant.acceleration(float(flight.belief.pose[2]), np.array(flight.command.valves))


def policy_decision(policy: PlatformPolicy, task: str = "", dead_valves: tuple[int, ...] = ()) -> Decide:
    """What a policy file decides; outputs are put in the platform's order by its valve map.

    Args:
        policy: trained weights.
        task: by default the one it was trained for.
        dead_valves: that a policy of the adaptive observation is told of; others cannot be told.

    Raises:
        UserError: the task is unknown, or the policy's observation layout does not know it.
    """
    asked = find_task(task or policy.metadata.task)
    order = np.argsort(policy.metadata.valve_map)
    layout = policy.metadata.observation
    size = observation_size(layout)
    if size != policy.observation_size:
        raise UserError(
            "policy",
            f"the policy reads {policy.observation_size} numbers, the {layout} observation has {size}",
            "train and export it again with this version of antiphon",
        )
    if layout == "adaptive":
        plant = NominalPlant.of(policy.metadata.plant)
        return AdaptiveDecision(policy, asked, plant, dead_valves)

    def decide(state: PlatformState, target: Target) -> Bool[np.ndarray, " 8"]:
        return policy(observe(layout, asked, state, target))[order]

    rest = PlatformState(np.zeros(2), np.zeros(()), np.zeros(2), np.zeros(()))
    decide(rest, Target(*rest))  # refuses tasks that the layout does not have
    return decide


def shutdown() -> tuple[tuple[Command, float], ...]:
    """What to send at the end, each with the seconds to wait after it: valves shut, then bearings off too."""
    return (Command(True, SHUT), 1.0), (Command(False, SHUT), 0.0)


def heading_and_lean(orientation: Float[np.ndarray, " 4"]) -> tuple[float, float]:
    """Heading about z and the angle between the body's z and the world's, rad, of a quaternion x, y, z, w."""
    x, y, z, w = (float(part) for part in orientation)
    heading = math.atan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))
    return heading, math.acos(max(-1.0, min(1.0, 1 - 2 * (x * x + y * y))))


def pose_target(x: float, y: float, heading: float = 0.0) -> Target:
    """A goal to rest at."""
    return Target(np.array([x, y]), np.asarray(heading), np.zeros(2), np.zeros(()))


def velocity_target(v_x: float, v_y: float, rate: float = 0.0, heading: float = 0.0) -> Target:
    """A velocity to keep, world frame."""
    return Target(np.zeros(2), np.asarray(heading), np.array([v_x, v_y]), np.asarray(rate))


def _counted(flight: Flight, name: str) -> Flight:
    return flight._replace(counts=flight.counts._replace(**{name: getattr(flight.counts, name) + 1}))
