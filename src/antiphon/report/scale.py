"""Axes: from data to places on a drawing, with round tick marks, and numbers as people write them."""

import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """A linear map from data to drawing units.

    Attributes:
        low: data value at ``start``.
        high: data value at ``end``.
        start: place of ``low``, drawing units.
        end: place of ``high``, drawing units.
        ticks: round data values inside the range.
    """

    low: float
    high: float
    start: float
    end: float
    ticks: tuple[float, ...]

    def __call__(self, value: float) -> float:
        """The place of ``value``."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


def linear(values: Iterable[float], start: float, end: float, ticks: int = 5, zero: bool = False) -> Scale:
    """A scale that holds all finite ``values``, widened to the next round ticks.

    Args:
        values: what must fit; infinite and missing values are left out.
        start: place of the lowest value, drawing units.
        end: place of the highest value, drawing units.
        ticks: about how many tick marks.
        zero: whether zero must be in range, as it must for bars.
    """
    finite = [value for value in values if math.isfinite(value)] or [0.0, 1.0]
    if zero:
        finite.append(0.0)
    low, high = min(finite), max(finite)
    if is_constant(low, high):
        # A constant still needs a range to stand in.
        room = abs(low) * 0.1 or 1.0
        low, high = low - room, high + room
    step = round_step((high - low) / max(ticks - 1, 1))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    marks = tuple(index * step for index in range(first, last + 1))
    return Scale(marks[0], marks[-1], start, end, marks)


def snug(values: Iterable[float], start: float, end: float, ticks: int = 5) -> Scale:
    """Like :func:`linear`, but ending at the data: for time axes, where empty room at the end misleads."""
    finite = [value for value in values if math.isfinite(value)] or [0.0, 1.0]
    wide = linear(finite, start, end, ticks)
    low, high = min(finite), max(finite)
    if is_constant(low, high):
        return wide
    room = 1e-6 * (high - low)
    inside = tuple(mark for mark in wide.ticks if low - room <= mark <= high + room)
    return Scale(low, high, start, end, inside)


def is_constant(low: float, high: float) -> bool:
    """Whether a range is too narrow to divide, measured against its own numbers."""
    return high - low <= 1e-12 * max(abs(low), abs(high), 1e-288)


def round_step(rough: float) -> float:
    """The next of 1, 2, 2.5, 5 × 10^k that is at least ``rough``."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1.0, 2.0, 2.5, 5.0, 10.0) if factor * power >= rough * 0.999)


def number(value: object, digits: int = 3) -> str:
    """A value for reading: ``digits`` significant digits, no needless zeros, a true minus sign.

    Whole numbers below a million stay whole; words stay as they are; a missing value is a dash.
    """
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, int | float):
        return str(value)
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value == 0:
        return "0"
    if float(value).is_integer() and abs(value) < 1e6:
        text = f"{int(value)}"
    elif 1e-3 <= abs(value) < 1e6:
        text = f"{value:.{max(digits - 1 - math.floor(math.log10(abs(value))), 0)}f}"
        text = text.rstrip("0").rstrip(".") if "." in text else text
    else:
        mantissa, power = f"{value:.{digits - 1}e}".split("e")
        mantissa = mantissa.rstrip("0").rstrip(".")
        text = f"{mantissa}e{int(power)}"
    return text.replace("-", "−")
