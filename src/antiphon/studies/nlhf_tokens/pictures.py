"""The tables of each dial, and the figure over dials."""

import numpy as np

from antiphon.studies.nlhf_steering import RLHF
from antiphon.studies.nlhf_tokens.cell import Cell
from antiphon.train.media import Figure, Series, Table


def table(dial: float, row: list[Cell]) -> Table:
    """All methods at one dial, means over worlds."""
    rows = []
    for name in row[0].trained:
        kl = np.mean([cell.trained[name].kl for cell in row])
        beaten = np.mean([(cell.world.preference @ np.exp(cell.trained[name].law)).max() for cell in row])
        start = np.mean([np.exp(c.trained[name].law) @ c.world.preference @ np.exp(c.reference) for c in row])
        rows.append(
            (name, float(kl), float(np.mean([cell.trained[name].tau for cell in row])), float(start),
             float(np.mean([cell.win_rate(name, RLHF) for cell in row])),
             _mean_exploited(row, name), _mean_settled(row, name), float(beaten))
        )  # fmt: skip
    columns = (
        "method",
        "KL, nats",
        "τ",
        "beats reference",
        "beats RLHF",
        "exploited at equal KL",
        "settled",
        "exploited",
    )
    circles, apart = (np.mean([getattr(cell, name) for cell in row]) for name in ("circles", "misfit"))
    return Table(
        f"Dial {dial:g}: {circles:.1%} of triples in a circle, scores misfit by {apart:.3f} nats; "
        f"means of {len(row)} worlds",
        columns, tuple(rows),
    )  # fmt: skip


def by_world(dial: float, row: list[Cell]) -> Table:
    """How far each method is exploited in each world, and the pull and the divergence that go with it."""

    def of(cell: Cell, name: str) -> str:
        one, rest = cell.trained[name], cell.settled.get(name)
        beside = f" ({rest.exploited:.3f})" if rest is not None else ""
        return f"{cell.exploited[name]:.3f}{beside}, τ\u00a0{one.tau:.3f}, {one.kl:.2f}\u00a0nats"

    return Table(
        f"Dial {dial:g}: exploited at equal KL world by world, in brackets settled",
        ("method", *(f"world {place}" for place in range(len(row)))),
        tuple((name, *(of(cell, name) for cell in row)) for name in row[0].trained),
    )


def figure(cells: dict[float, list[Cell]]) -> Figure:
    """How far each method is exploited, over the dials."""
    names = list(next(iter(cells.values()))[0].trained)
    series = tuple(
        Series(
            name,
            tuple(cells),
            tuple(float(np.mean([c.exploited[name] for c in row])) for row in cells.values()),
        )
        for name in names
    )
    return Figure("Exploited at equal divergence", "dial", "win rate of the best response", series,
                  note="0.5 is an equilibrium.")  # fmt: skip


def _mean_exploited(row: list[Cell], name: str) -> float:
    return float(np.mean([cell.exploited[name] for cell in row]))


def _mean_settled(row: list[Cell], name: str) -> float | str:
    return float(np.mean([cell.settled[name].exploited for cell in row])) if name in row[0].settled else "–"
