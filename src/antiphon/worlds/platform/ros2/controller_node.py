"""The node that flies the platform: poses and goals in, nine numbers out, valves shut at the end of all."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from antiphon.core.errors import UserError
from antiphon.worlds.platform.flight import Command, Counts, Flight, Phase
from antiphon.worlds.platform.flight_log import FlightLog, Recorder
from antiphon.worlds.platform.robot import PlatformController, shutdown
from antiphon.worlds.platform.ros2 import messages
from antiphon.worlds.platform.ros2.layouts import Layout
from antiphon.worlds.platform.ros2.session import Session, ros_session
from antiphon.worlds.platform.tasks import Target

_WATCH_PERIOD = 0.02


@dataclass(frozen=True)
class Outing:
    """What a flight is, beside its controller.

    Attributes:
        layout: topics and messages.
        target: the first goal; None waits for one on the goal's topic.
        seconds: until the flight ends by itself; None flies on.
        patience: seconds to wait for the first good pose; then the flight ends with an error.
        facts: kept in the log.
        say: told what happens, in words.
        heard: told every accepted event as ("pose" | "goal" | "valves", value, seconds), for a bag.
    """

    layout: Layout
    target: Target | None = None
    seconds: float | None = None
    patience: float = 30.0
    facts: tuple[tuple[str, Any], ...] = ()
    say: Callable[[str], None] = lambda text: None
    heard: Callable[[str, Any, float], None] = lambda kind, value, now: None


class Landed(NamedTuple):
    """How a flight ended.

    Attributes:
        log: what happened.
        counts: poses by what became of them.
        reason: why it ended.
        commands: that were sent by the period's timer.
        rate_hz: of these.
        longest: seconds between two of these.
    """

    log: FlightLog
    counts: Counts
    reason: str
    commands: int
    rate_hz: float
    longest: float


def fly(controller: PlatformController, outing: Outing) -> Landed:
    """Flies until the time is over, somebody stops it (Ctrl-C, SIGTERM), or the policy fails.

    However it ends, the last messages are valves shut with bearings on, and a second later bearings off.

    Raises:
        UserError: no ROS 2, another node commands the valves, no pose came in time, or (after the flight) the
            recording broke off. Valves are shut before it is raised.
    """
    with ros_session("antiphon_platform") as session:
        pilot = _Pilot(controller, outing, session)
        try:
            pilot.open()
            session.spin(pilot.is_over)
        finally:
            pilot.end()
    if pilot.complaint is not None:
        raise pilot.complaint
    times = pilot.ticks
    gaps = [after - before for before, after in itertools.pairwise(times)]
    return Landed(
        log=pilot.log(),
        counts=pilot.flight.counts,
        reason=pilot.flight.reason or ("stopped by hand" if session.asked.is_set() else "time is over"),
        commands=len(times),
        rate_hz=len(gaps) / (times[-1] - times[0]) if gaps else 0.0,
        longest=max(gaps, default=0.0),
    )


class _Pilot:
    """The callbacks of one flight; ``_send`` is the only door to the valves."""

    def __init__(self, controller: PlatformController, outing: Outing, session: Session) -> None:
        self.controller, self.outing, self.session = controller, outing, session
        self.flight: Flight = controller.start()
        self.recorder = Recorder(dict(outing.facts))
        self.complaint: UserError | None = None
        self.ticks: list[float] = []
        self._begin = session.now()
        self._publish: Callable[[Any], None] | None = None
        self._heard = outing.heard

    def open(self) -> None:
        layout, session = self.outing.layout, self.session
        # A reliable speaker is heard by reliable and best-effort listeners alike.
        self._publish = session.publisher(messages.valve_type(layout), layout.valve_topic, reliable=True)
        session.subscribe(messages.pose_type(), layout.pose_topic, self._pose)
        if layout.goal_topic:
            session.subscribe(messages.goal_type(layout), layout.goal_topic, self._goal)
        if layout.velocity_topic:
            session.subscribe(messages.velocity_type(), layout.velocity_topic, self._velocity_goal)
        if self.outing.target is not None:
            self._aim(self.outing.target)
        self.session.every(self.controller.period, self._tick)
        self.session.every(_WATCH_PERIOD, self._watch)
        self.session.every(0.5, self._look_around)
        self._begin = self.session.now()
        self.outing.say(f"poses from {layout.pose_topic}, valves to {layout.valve_topic}")

    def is_over(self) -> bool:
        seconds = self.outing.seconds
        over = seconds is not None and self.session.now() - self._begin >= seconds
        return over or self.flight.phase is Phase.STOPPED

    def end(self) -> None:
        """Valves shut and bearings on, said until heard; then bearings off."""
        self.flight = self.controller.stop(self.flight, self.flight.reason)
        if self._publish is None:
            return
        for command, wait in shutdown():
            until = self.session.now() + max(wait, 0.15)
            while self.session.now() < until:
                self._send(command)
                self.session.rest(0.05)

    def log(self) -> FlightLog:
        counts = self.flight.counts._asdict()
        return replace(self.recorder.log(), facts={**self.recorder.facts, "counts": counts})

    def _send(self, command: Command) -> None:
        if self._publish is None:
            return
        self._publish(messages.valve_message(self.outing.layout, command))
        now = self.session.now()
        self.recorder.command(command, now)
        self._tell("valves", command, now)

    def _tell(self, kind: str, value: Any, now: float) -> None:
        """For the bag. A full disk is no reason to fall out of the sky: the flight goes on, unheard."""
        try:
            self._heard(kind, value, now)
        except Exception as error:
            self._heard = lambda kind, value, now: None
            self.complaint = UserError("bag", f"the recording broke off ({error})", "free some disk space")
            self.outing.say(self.complaint.message)

    def _tick(self) -> None:
        now = self.session.now()
        before = self.flight.phase
        self.flight = self.controller.step(self.flight, now)
        self.ticks.append(now)
        self._send(self.flight.command)
        self._say_change(before)

    def _watch(self) -> None:
        before = self.flight.phase
        self.flight = self.controller.watch(self.flight, self.session.now())
        if self.flight.phase is not before:
            self._send(self.flight.command)
            self._say_change(before)

    def _say_change(self, before: Phase) -> None:
        if self.flight.phase is not before:
            self.outing.say(self.flight.reason or self.flight.phase.value)

    def _pose(self, message: Any) -> None:
        pose, now, before = messages.pose_of(message), self.session.now(), self.flight.counts.accepted
        self.flight = self.controller.receive(self.flight, pose, now)
        if self.flight.counts.accepted > before:
            self.recorder.pose(pose, now)
            self._tell("pose", pose, now)

    def _goal(self, message: Any) -> None:
        target = messages.goal_of(message, self.flight.frame)
        if target is None:
            counts = self.flight.counts
            self.flight = self.flight._replace(counts=counts._replace(goals_refused=counts.goals_refused + 1))
            self.outing.say("a goal in another frame was refused")
            return
        self._aim(target)

    def _velocity_goal(self, message: Any) -> None:
        self._aim(messages.velocity_goal_of(message))

    def _aim(self, target: Target) -> None:
        self.flight = self.controller.aim(self.flight, target)
        if self.flight.target is target:
            self.recorder.goal(target, self.session.now())
            self._tell("goal", target, self.session.now())
        else:
            self.outing.say("a goal that is not finite or outside the arena was refused")

    def _look_around(self) -> None:
        """Two nodes that command valves would fight; a robot that nobody sees must not wait for ever."""
        layout = self.outing.layout
        if self.session.speakers(layout.valve_topic) > 1:
            self._complain(
                "valves",
                f"another node publishes on {layout.valve_topic}, and only one may command the valves",
                "stop the other node",
            )
        elif self.flight.belief is None and self.session.now() - self._begin > self.outing.patience:
            senders = self.session.speakers(layout.pose_topic)
            refused = {name: n for name, n in self.flight.counts._asdict().items() if n}
            self._complain(
                "pose",
                f"no good pose came on {layout.pose_topic} in {self.outing.patience:g} s "
                f"({senders} publishers, refused: {refused or 'none'})",
                "check the topic, the frame and ROS_DOMAIN_ID",
            )

    def _complain(self, kind: str, message: str, mend: str) -> None:
        if self.flight.phase is not Phase.STOPPED:
            self.complaint = UserError(kind, message, mend)
            self.flight = self.controller.stop(self.flight, message)
            self._send(self.flight.command)
