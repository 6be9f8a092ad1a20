"""SIGINT and SIGTERM as a request to stop after the current chunk."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any

import jax


@dataclass
class StopRequest:
    """Whether somebody asked to stop.

    Attributes:
        signal_number: The signal received, or ``None``.
    """

    signal_number: int | None = None


@contextlib.contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Collect SIGINT and SIGTERM; a second SIGINT raises ``KeyboardInterrupt`` at once.

    The handlers found are put back on leaving. Outside the main thread, where Python cannot handle signals,
    and for a signal that is ignored, nothing is changed.
    """
    request = StopRequest()
    previous: dict[int, Any] = {}

    def handle(number: int, frame: FrameType | None) -> None:
        if request.signal_number is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        request.signal_number = number
        # Not print: a handler may run inside another write to the same stream.
        message = f"\n{signal.Signals(number).name}: finishing this chunk; Ctrl-C stops at once.\n"
        with contextlib.suppress(OSError):
            os.write(2, message.encode())

    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            found = signal.getsignal(number)
            if found is not None and found is not signal.SIG_IGN:
                previous[number] = signal.signal(number, handle)
    try:
        yield request
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def wait_until_ready(arrays: Any) -> None:
    """Block until arrays are computed, while signals are still handled.

    ``jax.block_until_ready`` waits inside the runtime, where Python cannot run a handler. Here the waiting is
    done in naps of a fiftieth of the time waited so far: the end is noticed at most two per cent late.

    Raises:
        Exception: Whatever the computation raised.
    """
    began = time.monotonic()
    while not all(leaf.is_ready() for leaf in jax.tree.leaves(arrays)):
        time.sleep(min(max((time.monotonic() - began) / 50, 2e-5), 0.05))
    jax.block_until_ready(arrays)  # raises what the computation raised
