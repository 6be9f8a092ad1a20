"""Claims, measured."""

from collections.abc import Mapping

import jax
import numpy as np

from antiphon.core import statistics
from antiphon.core.statistics import Interval
from antiphon.studies.nlhf_steering import RLHF
from antiphon.studies.nlhf_text import arena
from antiphon.studies.nlhf_text.cell import REFERENCE, TRAINED, Cell
from antiphon.studies.nlhf_text.claims import CLAIMS
from antiphon.studies.nlhf_text.reference import Ground
from antiphon.studies.nlhf_text.setting import PRESETS, Config
from antiphon.train.findings import Claim, Finding

_CLAIM = {claim.id: claim for claim in CLAIMS}
_CIRCLING = 0.5
_NASH = ("self-play", "Nash-MD 0.125", "Nash-MD 0.25", "Nash-MD 0.5")


def findings_of(config: Config, ground: Ground, cells: Mapping[float, Cell]) -> list[Finding]:
    """One for each claim; what a size or a choice of dials cannot say is left untested."""
    # Smaller runs than these show that everything works, not how large an effect is.
    full = config.steps >= PRESETS["laptop"].steps and config.tests >= 500
    found = [_matched(config, cells, full), _start(ground, cells, full), _tie(ground, cells, full)]
    if _CIRCLING not in cells:
        reason = f"dial {_CIRCLING:g} was not asked for"
        found += [_CLAIM[name].untested(reason) for name in
                  ("circles", "judges", "shift", "beats", "exploited", "response", "average")]  # fmt: skip
    else:
        cell = cells[_CIRCLING]
        gate = cell.circles.estimate >= 0.1
        found += [
            _CLAIM["circles"].measured(
                cell.circles.estimate, holds=gate, interval=_ends(cell.circles),
                note=f"best scores misfit by {cell.misfit.estimate:.3f} nats",
            ),
            _judges(cell, full), _shift(cell, full), _beats(ground, cell, full and gate),
            _exploited(cell, full and gate), _response(ground, cell, full and gate),
            _average(ground, cell, full and gate),
        ]  # fmt: skip
    by_id = {finding.id: finding for finding in found}
    return [by_id[claim.id] for claim in CLAIMS]


def against(ground: Ground, cell: Cell, first: str, second: str) -> Interval:
    """Win rate before the raters who were held out, with its interval over reports."""
    return statistics.mean(arena.win_rates(ground, cell.held_out, cell.shown, first, second))


def by_votes(ground: Ground, cell: Cell, first: str, second: str) -> Interval:
    """The same from one vote a report, with its Clopper–Pearson interval."""
    names, count = cell.shown.names, len(ground.tests.length)
    one, other = sorted((first, second), key=names.index)  # the same votes whichever way they are read
    key = jax.random.fold_in(jax.random.key(5), names.index(one) * len(names) + names.index(other))
    won = arena.votes(ground, cell.held_out, cell.shown, one, other, key)
    return statistics.proportion(won if one == first else count - won, count)


def _ends(interval: Interval) -> tuple[float, float] | None:
    ends = (interval.low, interval.high)
    return ends if np.all(np.isfinite(ends)) else None


def _matched(config: Config, cells: Mapping[float, Cell], full: bool) -> Finding:
    off = {
        (dial, name): one.kl / config.kl - 1
        for dial, cell in cells.items()
        for name, one in cell.matched.items()
    }
    worst = max(off, key=lambda which: abs(off[which]))
    holds = abs(off[worst]) <= 0.05 if full else None
    return _CLAIM["matched"].measured(
        abs(off[worst]),
        holds=holds,
        note=f"share of {config.kl:g} nats; furthest: {worst[1]} at dial {worst[0]:g}",
    )


def _start(ground: Ground, cells: Mapping[float, Cell], full: bool) -> Finding:
    rates = {
        (dial, name): against(ground, cell, name, REFERENCE)
        for dial, cell in cells.items()
        for name in cell.matched
    }
    least = min(rates, key=lambda which: rates[which].estimate)
    largest = max(rates, key=lambda which: rates[which].estimate)
    return _CLAIM["start"].measured(
        rates[least].estimate, holds=rates[least].low > 0.5 if full else None, interval=_ends(rates[least]),
        note=f"{least[1]} at dial {least[0]:g}; the largest is {rates[largest].estimate:.3f} ({largest[1]})",
    )  # fmt: skip


