"""Topics and messages of the two robots that the authors have flown, and how nine numbers become valves.

Source: the published ROS nodes of arXiv 2310.04266 (ROS 1, 2023) and of arXiv 2505.14526 (ROS 2, 2025).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from antiphon.core.errors import UserError
from antiphon.worlds.platform.flight import Command
from antiphon.worlds.platform.policy_file import VALVES


@dataclass(frozen=True)
class Layout:
    """How a robot is spoken to.

    Attributes:
        name: of the layout.
        pose_topic: geometry_msgs/PoseStamped of motion capture.
        goal_topic: of goals; empty for none.
        goal_message: geometry_msgs/Point (x, y, and the heading in z) or geometry_msgs/PoseStamped.
        velocity_topic: geometry_msgs/Twist, world frame, for tasks that follow a velocity.
        valve_topic: of commands: nine numbers, the air bearings first.
        valve_message: std_msgs/ByteMultiArray or std_msgs/Int16MultiArray.
        valve_map: ``valve_map[k]`` is the valve of the platform that number 1 + k of the message drives.
    """

    name: str
    pose_topic: str
    goal_topic: str
    goal_message: Literal["point", "pose"]
    velocity_topic: str
    valve_topic: str
    valve_message: Literal["bytes", "int16"]
    valve_map: tuple[int, ...]

    def __post_init__(self) -> None:
        if sorted(self.valve_map) != list(range(VALVES)):
            raise UserError(
                "valve-map",
                f"the valve map {list(self.valve_map)} does not name each of {VALVES} valves once",
                f"give an order of the numbers 0 to {VALVES - 1}",
            )
        for topic in (self.pose_topic, self.goal_topic, self.velocity_topic, self.valve_topic):
            if any(part.isspace() for part in topic) or topic.endswith("/"):
                raise UserError(
                    "topic", f"{topic!r} is no topic", "give a name such as /vrpn_mocap/body/pose"
                )

    def numbers(self, command: Command) -> list[int]:
        """The nine numbers of a message: air bearings, then the valves in the robot's own order."""
        return [int(command.bearing), *(int(command.valves[valve]) for valve in self.valve_map)]

    def command(self, numbers: Sequence[int]) -> Command | None:
        """The inverse of :meth:`numbers`; None for what is not nine zeros and ones."""
        if len(numbers) != 1 + VALVES or any(number not in (0, 1) for number in numbers):
            return None
        valves = [False] * VALVES
        for place, valve in enumerate(self.valve_map):
            valves[valve] = bool(numbers[1 + place])
        return Command(bool(numbers[0]), tuple(valves))


LAYOUT_2023 = Layout(
    name="2023",
    pose_topic="/vrpn_client_node/FP_exp_RL/pose",
    goal_topic="/spacer_floating_platform/goal",
    goal_message="point",
    velocity_topic="/spacer_floating_platform/goal_velocity",
    valve_topic="/spacer_floating_platform/valves/input",
    valve_message="bytes",
    valve_map=(2, 5, 4, 7, 6, 1, 0, 3),
)

LAYOUT_2025 = Layout(
    name="2025",
    pose_topic="/vrpn_mocap/RigidBody_005/pose",
    goal_topic="/fp/goal",
    goal_message="pose",
    velocity_topic="/fp/goal_velocity",
    valve_topic="/fp_cmd_mux/autonomous_control_input",
    valve_message="int16",
    valve_map=(5, 1, 3, 7, 0, 4, 6, 2),
)
