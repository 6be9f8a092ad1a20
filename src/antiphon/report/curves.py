"""Curves from ``metrics.jsonl``: one chart for each metric, one line for each fit and run.

A metric with ``NAME_low`` and ``NAME_high`` beside it is drawn with that interval. A line of more records
than the chart has room for is drawn as the mean of each stretch of records, the band holding the middle 80 %
of the values in the stretch; the chart says so.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from antiphon.report.record import RunRecord
from antiphon.train.media import Figure, Series
from antiphon.train.metrics import Record

STRETCHES = 120
_MEANS = "Means over stretches of the run; the band holds the middle 80 % of the recorded values."
_MEAN_INTERVALS = "Means over stretches of the run; the band is the mean of the recorded intervals."


@dataclass(frozen=True)
class Point:
    """A metric at one step; the ends are NaN where none were recorded."""

    step: float
    value: float
    low: float = math.nan
    high: float = math.nan


@dataclass(frozen=True)
class Final:
    """Where a metric ended.

    Attributes:
        value: the last recorded value.
        low: lower end of its interval.
        high: upper end.
    """

    value: float
    low: float
    high: float


def metric_figures(runs: Sequence[RunRecord]) -> tuple[Figure, ...]:
    """The charts of one run, or of several over each other, in the order of the metrics' first records."""
    lines: dict[str, list[tuple[str, list[Point]]]] = {}
    for run in runs:
        fits = list(dict.fromkeys(record.fit for record in run.metrics))
        for fit in fits:
            label = fit if len(runs) == 1 else f"{run.name} {fit}"
            for name, points in points_of([record for record in run.metrics if record.fit == fit]).items():
                # One value is a number, not a curve; it is in the table of final metrics.
                if len(points) > 1:
                    lines.setdefault(name, []).append((label, points))
    return tuple(_figure(name, found) for name, found in lines.items())


def final_metrics(run: RunRecord) -> dict[str, Final]:
    """Every metric as ``FIT/NAME`` where it ended.

    The interval is the recorded one; a metric without has the middle 80 % of the last tenth of its values,
    which shows how much it still moves, not how surely it is known.
    """
    finals: dict[str, Final] = {}
    for fit in dict.fromkeys(record.fit for record in run.metrics):
        for name, points in points_of([record for record in run.metrics if record.fit == fit]).items():
            last = points[-1]
            low, high = middle([point.value for point in points[-max(len(points) // 10, 1) :]])
            recorded = math.isfinite(last.low) and math.isfinite(last.high)
            finals[f"{fit}/{name}"] = Final(last.value, *((last.low, last.high) if recorded else (low, high)))
    return finals


def points_of(records: Sequence[Record]) -> dict[str, list[Point]]:
    """The finite values of each metric of one fit."""
    columns: dict[str, list[Point]] = {}
    for record in records:
        for name, value in record.values.items():
            end = next((end for end in ("_low", "_high") if name.endswith(end)), "")
            is_end = bool(end) and name.removesuffix(end) in record.values
            if is_end or isinstance(value, bool | str) or not math.isfinite(value):
                continue
            low, high = (
                record.values.get(f"{name}_low", math.nan),
                record.values.get(f"{name}_high", math.nan),
            )
            columns.setdefault(name, []).append(Point(record.step, value, low, high))
    return columns


def middle(values: Sequence[float]) -> tuple[float, float]:
    """The tenth and ninetieth percentile, by rank."""
    ordered = sorted(values)
    return ordered[len(ordered) // 10], ordered[-1 - len(ordered) // 10]


def _figure(name: str, lines: list[tuple[str, list[Point]]]) -> Figure:
    note, series = "", []
    for label, points in lines:
        given = any(math.isfinite(point.low) for point in points)
        banded = given
        if len(points) > 2 * STRETCHES:
            points = _stretches(points, given)
            note, banded = (_MEAN_INTERVALS if given else _MEANS), True
        series.append(
            Series(
                label,
                tuple(point.step for point in points),
                tuple(point.value for point in points),
                tuple(point.low for point in points) if banded else (),
                tuple(point.high for point in points) if banded else (),
            )
        )
    return Figure(name.replace("_", " "), "step", name, tuple(series), note=note)


def _stretches(points: list[Point], given: bool) -> list[Point]:
    thinned = []
    for index in range(STRETCHES):
        part = points[index * len(points) // STRETCHES : (index + 1) * len(points) // STRETCHES]
        values = [point.value for point in part]
        ends = middle(values)
        if given:
            ends = (_mean([point.low for point in part]), _mean([point.high for point in part]))
        thinned.append(Point(part[-1].step, statistics.fmean(values), *ends))
    return thinned


def _mean(values: Sequence[float]) -> float:
    finite = [value for value in values if math.isfinite(value)]
    return statistics.fmean(finite) if finite else math.nan