def _tie(ground: Ground, cells: Mapping[float, Cell], full: bool) -> Finding:
    if 0.0 not in cells:
        return _CLAIM["tie"].untested("dial 0 was not asked for")
    cell = cells[0.0]
    rates = {name: against(ground, cell, name, RLHF) for name in _NASH if name in cell.trained}
    worst = max(rates, key=lambda name: abs(rates[name].estimate - 0.5))
    note = "; ".join(f"{name} {rate.estimate:.3f}" for name, rate in rates.items())
    return _CLAIM["tie"].measured(
        rates[worst].estimate, holds=abs(rates[worst].estimate - 0.5) <= 0.03 if full else None,
        interval=_ends(rates[worst]), note=note,
    )  # fmt: skip


def _judges(cell: Cell, full: bool) -> Finding:
    right = {kind: of[REFERENCE].right for kind, of in cell.verdicts.items()}
    ahead = statistics.mean(right["preference"] - right["reward"])
    note = (
        f"preference model {right['preference'].mean():.3f}, reward model {right['reward'].mean():.3f}, "
        f"at most {cell.ceiling[REFERENCE]:.3f}"
    )
    return _CLAIM["judges"].measured(
        ahead.estimate, holds=ahead.estimate >= 0 if full else None, interval=_ends(ahead), note=note
    )


def _shift(cell: Cell, full: bool) -> Finding:
    rise = {kind: of[TRAINED].excess - of[REFERENCE].excess for kind, of in cell.verdicts.items()}
    more = statistics.mean(rise["reward"] - rise["preference"])
    said = "; ".join(
        f"{kind} model {of[REFERENCE].excess.mean():.3f} to {of[TRAINED].excess.mean():.3f} nats, "
        f"right {of[REFERENCE].right.mean():.3f} to {of[TRAINED].right.mean():.3f}"
        for kind, of in cell.verdicts.items()
    )
    return _CLAIM["shift"].measured(
        more.estimate, holds=more.low > 0 if full else None, interval=_ends(more),
        note=f"{said} (at most {cell.ceiling[TRAINED]:.3f})",
    )  # fmt: skip


def _duel(claim: Claim, ground: Ground, cell: Cell, first: str, second: str, tested: bool) -> Finding:
    if not {first, second} <= set(cell.trained):
        return claim.untested(f"{first} or {second} was not asked for")
    rate = against(ground, cell, first, second)
    voted = by_votes(ground, cell, first, second)
    note = f"one vote a report: {voted.estimate:.3f} [{voted.low:.3f}, {voted.high:.3f}], n = {voted.n}"
    more = rate.low > 0.5 if ">" in str(claim.expected) else rate.high < 0.5
    return claim.measured(rate.estimate, holds=more if tested else None, interval=_ends(rate), note=note)


def _beats(ground: Ground, cell: Cell, tested: bool) -> Finding:
    return _duel(_CLAIM["beats"], ground, cell, "Nash-MD 0.25", RLHF, tested)


def _response(ground: Ground, cell: Cell, tested: bool) -> Finding:
    return _duel(_CLAIM["response"], ground, cell, "best response", "Nash-MD 0.125", tested)


def _average(ground: Ground, cell: Cell, tested: bool) -> Finding:
    averages = [name for name in cell.trained if name.startswith("Nash-EMA")]
    if "Nash-MD 0.125" not in cell.trained or not averages:
        return _CLAIM["average"].untested("Nash-EMA or Nash-MD 0.125 was not asked for")
    rates = {name: against(ground, cell, "Nash-MD 0.125", name) for name in averages}
    least = min(rates, key=lambda name: rates[name].estimate)
    return _CLAIM["average"].measured(
        rates[least].estimate, holds=rates[least].low > 0.5 if tested else None, interval=_ends(rates[least]),
        note="; ".join(f"against {name} {rate.estimate:.3f}" for name, rate in rates.items()),
    )  # fmt: skip


def _exploited(cell: Cell, tested: bool) -> Finding:
    named = [name for name in ("self-play", "Nash-MD 0.25", "Nash-MD 0.5") if name in cell.exploited]
    if not named:
        return _CLAIM["exploited"].untested("none of self-play, Nash-MD 0.25 and Nash-MD 0.5 was asked for")
    means = {name: float(cell.exploited[name].mean()) for name in (RLHF, *named)}
    worst = max(named, key=lambda name: means[name])
    more = statistics.mean(cell.exploited[RLHF] - cell.exploited[worst])
    note = "; ".join(f"{name} {value:.3f}" for name, value in means.items())
    return _CLAIM["exploited"].measured(
        more.estimate,
        holds=more.low > 0 if tested and len(named) == 3 else None,
        interval=_ends(more),
        note=note,
    )
