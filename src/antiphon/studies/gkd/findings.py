"""From scores to findings."""

from itertools import pairwise

import numpy as np

from antiphon.core import statistics
from antiphon.core.statistics import Interval
from antiphon.studies.gkd import claims
from antiphon.studies.gkd.arms import (
    DIVERGENCES,
    F_DISTILL,
    HALF,
    ON_POLICY,
    SELF,
    SELF_SUPERVISED,
    SEQUENCE,
    SFT_ARM,
    SUPERVISED,
    TWICE,
    Arm,
    of_grid,
    rewarded,
)
from antiphon.studies.gkd.config import Config
from antiphon.studies.gkd.results import NEARNESS, START, Results
from antiphon.train.findings import Claim, Finding

_NOT_ASKED = "this size trains no such student"
_ENOUGH = 5  # starts before a comparison with an interval is decided


def read_off(config: Config, results: Results) -> list[Finding]:
    """The findings, in the order of the claims."""
    last = config.examples[-1]
    return [
        _gain(config, results),
        _gap(config, results),
        _difference(claims.TWICE, results, last, ON_POLICY.name, TWICE.name, _costs(results)),
        _order(results, last),
        _difference(claims.TUNING, results, last, SUPERVISED.name, SFT_ARM.name),
        _named(results, last),
        _narrowing(results, last),
        _seeking(results, last),
        _few(config, results, last),
        _self(results, last),
        _reward(config, results, last),
        _easy(config, results),
        _limits(results),
    ]


def _gain(config: Config, results: Results) -> Finding:
    ratios = {examples: _ratio(results, examples) for examples in config.examples}
    examples, worst = min(ratios.items(), key=lambda item: item[1].estimate)
    whole = all(one.n >= _ENOUGH for one in ratios.values())
    holds = all(one.estimate >= 1.5 and one.low > 1 for one in ratios.values()) if whole else None
    note = f"one start, N = {examples:,}"
    if worst.n > 1:
        each = "; ".join(
            f"N = {n:,}: {r.estimate:.2f} [{r.low:.2f}, {r.high:.2f}]" for n, r in ratios.items()
        )
        note = (
            f"{each}; ratios of mean gains over {worst.n} starts, Fieller's intervals; the figure is for "
            f"N = {examples:,}; {results.passed_over} starts lay outside the window"
        )
    return claims.GAIN.measured(worst.estimate, holds=holds, interval=_ends(worst), note=note)


def _ratio(results: Results, examples: int) -> Interval:
    starts = results.together(examples, ON_POLICY.name, SUPERVISED.name)
    on_policy, supervised = (results.gain(examples, arm.name, starts) for arm in (ON_POLICY, SUPERVISED))
    return statistics.mean_ratio(on_policy, supervised)


def _gap(config: Config, results: Results) -> Finding:
    apart = {n: results.ahead(n, ON_POLICY.name, SUPERVISED.name) for n in config.examples}
    least = min(float(values.min()) for values in apart.values())
    note = "; ".join(f"N = {n:,}: {', '.join(f'{v:.3f}' for v in values)}" for n, values in apart.items())
    whole = all(len(values) >= _ENOUGH for values in apart.values())
    return claims.GAP.measured(least, holds=least >= 0.08 if whole else None, note=f"the least; {note}")


def _difference(
    claim: Claim, results: Results, examples: int, arm: str, other: str, note: str = ""
) -> Finding:
    """Whether an arm is ahead of another for certain: its interval is above zero."""
    if not results.has(examples, arm, other):
        return claim.untested(_NOT_ASKED)
    found = statistics.mean(results.ahead(examples, arm, other))
    said = f"{arm} less {other}, N = {examples:,}, {found.n} starts"
    return claim.measured(
        found.estimate, holds=found.low > 0 if found.n >= _ENOUGH else None, interval=_ends(found),
        note=f"{said}; {note}" if note else said,
    )  # fmt: skip


def _costs(results: Results) -> str:
    each = {arm.name: results.costs[arm.name] for arm in (SFT_ARM, SUPERVISED, ON_POLICY)}
    return (
        f"a step of on-policy distillation takes {each[ON_POLICY.name] / each[SUPERVISED.name]:.2f} times as "
        f"long as a supervised one ({', '.join(f'{n} {1e3 * s:.1f} ms' for n, s in each.items())})"
    )


def _order(results: Results, examples: int) -> Finding:
    names = [arm.name for arm in (SUPERVISED, HALF, ON_POLICY)]
    if not results.has(examples, *names):
        return claims.LAMBDA.untested(_NOT_ASKED)
    starts = results.together(examples, *names)
    gains = [float(results.gain(examples, name, starts).mean()) for name in names]
    steps = [statistics.mean(results.ahead(examples, b, a)) for a, b in pairwise(names)]
    least = min(steps, key=lambda one: one.estimate)
    return claims.LAMBDA.measured(
        least.estimate, holds=gains[0] < gains[1] < gains[2] if len(starts) >= _ENOUGH else None,
        interval=_ends(least),
        note=f"gains at λ 0, ½, 1: {', '.join(f'{gain:.3f}' for gain in gains)}; the figure is the smaller "
        f"of the two differences; {len(starts)} starts",
    )  # fmt: skip


def _named(results: Results, examples: int) -> Finding:
    others = [arm.name for arm in (SEQUENCE, HALF, F_DISTILL)]
    if not results.has(examples, ON_POLICY.name, *others):
        return claims.NAMED.untested(_NOT_ASKED)
    ahead = {name: results.ahead(examples, ON_POLICY.name, name) for name in others}
    means = {name: float(values.mean()) for name, values in ahead.items()}
    least = min(means, key=lambda name: means[name])
    count = min(len(values) for values in ahead.values())
    return claims.NAMED.measured(
        means[least], holds=means[least] > 0 if count >= 2 else None,
        note=f"least ahead of {least.replace(HALF.name, 'ImitKD')}; at least {count} starts each",
    )  # fmt: skip


