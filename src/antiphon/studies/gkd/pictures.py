"""What the report shows."""

import numpy as np

from antiphon.core import statistics
from antiphon.studies.gkd.arms import DIVERGENCES, LAMBDAS, ON_POLICY, SUPERVISED, of_grid
from antiphon.studies.gkd.config import Config
from antiphon.studies.gkd.results import START, Results
from antiphon.train.media import Figure, Media, Series, Table

_STORY = (
    "Students of a hundred thousand weights do sums modulo 97 and write every step down. Each has seen the "
    "same few exercises again and again; a teacher that has seen exercises without end then says what it "
    "would have written next: after the right steps of those exercises (supervised), or after whatever the "
    "student itself writes (on-policy). Only the second shows the student what to do after its own mistakes, "
    "and facts that its exercises do not hold."
)


def picture(config: Config, results: Results) -> Media:
    """Figures and tables."""
    figures = [_gains(results, config)]
    last = config.examples[-1]
    if config.grid:
        figures += [_by_share(results, last), _temperatures(results, last)]
    tables = tuple(_table(results, examples) for examples in sorted(results.scores))
    return Media(_STORY, tuple(figures), tables=tables)


def _gains(results: Results, config: Config) -> Figure:
    series = []
    for arm in (SUPERVISED, ON_POLICY):
        found = [
            statistics.mean(results.gain(n, arm.name, results.together(n, arm.name))) for n in config.examples
        ]
        several = found if found[0].n > 1 else []
        low, high = tuple(one.low for one in several), tuple(one.high for one in several)
        names = tuple(f"N = {n:,}" for n in config.examples)
        series.append(Series(arm.name, names, tuple(one.estimate for one in found), low, high))
    return Figure(
        "Gain over the start", "exercises with answers", "share of right answers, greedy", tuple(series),
        "bar",
        note=f"{config.steps:,} updates each; "
        + ("one start." if config.starts == 1 else "means over starts with 95 % intervals."),
    )  # fmt: skip


def _by_share(results: Results, examples: int) -> Figure:
    series = []
    for label, kind, beta in DIVERGENCES:
        names = [of_grid(label, kind, beta, share).name for share in LAMBDAS]
        starts = results.together(examples, *names)
        means = tuple(float(results.gain(examples, name, starts).mean()) for name in names)
        series.append(Series(label, LAMBDAS, means))
    return Figure(
        f"Gain against λ, N = {examples:,}", "share of the student's own completions, λ",
        "share of right answers, greedy, less the start's", tuple(series),
        note="Means over the same starts for every line's three points.",
    )  # fmt: skip


def _temperatures(results: Results, examples: int) -> Figure:
    names = [of_grid(*divergence, 1.0).name for divergence in DIVERGENCES]
    starts = results.together(examples, *names)
    labels = tuple(label for label, *_ in DIVERGENCES)
    series = [
        Series(
            how, labels, tuple(float(results.accuracy(examples, n, starts, sampled).mean()) for n in names)
        )
        for how, sampled in (("greedy", False), ("temperature 1", True))
    ]
    return Figure(
        f"On-policy, N = {examples:,}: greedy and drawn", "divergence", "share of right answers",
        tuple(series), "bar", note=f"Means over {len(starts)} starts.",
    )  # fmt: skip


def _table(results: Results, examples: int) -> Table:
    rows = []
    for name in results.scores[examples]:
        starts = results.together(examples, name, START)
        greedy, drawn = (results.accuracy(examples, name, starts, sampled) for sampled in (False, True))
        gain = np.nan if name == START else float(results.gain(examples, name, starts).mean())
        rows.append((
            name, len(starts), float(greedy.mean()), float(drawn.mean()), gain,
            ", ".join(f"{value:.3f}" for value in greedy),
        ))  # fmt: skip
    columns = ("arm", "starts", "greedy", "temperature 1", "gain", "greedy, each start")
    return Table(
        f"N = {examples:,}: share of right answers", columns, tuple(rows),
        note=f"The teacher has {results.teacher.greedy:.3f} greedy and {results.teacher.sampled:.3f} drawn.",
    )  # fmt: skip
