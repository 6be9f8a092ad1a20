"""Flights as ROS 2 bags, written and read without ROS by the ``rosbags`` package."""

import time
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from antiphon.core.errors import UserError
from antiphon.worlds.platform.flight import Command, Pose
from antiphon.worlds.platform.flight_log import FlightLog, Recorder
from antiphon.worlds.platform.ros2.layouts import LAYOUT_2023, LAYOUT_2025, Layout
from antiphon.worlds.platform.ros2.messages import command_of, goal_of, pose_of, velocity_goal_of
from antiphon.worlds.platform.tasks import Target

_TYPES = {
    "pose": "geometry_msgs/msg/PoseStamped", "point": "geometry_msgs/msg/Point",
    "bytes": "std_msgs/msg/ByteMultiArray", "int16": "std_msgs/msg/Int16MultiArray",
    "twist": "geometry_msgs/msg/Twist",
}  # fmt: skip


class BagWriter:
    """A bag of a flight, written message by message, so that what was flown is on the disk when power goes.

    Its topics and messages are those of the layout, so other tools read it as a recording of the robot.
    """

    def __init__(self, folder: Path | str, layout: Layout) -> None:
        """Begins a bag.

        Raises:
            UserError: ``rosbags`` is missing, or the folder exists or cannot be made.
        """
        rosbag2, typesys = _rosbags()
        self.folder, self._layout = Path(folder), layout
        if self.folder.exists():
            raise UserError("file", f"the bag {self.folder} exists already", "name a new folder")
        self._store = typesys.get_typestore(typesys.Stores.ROS2_HUMBLE)
        try:
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            self._writer = rosbag2.Writer(self.folder, version=9)
            self._writer.open()
        except Exception as error:
            raise UserError(
                "file",
                f"the bag {self.folder} cannot be written ({error})",
                "choose a folder you may write to",
            ) from error
        topics = {
            "pose": (layout.pose_topic, _TYPES["pose"]),
            "goal": (layout.goal_topic, _TYPES[layout.goal_message]),
            "velocity": (layout.velocity_topic, _TYPES["twist"]),
            "valves": (layout.valve_topic, _TYPES[layout.valve_message]),
        }
        self._connections = {
            name: self._writer.add_connection(topic, kind, typestore=self._store)
            for name, (topic, kind) in topics.items()
            if topic
        }
        self._epoch = time.time_ns() - int(1e9 * time.monotonic())

    def __enter__(self) -> "BagWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()

    def heard(self, kind: str, value: Any, now: float) -> None:
        """Writes an event of a flight: ("pose", Pose), ("valves", Command) or ("goal", Target).

        Args:
            kind: of the event.
            value: the event.
            now: on the monotonic clock, s.
        """
        types = self._store.types
        if kind == "pose":
            message = _pose_message(types, value)
        elif kind == "valves":
            message = _valve_message(types, self._layout, value)
        else:
            moving = bool(np.any(value.velocity) or np.any(value.angular_velocity))
            kind = "velocity" if moving else "goal"
            message = _goal_message(types, self._layout, value, moving)
        if kind in self._connections:
            connection = self._connections[kind]
            data = self._store.serialize_cdr(message, connection.msgtype)
            self._writer.write(connection, self._epoch + int(1e9 * now), data)


def write_bag(log: FlightLog, folder: Path | str, layout: Layout = LAYOUT_2025, frame: str = "world") -> Path:
    """A log as a bag.

    Raises:
        UserError: ``rosbags`` is missing, or the folder exists or cannot be made.
    """
    events: list[tuple[float, str, Any]] = []
    for now, (x, y), heading in zip(log.pose_time, log.position, log.heading, strict=True):
        turn = (0.0, 0.0, float(np.sin(heading / 2)), float(np.cos(heading / 2)))
        events.append((now, "pose", Pose(float(now), frame, (float(x), float(y), 0.0), turn)))
    for now, valves in zip(log.valve_time, log.valves, strict=True):
        events.append((now, "valves", Command(True, tuple(map(bool, valves)))))
    for now, goal in zip(log.goal_time, log.goal, strict=True):
        events.append((now, "goal", Target(goal[:2], goal[2], goal[3:5], goal[5])))
    with BagWriter(folder, layout) as bag:
        for now, kind, value in sorted(events, key=lambda event: event[0]):
            bag.heard(kind, value, float(now))
    return Path(folder)


