"""What happened in a flight: poses, commands and goals with their times, as one ``.npz`` or a ROS bag.

A log is what ``antiphon platform view`` replays and what system identification reads.
"""

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from antiphon.core.errors import UserError
from antiphon.train.files import plain
from antiphon.worlds.platform.flight import Command, Pose
from antiphon.worlds.platform.policy_file import VALVES, write_file
from antiphon.worlds.platform.robot import heading_and_lean
from antiphon.worlds.platform.tasks import Target

FORMAT = 1


@dataclass(frozen=True, eq=False)
class FlightLog:
    """A flight; times in s on one clock, the world frame, SI units.

    Attributes:
        pose_time: ``[P]``, rising.
        position: m, ``[P, 2]``.
        heading: rad, ``[P]``, unwrapped.
        valve_time: when each command was given, ``[C]``, rising; it holds until the next.
        valves: in the platform's order, ``[C, 8]``.
        goal_time: ``[G]``.
        goal: x m, y m, heading rad, v_x m/s, v_y m/s, ω rad/s, ``[G, 6]``.
        facts: task, plant figures, policy, counts of refused poses: whatever is known, as JSON values.
    """

    pose_time: Float[np.ndarray, " P"]
    position: Float[np.ndarray, "P 2"]
    heading: Float[np.ndarray, " P"]
    valve_time: Float[np.ndarray, " C"]
    valves: Bool[np.ndarray, "C 8"]
    goal_time: Float[np.ndarray, " G"] = field(default_factory=lambda: np.zeros(0))
    goal: Float[np.ndarray, "G 6"] = field(default_factory=lambda: np.zeros((0, 6)))
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raises ``UserError`` if shapes do not fit, numbers are not finite, or time runs backwards."""
        poses, commands, goals = len(self.pose_time), len(self.valve_time), len(self.goal_time)
        for name, shape in (
            ("pose_time", (poses,)), ("position", (poses, 2)), ("heading", (poses,)),
            ("valve_time", (commands,)), ("valves", (commands, VALVES)),
            ("goal_time", (goals,)), ("goal", (goals, 6)),
        ):  # fmt: skip
            array = getattr(self, name)
            if array.shape != shape:
                raise UserError(
                    "log",
                    f"the log's {name} has shape {array.shape} where {shape} is expected",
                    "record it again",
                )
            if not np.isfinite(array).all():
                row = int(np.argwhere(~np.isfinite(array))[0][0])
                raise UserError(
                    "log",
                    f"the log's {name} is not finite in row {row}",
                    "cut the log there, or record it again",
                )
            if name.endswith("_time") and (np.diff(array) < 0).any():
                row = int(np.argmax(np.diff(array) < 0)) + 1
                raise UserError(
                    "log", f"the log's {name} runs backwards at row {row}", "sort it, or record it again"
                )

    def save(self, path: Path | str) -> Path:
        """Writes the ``.npz``, whole or not at all; returns its path.

        Raises:
            UserError: the disk refused.
        """
        packed = BytesIO()
        facts = {"format": FORMAT, **plain(self.facts)}
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        np.savez_compressed(packed, facts=np.array(json.dumps(facts, allow_nan=False)), **arrays)
        write_file(Path(path), packed.getvalue())
        return Path(path)


_ARRAYS = ("pose_time", "position", "heading", "valve_time", "valves", "goal_time", "goal")


def load_log(path: Path | str) -> FlightLog:
    """Reads a log: an ``.npz`` of ours, or the folder of a ROS 2 bag.

    Raises:
        UserError: it is missing, damaged, or not a log; the file is named.
    """
    path = Path(path)
    if path.is_dir() or path.suffix == ".bag":
        from antiphon.worlds.platform.bags import read_bag

        return read_bag(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError("file", f"log {path} does not exist or cannot be read", "check the path") from error
    try:
        if not data.startswith(b"PK"):
            raise ValueError("it is no .npz")
        with np.load(BytesIO(data), allow_pickle=False) as stored:
            facts = json.loads(str(stored["facts"][()]))
            arrays = {name: stored[name] for name in _ARRAYS}
        if facts.pop("format") != FORMAT:
            raise ValueError("it is of another format")
    except (OSError, ValueError, EOFError, KeyError, AttributeError, zipfile.BadZipFile) as error:
        raise UserError(
            "log",
            f"{path} is not a log of a flight ({error})",
            "give what 'antiphon platform ros2 --log' wrote, or a bag",
        ) from error
    try:
        return FlightLog(**arrays, facts=facts)
    except UserError as error:
        raise UserError("log", f"{path}: {error.message}", error.mend) from error


def is_log(path: Path | str) -> bool:
    """Whether a path is the recording of a flight: an ``.npz`` log or a bag."""
    path = Path(path)
    if path.is_dir():
        return (path / "metadata.yaml").is_file()
    if path.suffix == ".bag":
        return path.is_file()
    try:
        with zipfile.ZipFile(path) as packed:
            return "pose_time.npy" in packed.namelist()
    except (OSError, zipfile.BadZipFile):
        return False


class Recorder:
    """Collects a flight as it happens; the only thing here that grows."""

    def __init__(self, facts: Mapping[str, Any]) -> None:
        self.facts: dict[str, Any] = dict(facts)
        self._poses: list[tuple[float, float, float, float]] = []
        self._commands: list[tuple[float, tuple[bool, ...]]] = []
        self._goals: list[tuple[float, list[float]]] = []

    def pose(self, pose: Pose, now: float) -> None:
        """A pose that the controller accepted, at the time it arrived."""
        heading, _ = heading_and_lean(np.asarray(pose.orientation, np.float64))
        self._poses.append((now, pose.position[0], pose.position[1], heading))

    def command(self, command: Command, now: float) -> None:
        """A command that was sent."""
        self._commands.append((now, command.valves))

    def goal(self, target: Target, now: float) -> None:
        """A goal that was taken."""
        self._goals.append((now, [*map(float, np.concatenate([np.ravel(part) for part in target]))]))

    def log(self) -> FlightLog:
        """What was collected so far, times from the first event."""
        poses = np.array(self._poses, np.float64).reshape(-1, 4)
        valve_time = np.array([now for now, _ in self._commands], np.float64)
        goal_time = np.array([now for now, _ in self._goals], np.float64)
        begin = min((times[0] for times in (poses[:, 0], valve_time, goal_time) if len(times)), default=0.0)
        return FlightLog(
            pose_time=poses[:, 0] - begin,
            position=poses[:, 1:3],
            heading=np.unwrap(poses[:, 3]),
            valve_time=valve_time - begin,
            valves=np.array([valves for _, valves in self._commands], np.bool_).reshape(-1, VALVES),
            goal_time=goal_time - begin,
            goal=np.array([goal for _, goal in self._goals], np.float64).reshape(-1, 6),
            facts=self.facts,
        )
