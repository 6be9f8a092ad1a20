"""Between ROS messages and our records; each function imports the message it needs."""

from typing import Any

import numpy as np

from antiphon.worlds.platform.flight import Command, Pose
from antiphon.worlds.platform.robot import heading_and_lean, pose_target, velocity_target
from antiphon.worlds.platform.ros2.layouts import Layout
from antiphon.worlds.platform.tasks import Target


def pose_of(message: Any) -> Pose:
    """From a geometry_msgs/PoseStamped."""
    stamp, at, turn = message.header.stamp, message.pose.position, message.pose.orientation
    return Pose(
        stamp=stamp.sec + 1e-9 * stamp.nanosec,
        frame=message.header.frame_id,
        position=(at.x, at.y, at.z),
        orientation=(turn.x, turn.y, turn.z, turn.w),
    )


def pose_type() -> Any:
    """The class of poses."""
    from geometry_msgs.msg import PoseStamped  # pyright: ignore[reportMissingImports]

    return PoseStamped


def velocity_type() -> Any:
    """The class of velocity goals."""
    from geometry_msgs.msg import Twist  # pyright: ignore[reportMissingImports]

    return Twist


def pose_message(x: float, y: float, heading: float, frame: str, stamp: float) -> Any:
    """A geometry_msgs/PoseStamped of a platform that stands upright."""
    message = pose_type()()
    message.header.frame_id = frame
    message.header.stamp.sec = int(stamp)
    message.header.stamp.nanosec = int(1e9 * (stamp - int(stamp)))
    message.pose.position.x, message.pose.position.y = float(x), float(y)
    message.pose.orientation.z, message.pose.orientation.w = (
        float(np.sin(heading / 2)),
        float(np.cos(heading / 2)),
    )
    return message


def goal_type(layout: Layout) -> Any:
    """The class of the layout's goals."""
    from geometry_msgs.msg import Point, PoseStamped  # pyright: ignore[reportMissingImports]

    return Point if layout.goal_message == "point" else PoseStamped


def goal_of(message: Any, frame: str) -> Target | None:
    """From a Point (heading in z) or a PoseStamped; None if it names another frame than the poses do."""
    if not hasattr(message, "header"):
        return pose_target(message.x, message.y, message.z)
    if frame and message.header.frame_id not in ("", frame):
        return None
    turn = message.pose.orientation
    heading, _ = heading_and_lean(np.array([turn.x, turn.y, turn.z, turn.w]))
    return pose_target(message.pose.position.x, message.pose.position.y, heading)


def velocity_goal_of(message: Any) -> Target:
    """From a geometry_msgs/Twist in the world frame."""
    return velocity_target(message.linear.x, message.linear.y, message.angular.z)


def valve_type(layout: Layout) -> Any:
    """The class of the layout's commands."""
    from std_msgs.msg import ByteMultiArray, Int16MultiArray  # pyright: ignore[reportMissingImports]

    return ByteMultiArray if layout.valve_message == "bytes" else Int16MultiArray


def valve_message(layout: Layout, command: Command) -> Any:
    """A command as the layout's message."""
    numbers = layout.numbers(command)
    message = valve_type(layout)()
    message.data = [bytes([number]) for number in numbers] if layout.valve_message == "bytes" else numbers
    return message


def command_of(layout: Layout, message: Any) -> Command | None:
    """The inverse of :func:`valve_message`; None for what is no command."""
    return layout.command([part[0] if isinstance(part, bytes) else int(part) for part in message.data])
