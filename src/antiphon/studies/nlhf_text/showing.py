"""What the report shows: the pairwise table of every dial, the judges, and notices to read."""

from collections.abc import Mapping

import numpy as np

from antiphon.core import statistics
from antiphon.studies.nlhf_steering import RLHF
from antiphon.studies.nlhf_text.cell import REFERENCE, TRAINED, Cell
from antiphon.studies.nlhf_text.findings import against, by_votes
from antiphon.studies.nlhf_text.reference import Ground
from antiphon.studies.nlhf_text.setting import Config
from antiphon.train.media import Figure, Media, Series, Table
from antiphon.worlds.text.reports import decode

_STORY = (
    "A small decoder writes one-line notices of reports. Simulated raters vote between two by signals that "
    "are measured, and by a ring with a dial: a notice that tells when beats one that tells where, that one "
    "beats who, and who beats when. RLHF climbs a reward model fitted to their votes, the others a "
    "preference model. All have moved equally far from the reference; other raters judge."
)


def media_of(config: Config, ground: Ground, cells: Mapping[float, Cell]) -> Media:
    """Everything to be seen."""
    tables: list[Table] = []
    for cell in cells.values():
        tables += [_methods(ground, cell), _pairwise(ground, cell), _judges(cell)]
    tables.append(_notices(ground, cells))
    return Media(
        f"{_STORY} Divergence asked for: {config.kl:g} nats.", (_figure(cells),), tables=tuple(tables)
    )


def _methods(ground: Ground, cell: Cell) -> Table:
    rows = []
    for name, one in cell.trained.items():
        signals = cell.shown.signals[name]
        exploit = cell.exploited.get(name)
        rows.append(
            (name, one.kl, one.tau, against(ground, cell, name, REFERENCE).estimate,
             against(ground, cell, name, RLHF).estimate, None if exploit is None else float(exploit.mean()),
             float(-signals.quality[..., 0].mean()), float(signals.quality[..., 1].mean()),
             " ".join(f"{share:.2f}" for share in np.asarray(signals.told).mean((0, 1))))
        )  # fmt: skip
    return Table(
        f"Dial {cell.dial:g}: {cell.circles.estimate:.1%} of triples in a circle, scores misfit by "
        f"{cell.misfit.estimate:.3f} nats",
        ("method", "KL, nats", "pull", "beats reference", "beats RLHF", "exploited at equal KL", "words",
         "facts told", "when, where, who"),
        tuple(rows),
        "Shares of the votes of raters who were held out, exact for 8 notices of each for every report. "
        "RLHF × is RLHF with another pull, at a divergence of its own.",
    )  # fmt: skip


def _pairwise(ground: Ground, cell: Cell) -> Table:
    names = (REFERENCE, *cell.matched)
    rows = []
    for first in names:
        cells = []
        for second in names:
            if first == second:
                cells.append("–")
                continue
            rate = by_votes(ground, cell, first, second)
            cells.append(f"{rate.estimate:.3f} [{rate.low:.3f}, {rate.high:.3f}]")
        rows.append((first, *cells))
    return Table(
        f"Dial {cell.dial:g}: how often the row is preferred to the column", ("", *names), tuple(rows),
        f"One held-out rater's vote for each of {len(ground.tests.length)} reports; Clopper–Pearson, 95 %.",
    )  # fmt: skip


def _judges(cell: Cell) -> Table:
    rows = []
    for kind, of in cell.verdicts.items():
        for whose in (REFERENCE, TRAINED):
            right, excess = (statistics.mean(getattr(of[whose], name)) for name in ("right", "excess"))
            rows.append(
                (f"{kind} model", whose, right.estimate, f"[{right.low:.3f}, {right.high:.3f}]",
                 cell.ceiling[whose], excess.estimate)
            )  # fmt: skip
    return Table(
        f"Dial {cell.dial:g}: judges on unseen reports",
        ("judge", "notices of", "right", "interval", "at most", "cross-entropy beyond the votes', nats"),
        tuple(rows),
    )


def _notices(ground: Ground, cells: Mapping[float, Cell]) -> Table:
    cell = cells[max(cells)]
    rows = []
    for place in range(3):
        length = int(ground.tests.length[place])
        rows.append(("report", decode(np.asarray(ground.tests.tokens[place, :length]))))
        rows += [(name, decode(cell.shown.notices[name][place])) for name in (REFERENCE, *cell.matched)]
    return Table(f"Notices to read, dial {cell.dial:g}", ("of", "text"), tuple(rows))


def _figure(cells: Mapping[float, Cell]) -> Figure:
    series = []
    for cell in cells.values():
        found = {name: statistics.mean(rates) for name, rates in cell.exploited.items()}
        series.append(
            Series(f"dial {cell.dial:g}", tuple(found), tuple(i.estimate for i in found.values()),
                   tuple(i.low for i in found.values()), tuple(i.high for i in found.values()))
        )  # fmt: skip
    return Figure("Exploited at equal divergence", "method", "win rate of the best response", tuple(series),
                  kind="bar", note="0.5 is an equilibrium.")  # fmt: skip