def _line(results: Results, examples: int) -> list[str] | None:
    """The five divergences of the paper, on-policy, from the mode-covering to the mode-seeking."""
    names = [of_grid(*divergence, 1.0).name for divergence in DIVERGENCES[:5]]
    return names if results.has(examples, *names) else None


def _narrowing(results: Results, examples: int) -> Finding:
    names = _line(results, examples)
    if names is None:
        return claims.NARROWING.untested(_NOT_ASKED)
    starts = results.together(examples, *names)
    gaps = [
        float(np.mean(results.accuracy(examples, n, starts) - results.accuracy(examples, n, starts, True)))
        for n in names
    ]
    falls = all(b < a for a, b in pairwise(gaps))
    return claims.NARROWING.measured(
        gaps[0] - gaps[-1], holds=falls if len(starts) >= 2 else None,
        note=f"greedy less temperature 1: {', '.join(f'{gap:.3f}' for gap in gaps)}; the figure is the first "
        f"less the last; {len(starts)} starts",
    )  # fmt: skip


def _seeking(results: Results, examples: int) -> Finding:
    names = _line(results, examples)
    if names is None:
        return claims.SEEKING.untested(_NOT_ASKED)
    starts = results.together(examples, *names)
    drawn = {name: results.accuracy(examples, name, starts, True) for name in names}
    best = max(names[3:], key=lambda name: drawn[name].mean())
    apart = drawn[best] - drawn[names[0]]
    return claims.SEEKING.measured(
        float(apart.mean()), holds=bool(apart.mean() > 0) if len(starts) >= 2 else None,
        note=f"{best} less the forward KL; {len(starts)} starts",
    )  # fmt: skip


def _few(config: Config, results: Results, examples: int) -> Finding:
    name = f"on-policy GKD, {config.share:.0%} of the prompts"
    if not results.has(examples, name):
        return claims.DATA.untested(_NOT_ASKED)
    apart = results.ahead(examples, name, SUPERVISED.name)
    return claims.DATA.measured(
        float(apart.mean()), holds=bool(apart.mean() > 0) if len(apart) >= 2 else None,
        note=f"{round(config.share * examples)} prompts against {examples:,} with answers; each start: "
        + ", ".join(f"{value:.3f}" for value in apart),
    )  # fmt: skip


def _self(results: Results, examples: int) -> Finding:
    if not results.has(examples, SELF.name):
        return claims.SELF.untested(_NOT_ASKED)
    starts = sorted(results.scores[examples][SELF.name])
    # As in the trainings: the teacher of a start is the one after it.
    peers = [*starts[1:], starts[0]]
    teachers = results.accuracy(examples, START, peers)
    ahead = results.accuracy(examples, SELF.name, starts) - teachers
    supervised = results.accuracy(examples, SELF_SUPERVISED.name, starts) - teachers
    return claims.SELF.measured(
        float(ahead.mean()), holds=bool(ahead.mean() > 0) if len(starts) >= 2 else None,
        note=f"on-policy less its teacher ({', '.join(f'{value:.3f}' for value in teachers)}); supervised: "
        f"{supervised.mean():.3f}; {len(starts)} starts",
    )  # fmt: skip


def _reward(config: Config, results: Results, examples: int) -> Finding:
    alone: Arm = of_grid(*DIVERGENCES[4], 1.0)
    arms = [rewarded(alpha).name for alpha in config.alphas]
    if not results.has(examples, alone.name, *arms):
        return claims.REWARD.untested(_NOT_ASKED)
    ahead = {name: results.ahead(examples, name, alone.name, sampled=True) for name in arms}
    best = max(ahead, key=lambda name: ahead[name].mean())
    return claims.REWARD.measured(
        float(ahead[best].mean()),
        holds=bool(ahead[best].mean() > 0) if len(ahead[best]) >= 2 else None,
        note="at temperature 1, less distillation alone: "
        + ", ".join(f"{name} {values.mean():+.3f}" for name, values in ahead.items())
        + f"; {len(ahead[best])} starts",
    )


def _easy(config: Config, results: Results) -> Finding:
    examples = config.easy_examples
    if not results.has(examples, ON_POLICY.name, SUPERVISED.name):
        return claims.EASY.untested(_NOT_ASKED)
    found = _ratio(results, examples)
    tuned = results.gain(examples, SFT_ARM.name, results.together(examples, SFT_ARM.name))
    return claims.EASY.measured(
        found.estimate, holds=found.estimate < 1.25 if found.n >= _ENOUGH else None, interval=_ends(found),
        note=f"N = {examples:,}, {config.easy_steps} steps, {found.n} starts; continued SFT gains "
        f"{tuned.mean():.3f}",
    )  # fmt: skip


def _limits(results: Results) -> Finding:
    nearest = results.ends[f"{NEARNESS[-1]:g}"]
    return claims.ENDS.measured(
        nearest, holds=nearest < 1e-3,
        note="float64, by distance of β from its ends: "
        + ", ".join(f"{near} {apart:.1e}" for near, apart in results.ends.items())
        + "; the limit is reached where β is small against the smallest probability",
    )  # fmt: skip


def _ends(found: Interval) -> tuple[float, float] | None:
    """For a finding: None where one start says nothing."""
    return (found.low, found.high) if found.n >= 2 else None