def read_bag(folder: Path | str, layout: Layout | None = None) -> FlightLog:
    """Poses, commands and goals of a bag of ROS 1 or ROS 2.

    Args:
        folder: of a ROS 2 bag, or a ``.bag`` file of ROS 1.
        layout: its topics and valve map; by default that of the two known ones whose valve topic it has.

    Raises:
        UserError: ``rosbags`` is missing, it is no bag, or has no poses or commands on these topics.
    """
    _, typesys = _rosbags()
    from rosbags.highlevel import AnyReader  # pyright: ignore[reportMissingImports]

    folder = Path(folder)
    recorder = Recorder({"bag": folder.name})
    found: dict[str, int] = {}
    try:
        store = typesys.get_typestore(typesys.Stores.ROS2_HUMBLE)
        with AnyReader([folder], default_typestore=store) as reader:
            topics = {connection.topic for connection in reader.connections}
            layout = layout or _layout_of(folder, topics)
            for connection, stamp, raw in reader.messages():
                name = {
                    layout.pose_topic: "pose", layout.valve_topic: "valves",
                    layout.goal_topic: "goal", layout.velocity_topic: "velocity",
                }.get(connection.topic)  # fmt: skip
                if name is None:
                    continue
                message, now = reader.deserialize(raw, connection.msgtype), stamp * 1e-9
                _record(recorder, layout, name, message, now)
                found[name] = found.get(name, 0) + 1
    except UserError:
        raise
    except Exception as error:  # the reader has a class for each way in which a bag can be broken
        raise UserError(
            "log",
            f"{folder} cannot be read as a ROS bag ({error})",
            "give the folder that holds metadata.yaml",
        ) from error
    for name, topic in (("pose", layout.pose_topic), ("valves", layout.valve_topic)):
        if not found.get(name):
            raise UserError(
                "log", f"bag {folder} has nothing on {topic}", "name the layout that it was recorded with"
            )
    return recorder.log()


def _record(recorder: Recorder, layout: Layout, name: str, message: Any, now: float) -> None:
    if name == "pose":
        recorder.pose(pose_of(message), now)
    elif name == "valves":
        command = command_of(layout, message)
        if command is not None:
            recorder.command(command, now)
    elif name == "velocity":
        recorder.goal(velocity_goal_of(message), now)
    else:
        target = goal_of(message, "")
        if target is not None:
            recorder.goal(target, now)


def _layout_of(folder: Path, topics: set[str]) -> Layout:
    for layout in (LAYOUT_2025, LAYOUT_2023):
        if layout.valve_topic in topics:
            return layout
    raise UserError(
        "log",
        f"bag {folder} has no commands on {LAYOUT_2025.valve_topic} or {LAYOUT_2023.valve_topic}",
        "name the topics it was recorded with",
    )


def _pose_message(types: Any, pose: Pose) -> Any:
    stamp = types["builtin_interfaces/msg/Time"](sec=int(pose.stamp), nanosec=int(pose.stamp % 1 * 1e9))
    header = types["std_msgs/msg/Header"](stamp=stamp, frame_id=pose.frame)
    return types[_TYPES["pose"]](header=header, pose=_placed(types, pose.position, pose.orientation))


def _goal_message(types: Any, layout: Layout, target: Target, moving: bool) -> Any:
    x, y, heading = float(target.position[0]), float(target.position[1]), float(target.heading)
    vector, point = types["geometry_msgs/msg/Vector3"], types[_TYPES["point"]]
    if moving:
        linear = vector(x=float(target.velocity[0]), y=float(target.velocity[1]), z=0.0)
        return types[_TYPES["twist"]](
            linear=linear, angular=vector(x=0.0, y=0.0, z=float(target.angular_velocity))
        )
    if layout.goal_message == "point":
        return point(x=x, y=y, z=heading)
    turn = (0.0, 0.0, float(np.sin(heading / 2)), float(np.cos(heading / 2)))
    header = types["std_msgs/msg/Header"](
        stamp=types["builtin_interfaces/msg/Time"](sec=0, nanosec=0), frame_id=""
    )
    return types[_TYPES["pose"]](header=header, pose=_placed(types, (x, y, 0.0), turn))


def _placed(types: Any, position: tuple[float, ...], orientation: tuple[float, ...]) -> Any:
    return types["geometry_msgs/msg/Pose"](
        position=types[_TYPES["point"]](**dict(zip("xyz", position, strict=True))),
        orientation=types["geometry_msgs/msg/Quaternion"](**dict(zip("xyzw", orientation, strict=True))),
    )


def _valve_message(types: Any, layout: Layout, command: Command) -> Any:
    numbers = layout.numbers(command)
    dtype = np.uint8 if layout.valve_message == "bytes" else np.int16
    empty = types["std_msgs/msg/MultiArrayLayout"](dim=[], data_offset=0)
    return types[_TYPES[layout.valve_message]](layout=empty, data=np.array(numbers, dtype))


def _rosbags() -> tuple[Any, Any]:
    try:
        from rosbags import rosbag2, typesys  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise UserError(
            "missing-extra", "bags need rosbags, which is not installed", "run: pip install 'antiphon[ros2]'"
        ) from error
    return rosbag2, typesys
