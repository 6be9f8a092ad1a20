"""A ROS 2 node for as long as a block runs, ended by Ctrl-C or SIGTERM without losing the last words."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from antiphon.core.errors import UserError

_LAST_DOMAIN = 232  # ports of higher ones would not exist


@dataclass(frozen=True)
class Session:
    """A node, what spins it, and whether somebody asked to stop."""

    node: Any
    executor: Any
    asked: threading.Event = field(default_factory=threading.Event)

    def spin(self, until: Callable[[], bool]) -> None:
        """Runs callbacks until the condition holds or somebody asks to stop."""
        while not until() and not self.asked.is_set():
            self.executor.spin_once(timeout_sec=0.02)

    def every(self, seconds: float, call: Callable[[], None]) -> None:
        """Calls back at a steady rate, whatever happens to the wall clock."""
        from rclpy.clock import Clock, ClockType  # pyright: ignore[reportMissingImports]

        self.node.create_timer(seconds, call, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def publisher(self, kind: Any, topic: str, reliable: bool) -> Callable[[Any], None]:
        """Opens a topic to speak on; only the newest message is kept for those who listen late."""
        return self.node.create_publisher(kind, topic, _quality(1, reliable)).publish

    def subscribe(self, kind: Any, topic: str, call: Callable[[Any], None]) -> None:
        """Listens; best effort, which hears reliable and best-effort speakers alike."""
        self.node.create_subscription(kind, topic, call, _quality(5, reliable=False))

    def speakers(self, topic: str) -> int:
        """Publishers that are known on a topic, this node's own included."""
        return self.node.count_publishers(topic)

    @staticmethod
    def now() -> float:
        """Seconds on a clock that never goes back."""
        return time.monotonic()

    @staticmethod
    def rest(seconds: float) -> None:
        """Waits."""
        time.sleep(seconds)


@contextlib.contextmanager
def ros_session(name: str) -> Iterator[Session]:
    """A node of that name; signals only set ``asked``, so that the block can still publish.

    Raises:
        UserError: rclpy is not installed, or no middleware (DDS) answers.
    """
    try:
        import rclpy  # pyright: ignore[reportMissingImports]
        from rclpy.executors import SingleThreadedExecutor  # pyright: ignore[reportMissingImports]
        from rclpy.signals import SignalHandlerOptions  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise UserError(
            "missing-extra",
            f"this needs rclpy, which cannot be imported ({error})",
            "source a ROS 2 installation, or run: pip install 'antiphon[ros2]' in an environment of its own",
        ) from error
    domain = os.environ.get("ROS_DOMAIN_ID", "") or "0"
    if not domain.isdecimal() or int(domain) > _LAST_DOMAIN:
        # The middleware would end the process rather than raise.
        raise UserError("dds", f"ROS_DOMAIN_ID is {domain}", f"give a number from 0 to {_LAST_DOMAIN}")
    context = rclpy.Context()
    try:
        rclpy.init(context=context, signal_handler_options=SignalHandlerOptions.NO)
        node = rclpy.create_node(name, context=context)
        executor = SingleThreadedExecutor(context=context)
        executor.add_node(node)
    except Exception as error:  # rclpy raises classes of its own for each middleware's trouble
        with contextlib.suppress(Exception):
            context.try_shutdown()
        raise UserError(
            "dds",
            f"ROS 2 has no working middleware ({str(error).splitlines()[0]})",
            "check RMW_IMPLEMENTATION, ROS_DOMAIN_ID and that the network allows DDS",
        ) from error
    session = Session(node, executor)
    kept = {
        number: signal.signal(number, lambda *_: session.asked.set())
        for number in (signal.SIGINT, signal.SIGTERM)
        if threading.current_thread() is threading.main_thread()
    }
    try:
        yield session
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
        with contextlib.suppress(Exception):
            executor.shutdown()
            node.destroy_node()
            context.try_shutdown()


def _quality(depth: int, reliable: bool) -> Any:
    from rclpy.qos import QoSProfile, ReliabilityPolicy  # pyright: ignore[reportMissingImports]

    policy = ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT
    return QoSProfile(depth=depth, reliability=policy)
