"""Motion capture and platform in one node, so that a controller can be flown over real ROS 2 without either.

It hears valves, moves the simulated platform by the time that has really gone by, and publishes its pose with
noise. What it measures of the controller (its rate, where it brought the platform, when it shut the valves)
is known to nobody on the other side.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from antiphon.worlds.platform.flight import Command
from antiphon.worlds.platform.parameters import PlatformParams
from antiphon.worlds.platform.plant import advance
from antiphon.worlds.platform.ros2 import messages
from antiphon.worlds.platform.ros2.layouts import Layout
from antiphon.worlds.platform.ros2.session import Session, ros_session
from antiphon.worlds.platform.state import PlatformState


@dataclass(frozen=True)
class Stage:
    """What is simulated.

    Attributes:
        layout: topics and messages.
        params: the platform as it really is.
        start: x m, y m, heading rad.
        goal: x m, y m, heading rad, from which errors are measured.
        seconds: until the node ends by itself; None goes on.
        pose_hz: poses a second.
        position_noise: of a pose, m.
        heading_noise: rad.
        frame: that poses name.
        silent_after: seconds after the first command that opens a valve, from when no pose is sent.
        seed: of the noise.
        say: told what happens, in words.
    """

    layout: Layout
    params: PlatformParams
    start: tuple[float, float, float] = (1.5, -1.0, 1.0)
    goal: tuple[float, float, float] = (0.0, 0.0, 0.0)
    seconds: float | None = None
    pose_hz: float = 100.0
    position_noise: float = 0.0005
    heading_noise: float = 0.001
    frame: str = "world"
    silent_after: float | None = None
    seed: int = 0
    say: Callable[[str], None] = lambda text: None


def simulate(stage: Stage) -> dict[str, Any]:
    """Runs until the time is over or somebody stops it; returns what it measured, as JSON values.

    Raises:
        UserError: no ROS 2.
    """
    with ros_session("antiphon_simulated_platform") as session:
        world = _World(stage, session)
        world.open()
        session.spin(world.is_over)
    return world.measured()


class _World:
    def __init__(self, stage: Stage, session: Session) -> None:
        self.stage, self.session = stage, session
        x, y, heading = stage.start
        self.state = PlatformState(
            np.array([x, y], np.float32), np.float32(heading), np.zeros(2, np.float32), np.float32(0)
        )
        self._advance = jax.jit(lambda state, valves, dt: advance(stage.params, state, valves, dt=dt))
        self._advance(self.state, np.zeros(8, np.float32), np.float32(0.01))  # compile before time counts
        self.command = Command(False, (False,) * 8)
        self.commands: list[tuple[float, Command]] = []
        self.errors: list[tuple[float, float, float]] = []
        self.silent_since: float | None = None
        self.first_opened: float | None = None
        self.malformed = 0
        self._rng = np.random.default_rng(stage.seed)
        self._begin = self._last = session.now()

    def open(self) -> None:
        layout, session = self.stage.layout, self.session
        self._publish = session.publisher(messages.pose_type(), layout.pose_topic, reliable=False)
        session.subscribe(messages.valve_type(layout), layout.valve_topic, self._valves)
        self._begin = self._last = self.session.now()
        self.session.every(1 / self.stage.pose_hz, self._move)
        self.stage.say(f"poses to {layout.pose_topic}, valves from {layout.valve_topic}")

    def is_over(self) -> bool:
        return self.stage.seconds is not None and self.session.now() - self._begin >= self.stage.seconds

    def _catch_up(self) -> float:
        """Moves the platform to now with the valves as they have been."""
        now = self.session.now()
        valves = np.array(self.command.valves, np.float32)
        moved = self._advance(self.state, valves, np.float32(now - self._last))
        self.state = PlatformState(*(np.asarray(part) for part in moved))
        self._last = now
        return now

    def _valves(self, message: Any) -> None:
        now, command = self._catch_up(), messages.command_of(self.stage.layout, message)
        if command is None:
            self.malformed += 1
            return
        self.command = command
        self.commands.append((now, command))
        if self.first_opened is None and any(command.valves):
            self.first_opened = now

    def _move(self) -> None:
        now, stage = self._catch_up(), self.stage
        x, y = (float(part) for part in self.state.position)
        turned = float(self.state.heading) - stage.goal[2]
        self.errors.append((now, float(np.hypot(x - stage.goal[0], y - stage.goal[1])), _wrapped(turned)))
        opened = self.first_opened
        if stage.silent_after is not None and opened is not None and now - opened >= stage.silent_after:
            if self.silent_since is None:
                self.silent_since = now
                stage.say("motion capture falls silent")
            return
        noise = self._rng.normal(size=3) * (stage.position_noise, stage.position_noise, stage.heading_noise)
        stamp = self.session.node.get_clock().now().nanoseconds * 1e-9
        heading = float(self.state.heading) + noise[2]
        message = messages.pose_message(x + noise[0], y + noise[1], heading, stage.frame, stamp)
        self._publish(message)

    def measured(self) -> dict[str, Any]:
        """Rate and end of the commands, errors, and how long valves stayed open after poses stopped."""
        flown = [(now, command) for now, command in self.commands if command.bearing]
        # The end of a flight says "shut" many times a second; the rate is that of the flight.
        last_open = max((now for now, command in flown if any(command.valves)), default=0.0)
        times = np.array([now for now, _ in flown if now <= last_open])
        gaps = np.diff(times)
        ending = [error for error in self.errors if last_open - 5 <= error[0] <= last_open]
        found: dict[str, Any] = {
            "poses": len(self.errors),
            "commands": len(self.commands),
            "malformed": self.malformed,
            "rate_hz": float(1 / gaps.mean()) if len(gaps) else None,
            "period_low": float(np.quantile(gaps, 0.01)) if len(gaps) else None,
            "period_high": float(np.quantile(gaps, 0.99)) if len(gaps) else None,
            "flight_seconds": float(times[-1] - times[0]) if len(gaps) else 0.0,
            "air_use": float(np.mean([np.mean(c.valves) for n, c in flown if n <= last_open]))
            if len(gaps)
            else None,
            "error_m": ending[-1][1] if ending else None,
            "worst_error_m_last_5s": max((e[1] for e in ending), default=None),
            "worst_error_rad_last_5s": max((abs(e[2]) for e in ending), default=None),
            "last_command": self.stage.layout.numbers(self.command),
        }
        if self.silent_since is not None:
            late = [now for now, command in self.commands if now > self.silent_since and any(command.valves)]
            shut = [
                now for now, c in self.commands if now > max([self.silent_since, *late]) and not any(c.valves)
            ]
            found["silent_to_shut_s"] = shut[0] - self.silent_since if shut else None
        return found


def _wrapped(angle: float) -> float:
    return float((angle + np.pi) % (2 * np.pi) - np.pi)
