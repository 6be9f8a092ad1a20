"""The claims, read off the worlds."""

import numpy as np

from antiphon.core import statistics
from antiphon.studies.nlhf_tokens.cell import Cell
from antiphon.studies.nlhf_tokens.config import CLAIMS, RLHF, Config
from antiphon.train.findings import Finding


def tie(config: Config, cells: dict[float, list[Cell]]) -> Finding:
    """Without circles everybody is as good as RLHF."""
    if 0.0 not in cells:
        return CLAIMS[0].untested("no world without circles was asked for")
    rates = {
        name: float(np.mean([cell.win_rate(name, RLHF) for cell in cells[0.0]]))
        for name in cells[0.0][0].trained if name != RLHF
    }  # fmt: skip
    worst = max(rates, key=lambda name: abs(rates[name] - 0.5))
    holds = abs(rates[worst] - 0.5) <= 0.03 if config.worlds > 1 else None
    note = f"furthest from a half: {worst}; mean of {config.worlds} worlds"
    return CLAIMS[0].measured(rates[worst], holds=holds, note=note)


def _circling(cells: dict[float, list[Cell]]) -> tuple[float, list[Cell]]:
    """The dial of one half, or the nearest one."""
    dial = min(cells, key=lambda d: abs(d - 0.5))
    return dial, cells[dial]


def exploited(config: Config, cells: dict[float, list[Cell]]) -> Finding:
    """With circles RLHF is exploited at equal divergence, and Nash learning is not."""
    dial, row = _circling(cells)
    named = [name for name in ("self-play", "Nash-MD 0.25", "Nash-MD 0.5") if name in row[0].exploited]
    scored = min(cell.exploited[RLHF] for cell in row)
    worst = max(cell.exploited[name] for cell in row for name in named)
    full = config.worlds > 1 and len(named) == 3 and dial == 0.5
    note = (
        f"dial {dial:g}: the figure is RLHF's lowest of {len(row)} worlds; the highest of "
        f"{', '.join(named)} is {worst:.3f}; circles {np.mean([c.circles for c in row]):.1%} of triples"
    )
    return CLAIMS[1].measured(scored, holds=(scored >= 0.57 and worst <= 0.54) if full else None, note=note)


def beats(config: Config, cells: dict[float, list[Cell]]) -> Finding:
    """With circles Nash-MD is preferred to RLHF."""
    dial, row = _circling(cells)
    name = "Nash-MD 0.25"
    if name not in row[0].trained or dial != 0.5:
        return CLAIMS[2].untested("neither this dial nor this β was asked for")
    rates = [cell.win_rate(name, RLHF) for cell in row]
    if config.worlds < 2:
        return CLAIMS[2].measured(rates[0], holds=None, note="one world")
    mean = statistics.mean(np.array(rates))
    note = f"worlds: {', '.join(f'{rate:.3f}' for rate in rates)}"
    return CLAIMS[2].measured(
        mean.estimate, holds=mean.estimate >= 0.53, interval=(mean.low, mean.high), note=note
    )


def closed(config: Config, cells: dict[float, list[Cell]]) -> Finding:
    """The network of RLHF against the closed form of its divergence."""
    rates = [cell.closed for row in cells.values() for cell in row]
    worst = max(rates, key=lambda rate: abs(rate - 0.5))
    holds = abs(worst - 0.5) <= 0.01 if config.steps >= 300 else None
    return CLAIMS[3].measured(
        worst,
        holds=holds,
        note=f"against μ exp(score / τ) of equal divergence; furthest of {len(rates)} worlds",
    )
