"""The claims, read off the worlds."""

import numpy as np

from antiphon.core import statistics
from antiphon.studies.nlhf_steering import RLHF
from antiphon.studies.nlhf_tokens.cell import Cell
from antiphon.studies.nlhf_tokens.config import CLAIMS, PRESETS, Config
from antiphon.train.findings import Finding

_CLAIM = {claim.id: claim for claim in CLAIMS}


def tie(config: Config, cells: dict[float, list[Cell]]) -> Finding:
    """Without circles everybody is as good as RLHF."""
    if 0.0 not in cells:
        return _CLAIM["tie"].untested("no world without circles was asked for")
    rates = {
        name: float(np.mean([cell.win_rate(name, RLHF) for cell in cells[0.0]]))
        for name in cells[0.0][0].trained if name != RLHF
    }  # fmt: skip
    worst = max(rates, key=lambda name: abs(rates[name] - 0.5))
    holds = abs(rates[worst] - 0.5) <= 0.03 if config.worlds > 1 else None
    note = f"furthest from a half: {worst}; mean of {config.worlds} worlds"
    return _CLAIM["tie"].measured(rates[worst], holds=holds, note=note)


def _circling(cells: dict[float, list[Cell]]) -> tuple[float, list[Cell]]:
    """The dial of one half, or the nearest one."""
    dial = min(cells, key=lambda d: abs(d - 0.5))
    return dial, cells[dial]


def exploited(config: Config, cells: dict[float, list[Cell]]) -> Finding:
    """With circles RLHF is exploited at equal divergence, and Nash learning is not."""
    dial, row = _circling(cells)
    named = [name for name in ("self-play", "Nash-MD 0.25") if name in row[0].exploited]
    scored = min(cell.exploited[RLHF] for cell in row)
    worst = max(cell.exploited[name] for cell in row for name in named)
    full = config.worlds > 1 and len(named) == 2 and dial == 0.5
    listed = "; ".join(
        f"{name} {', '.join(f'{cell.exploited[name]:.3f}' for cell in row)}" for name in (RLHF, *named)
    )
    note = (
        f"dial {dial:g}, the figure is RLHF's lowest; world by world: {listed}; "
        f"circles {np.mean([c.circles for c in row]):.1%} of triples"
    )
    return _CLAIM["exploited"].measured(
        scored, holds=(scored >= 0.57 and worst <= 0.54) if full else None, note=note
    )


def half(config: Config, cells: dict[float, list[Cell]]) -> Finding:
    """Nash-MD with the half mixture, beside the fixed point that it can at best come to."""
    dial, row = _circling(cells)
    name = "Nash-MD 0.5"
    if name not in row[0].exploited or dial != 0.5:
        return _CLAIM["half"].untested("neither this dial nor this β was asked for")
    worst = max(cell.exploited[name] for cell in row)
    pairs = ", ".join(f"{cell.exploited[name]:.3f} ({cell.settled[name].exploited:.3f})" for cell in row)
    note = f"world by world, and in brackets the method's own fixed point by enumeration: {pairs}"
    return _CLAIM["half"].measured(worst, holds=worst <= 0.54 if config.worlds > 1 else None, note=note)


def settled(config: Config, cells: dict[float, list[Cell]]) -> Finding:
    """Networks against the fixed points of their methods."""
    _, row = _circling(cells)
    apart = {
        (place, name): cell.exploited[name] - cell.settled[name].exploited
        for place, cell in enumerate(row)
        for name in cell.settled
    }
    mean = float(np.mean(np.abs(list(apart.values()))))
    place, name = max(apart, key=lambda which: abs(apart[which]))
    restless = sum(rest.moving > 0.01 for cell in row for rest in cell.settled.values())
    note = (
        f"the largest of {len(apart)} is {apart[place, name]:+.3f} ({name}, world {place}); "
        f"{restless} methods have no rest there"
    )
    return _CLAIM["settled"].measured(mean, holds=mean <= 0.02 if config.worlds > 1 else None, note=note)


def beats(config: Config, cells: dict[float, list[Cell]]) -> Finding:
    """With circles Nash-MD is preferred to RLHF."""
    dial, row = _circling(cells)
    name = "Nash-MD 0.25"
    if name not in row[0].trained or dial != 0.5:
        return _CLAIM["beats"].untested("neither this dial nor this β was asked for")
    rates = [cell.win_rate(name, RLHF) for cell in row]
    if config.worlds < 2:
        return _CLAIM["beats"].measured(rates[0], holds=None, note="one world")
    mean = statistics.mean(np.array(rates))
    note = f"worlds: {', '.join(f'{rate:.3f}' for rate in rates)}"
    return _CLAIM["beats"].measured(
        mean.estimate, holds=mean.estimate >= 0.53, interval=(mean.low, mean.high), note=note
    )


def closed(config: Config, cells: dict[float, list[Cell]]) -> Finding:
    """The network of RLHF against the closed form of its divergence."""
    rates = [cell.closed for row in cells.values() for cell in row]
    worst = max(rates, key=lambda rate: abs(rate - 0.5))
    holds = abs(worst - 0.5) <= 0.01 if config.steps >= PRESETS["laptop"].steps else None
    return _CLAIM["closed"].measured(
        worst,
        holds=holds,
        note=f"against μ exp(score / τ) of equal divergence; furthest of {len(rates)} worlds",
    )
