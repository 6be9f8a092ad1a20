"""A flight log cut into windows of equal length, which the simulator can fly again event after event."""

import itertools
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from antiphon.core.errors import UserError
from antiphon.worlds.platform.flight_log import FlightLog
from antiphon.worlds.platform.policy_file import VALVES

# Events of a window are filled up to a multiple of this, so that logs of like length share a program.
_ROUND = 64


class Windows(NamedTuple):
    """W windows of E events; each event is a moment at which a pose was seen or a valve moved.

    Attributes:
        dt: s since the event before; 0 for those that only fill up, [W, E].
        valves: held since the event before, [W, E, 8].
        pose: x m, y m, heading rad, where one was seen, [W, E, 3].
        seen: whether one was, [W, E].
        first: motion at the first pose of the window, x, y, heading and their rates, estimated from the first
            poses alone, [W, 6].
    """

    dt: Float[Any, "W E"]
    valves: Float[Any, "W E 8"]
    pose: Float[Any, "W E 3"]
    seen: Bool[Any, "W E"]
    first: Float[Any, "W 6"]


@dataclass(frozen=True)
class Cutting:
    """How a log is cut.

    Attributes:
        seconds: length of a window; in each one the motion begins anew, so errors do not pile up.
        gap: longest time without a pose that is no gap, s.
        skip_gaps: cut around gaps instead of refusing the log.
        delay: from a command to its valve, s.

    Raises:
        UserError: a number that makes no sense.
    """

    seconds: float = 4.0
    gap: float = 0.5
    skip_gaps: bool = False
    delay: float = 0.0

    def __post_init__(self) -> None:
        for name in ("seconds", "gap"):
            if not getattr(self, name) > 0:
                raise UserError("field", f"{name} is {getattr(self, name)} s", "give a positive number")
        if not 0 <= self.delay < 1:
            raise UserError("field", f"the delay is {self.delay} s", "give at least 0 and less than 1 s")


def windows(log: FlightLog, cutting: Cutting = Cutting()) -> Windows:
    """The windows of a log; what is left at the end of a stretch and shorter than half of one is dropped.

    Raises:
        UserError: a gap, no valve that was ever open, or too few poses.
    """
    if len(log.pose_time) < 2 or not len(log.valve_time):
        raise UserError(
            "log", f"the log has {len(log.pose_time)} poses and {len(log.valve_time)} commands",
            "record a flight of at least a few seconds",
        )  # fmt: skip
    if not log.valves.any():
        raise UserError(
            "log", "no valve is ever open in the log", "record a flight in which valves push the platform"
        )
    stretches = _stretches(log, cutting)
    parts = [part for begin, end in stretches for part in _cut(log, begin, end, cutting)]
    if not parts:
        raise UserError(
            "log",
            f"no stretch of the log has enough poses for a window of {cutting.seconds:g} s",
            "record a longer flight, or give shorter windows",
        )
    events = max(len(part[0]) for part in parts)
    events += -events % _ROUND

    def padded(index: int) -> np.ndarray:
        rows = [part[index] for part in parts]
        return np.stack([np.pad(r, [(0, events - len(r)), *[(0, 0)] * (r.ndim - 1)]) for r in rows])

    first = np.stack([part[4] for part in parts])
    return Windows(padded(0), padded(1), padded(2), padded(3), first)


def _stretches(log: FlightLog, cutting: Cutting) -> list[tuple[int, int]]:
    """Poses from … to (exclusive) without a gap, after the first command has taken effect."""
    times = log.pose_time
    start = int(np.searchsorted(times, log.valve_time[0] + cutting.delay))
    gaps = start + np.flatnonzero(np.diff(times[start:]) > cutting.gap) + 1
    if len(gaps) and not cutting.skip_gaps:
        first = int(gaps[0])
        count = "a gap" if len(gaps) == 1 else f"{len(gaps)} gaps"
        raise UserError(
            "log",
            f"the log has {count}: no pose from {times[first - 1]:.2f} s to {times[first]:.2f} s",
            "record it again, or cut around gaps with --skip-gaps",
        )
    edges = [start, *gaps.tolist(), len(times)]
    return list(itertools.pairwise(edges))


def _cut(log: FlightLog, begin: int, end: int, cutting: Cutting) -> list[tuple[np.ndarray, ...]]:
    parts = []
    while end - begin >= 8:
        times = log.pose_time[begin:end]
        count = int(np.searchsorted(times, times[0] + cutting.seconds, side="right"))
        if times[count - 1] - times[0] < 0.5 * cutting.seconds or count < 8:
            break
        parts.append(_window(log, begin, begin + count, cutting.delay))
        begin += count
    return parts


def _window(log: FlightLog, begin: int, end: int, delay: float) -> tuple[np.ndarray, ...]:
    times = log.pose_time[begin:end]
    moved = log.valve_time + delay
    inside = moved[(moved > times[0]) & (moved < times[-1])]
    moments = np.concatenate([times, inside])
    order = np.argsort(moments, kind="stable")
    moments = moments[order]
    seen = order < len(times)
    pose = np.zeros((len(moments), 3))
    poses = np.column_stack([log.position, log.heading])[begin:end]
    pose[seen] = poses
    before = np.concatenate([[times[0]], moments[:-1]])
    held = np.searchsorted(moved, before, side="right") - 1
    valves = np.where(held[:, None] >= 0, log.valves[np.maximum(held, 0)], False)
    return (
        np.diff(moments, prepend=times[0]),
        valves.astype(float).reshape(-1, VALVES),
        pose,
        seen,
        _first(times - times[0], poses),
    )


def _first(times: Float[np.ndarray, " P"], poses: Float[np.ndarray, "P 3"]) -> Float[np.ndarray, " 6"]:
    """A parabola through the first half second, at least eight poses."""
    count = max(8, int(np.searchsorted(times, 0.5)))
    fitted = np.polynomial.polynomial.polyfit(times[:count], poses[:count], 2)
    return np.concatenate([fitted[0], fitted[1]])
