"""From scores to findings."""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

import numpy as np
from jaxtyping import Float

from antiphon.core import statistics
from antiphon.core.statistics import Interval
from antiphon.studies.gkd.arms import DIVERGENCES, HALF, ON_POLICY, SEQUENCE, SFT_ARM, SUPERVISED, of_grid
from antiphon.studies.gkd_text import claims
from antiphon.studies.gkd_text.config import Config
from antiphon.studies.gkd_text.marks import TextScore
from antiphon.studies.gkd_text.tasks import TASKS, Task
from antiphon.train.findings import Finding

How = Literal["greedy", "sampled"]
"""How the texts are written: a field of :class:`TextScore`."""

_ENOUGH = 3  # starts before a comparison is decided
_NO_TEXTS = "needs texts: antiphon text data build debian --out debian, then --set folder=debian"
_NOT_ASKED = "this size trains no such student"


@dataclass
class Found:
    """What was measured on one task.

    Attributes:
        task: it.
        teacher: the teacher's score.
        wanted: what people wrote for the rows whose texts are shown.
        starts: scores of the starts by number.
        arms: ``{arm: {start: score}}``.
    """

    task: Task
    teacher: TextScore
    wanted: tuple[str, ...] = ()
    starts: dict[int, TextScore] = field(default_factory=dict)
    arms: dict[str, dict[int, TextScore]] = field(default_factory=dict)

    def gain(self, arm: str, how: How = "greedy") -> Float[np.ndarray, " starts"]:
        """Score less the start's, for every start, in points of the measure."""
        scores = sorted(self.arms[arm].items())
        return np.array([getattr(score, how) - getattr(self.starts[number], how) for number, score in scores])


def read_off(config: Config, found: dict[str, Found]) -> list[Finding]:
    """The findings, in the order of the claims."""
    findings = []
    for task in TASKS:
        if task.name not in found:
            group = (claims.GAINS, claims.LAMBDAS, claims.BASELINES, claims.SEEKING)
            findings += [claim[task.name].untested(_NO_TEXTS) for claim in group]
            continue
        one, decided = found[task.name], config.starts >= _ENOUGH
        findings += [measure(one, decided) for measure in (_gain, _order, _baselines, _seeking)]
    return findings


def _gain(found: Found, decided: bool) -> Finding:
    own, supervised = found.gain(ON_POLICY.name), found.gain(SUPERVISED.name)
    apart = statistics.mean(own - supervised)
    begun = "one start" if len(own) == 1 else f"{len(own)} starts, mean"
    note = (
        f"{found.task.unit} points, greedy: on-policy gains {own.mean():.2f}, supervised "
        f"{supervised.mean():.2f}; {begun} {_mean(found.starts):.2f}, teacher {found.teacher.greedy:.2f}"
    )
    if supervised.mean() > 0:
        ratio = statistics.mean_ratio(own, supervised) if len(own) > 1 else None
        note += f"; ratio {own.mean() / supervised.mean():.2f}"
        note += f" [{ratio.low:.2f}, {ratio.high:.2f}]" if ratio is not None else ""
    return claims.GAINS[found.task.name].measured(
        apart.estimate, holds=apart.low > 0 if decided else None, interval=_ends(apart), note=note
    )


def _order(found: Found, decided: bool) -> Finding:
    claim = claims.LAMBDAS[found.task.name]
    if HALF.name not in found.arms:
        return claim.untested(_NOT_ASKED)
    gains = [found.gain(arm.name) for arm in (SUPERVISED, HALF, ON_POLICY)]
    least = min((statistics.mean(b - a) for a, b in pairwise(gains)), key=lambda step: step.estimate)
    return claim.measured(
        least.estimate, holds=least.estimate > 0 if decided else None, interval=_ends(least),
        note=f"gains at λ 0, ½, 1: {', '.join(f'{gain.mean():.2f}' for gain in gains)}; the figure is the "
        "smaller difference, and it counts by its estimate",
    )  # fmt: skip


def _baselines(found: Found, decided: bool) -> Finding:
    claim = claims.BASELINES[found.task.name]
    if not {SEQUENCE.name, SFT_ARM.name} <= set(found.arms):
        return claim.untested(_NOT_ASKED)
    own = found.gain(ON_POLICY.name)
    ahead = {arm.name: statistics.mean(own - found.gain(arm.name)) for arm in (SEQUENCE, SFT_ARM)}
    least = min(ahead.values(), key=lambda lead: lead.estimate)
    return claim.measured(
        least.estimate, holds=least.estimate > 0 if decided else None, interval=_ends(least),
        note="ahead of " + ", ".join(f"{name} by {lead.estimate:.2f}" for name, lead in ahead.items()),
    )  # fmt: skip


def _seeking(found: Found, decided: bool) -> Finding:
    claim = claims.SEEKING[found.task.name]
    line = [of_grid(*divergence, 1.0).name for divergence in DIVERGENCES[:5]]
    if line[-1] not in found.arms:
        return claim.untested(_NOT_ASKED)
    gains = {name: found.gain(name, "sampled") for name in line}
    best = max(line[3:], key=lambda name: gains[name].mean())
    apart = statistics.mean(gains[best] - gains[line[0]])
    labels = [label for label, *_ in DIVERGENCES[:5]]
    said = ", ".join(f"{label} {gains[name].mean():.2f}" for label, name in zip(labels, line, strict=True))
    return claim.measured(
        apart.estimate, holds=apart.estimate > 0 if decided else None, interval=_ends(apart),
        note=f"gains at temperature 1: {said}; the figure is the better of the last two less the first, and "
        "it counts by its estimate",
    )  # fmt: skip


def _ends(found: Interval) -> tuple[float, float] | None:
    """For a finding: None where one start says nothing."""
    return (found.low, found.high) if found.n > 1 else None


def _mean(scores: dict[int, TextScore]) -> float:
    return float(np.mean([score.greedy for score in scores.values()]))
