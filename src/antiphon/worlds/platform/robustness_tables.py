"""The matrix of conditions and pilots as JSON, as Markdown and as a picture."""

import json
import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from antiphon.core.errors import UserError
from antiphon.core.statistics import Interval
from antiphon.worlds.platform.parameters import VALVES, planar
from antiphon.worlds.platform.robustness import Row, spans

_DPI = 110
_PLACE = ("PT5", "PT2", "PT1", "OT5", "OT2", "OT1", "air_use", "ever_2cm", "ever_1cm", "stay")
_SPEED = ("VT", "velocity_error", "angular_velocity_error", "air_use")


def as_json(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Every figure with its interval; patterns of dead valves are named by their numbers, as "0+5"."""
    return [
        {
            "pilot": row.pilot,
            "episodes": row.episodes,
            "pattern_episodes": row.pattern_episodes,
            "told": row.told,
            "conditions": {
                name: {figure: one.as_dict() for figure, one in found.items()}
                for name, found in row.figures.items()
            },
            "dead": {"+".join(map(str, dead)): one.as_dict() for dead, one in row.dead.items()},
        }
        for row in rows
    ]


def row_json(row: Row) -> str:
    """One row as text, for `row_of_json`."""
    return json.dumps(as_json([row])[0])


def row_of_json(text: str) -> Row:
    """A row from its text."""
    told = json.loads(text)

    def read(one: Mapping[str, Any]) -> Interval:
        # What is not finite was written as nothing.
        low, high = (math.nan if one[end] is None else one[end] for end in ("low", "high"))
        return Interval(one["estimate"], low, high, one["n"])

    return Row(
        pilot=told["pilot"], episodes=told["episodes"], pattern_episodes=told["pattern_episodes"],
        figures={c: {f: read(one) for f, one in found.items()} for c, found in told["conditions"].items()},
        dead={tuple(map(int, key.split("+"))): read(one) for key, one in told["dead"].items()},
        told=told["told"],
    )  # fmt: skip


def figures_of(rows: Sequence[Row]) -> tuple[str, ...]:
    """The figures worth a table, in order: those of places, or those of velocities."""
    found = next(iter(rows[0].figures.values()))
    return tuple(name for name in (_PLACE if "PT5" in found else _SPEED) if name in found)


def matrix_cells(rows: Sequence[Row], figure: str) -> list[list[str]]:
    """One line for each condition: its name, and each pilot's figure with half the width of its interval."""
    return [
        [condition, *(_said(row.figures[condition].get(figure)) for row in rows)]
        for condition in rows[0].figures
    ]


def as_markdown(rows: Sequence[Row], title: str) -> str:
    """A table for each figure, and each pilot's dead valves.

    Args:
        rows: one pilot each.
        title: heading.
    """
    pilots = [f"{row.pilot} ({row.episodes}{', told' if row.told else ''})" for row in rows]
    lines = [f"# {title}", "", "In brackets: episodes of each condition. ± is half of a 95 % interval.", ""]
    for figure in figures_of(rows):
        lines += [f"## {figure}", "", *_table(["condition", *pilots], matrix_cells(rows, figure)), ""]
    for row in rows:
        if not row.dead:
            continue
        body = [
            [f"**{i}**", *(_pair(row.dead, i, j) for j in range(VALVES))] for i in range(VALVES)
        ]  # the diagonal is one dead valve alone
        lines += [
            f"## Dead valves: {row.pilot}",
            "",
            f"Share of {row.pattern_episodes} episodes that arrive; on the diagonal one valve is dead, "
            "elsewhere two. In italics: pairs without which some pushes are impossible.",
            "",
            *_table(["dead", *map(str, range(VALVES))], body),
            "",
        ]
    return "\n".join(lines)


def dead_grid(row: Row) -> Float[np.ndarray, "8 8"]:
    """Share of episodes that arrive with valves i and j dead; on the diagonal i alone."""
    grid = np.full((VALVES, VALVES), np.nan)
    for dead, one in row.dead.items():
        grid[dead[0], dead[-1]] = grid[dead[-1], dead[0]] = one.estimate
    return grid


def draw_matrix(path: Path, rows: Sequence[Row], figure: str, title: str) -> None:
    """A figure for all conditions and pilots, as a heat map with its numbers.

    Raises:
        UserError: matplotlib is missing.
    """
    plt = _plt()
    names = list(rows[0].figures)
    values = np.array(
        [[row.figures[name][figure].estimate if figure in row.figures[name] else np.nan for row in rows]
         for name in names]
    )  # fmt: skip
    picture, axes = plt.subplots(
        figsize=(2.6 + 0.95 * len(rows), 1.4 + 0.34 * len(names)), layout="constrained"
    )
    axes.imshow(values, vmin=0.0, vmax=1.0, cmap="RdYlGn", aspect="auto")
    for (i, j), value in np.ndenumerate(values):
        axes.text(j, i, "–" if np.isnan(value) else f"{value:.2f}", ha="center", va="center", fontsize=8)
    axes.set_xticks(
        range(len(rows)),
        [row.pilot + (", told" if row.told else "") for row in rows],
        rotation=35,
        ha="right",
    )
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(length=0)
    axes.set_title(title, fontsize=10)
    picture.savefig(path, dpi=_DPI)
    plt.close(picture)


def draw_dead(path: Path, rows: Sequence[Row]) -> None:
    """A map of one and two dead valves for each pilot; pairs that do not span are dotted.

    Raises:
        UserError: matplotlib is missing.
    """
    plt = _plt()
    rows = [row for row in rows if row.dead]
    columns = min(len(rows), 4)
    lines = -(-len(rows) // columns)
    picture, grid = plt.subplots(
        lines, columns, figsize=(2.6 * columns + 0.4, 2.8 * lines), layout="constrained", squeeze=False
    )
    lost = [pair for pair in combinations(range(VALVES), 2) if not spans(planar(), pair)]
    shown = None
    for axes, row in zip(grid.ravel(), rows, strict=False):
        shown = axes.imshow(dead_grid(row), vmin=0.0, vmax=1.0, cmap="RdYlGn")
        both = [*lost, *((j, i) for i, j in lost)]
        axes.plot([j for _, j in both], [i for i, _ in both], "k.", markersize=3)
        axes.set_title(row.pilot + (" (told)" if row.told else ""), fontsize=9)
        axes.set_xticks(range(VALVES))
        axes.set_yticks(range(VALVES))
        axes.tick_params(length=0, labelsize=7)
    for axes in grid.ravel()[len(rows) :]:
        axes.axis("off")
    if shown is not None:
        picture.colorbar(shown, ax=grid, shrink=0.7, label="episodes that arrive")
    picture.savefig(path, dpi=_DPI)
    plt.close(picture)


def _said(one: Interval | None) -> str:
    return "–" if one is None else f"{one.estimate:.3f} ± {(one.high - one.low) / 2:.3f}"


def _pair(dead: Mapping[tuple[int, ...], Interval], i: int, j: int) -> str:
    pattern = (i,) if i == j else (min(i, j), max(i, j))
    said = f"{dead[pattern].estimate:.2f}"
    return said if spans(planar(), pattern) else f"*{said}*"


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [
        f"| {' | '.join(columns)} |",
        f"|{' --- |' * len(columns)}",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]


def _plt() -> Any:
    try:
        import matplotlib
    except ImportError as error:
        raise UserError(
            "missing-extra", "matplotlib is not installed", "pip install 'antiphon[report]'"
        ) from error
    matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot
