"""The authors' protocol, undisturbed: every seed beside the authors' figures and beside a look-ahead."""

from collections.abc import Mapping

import numpy as np

from antiphon.core.statistics import Interval, bootstrap, mean
from antiphon.studies.platform import claims
from antiphon.studies.platform.config import Config
from antiphon.studies.platform.learning import Learned
from antiphon.studies.platform.trainings import TASK
from antiphon.train.findings import Claim, Finding
from antiphon.train.media import Table
from antiphon.train.progress import say
from antiphon.worlds.platform.controllers.named import find_controller
from antiphon.worlds.platform.environment import PlatformEnvironment
from antiphon.worlds.platform.policy_search import find_policy
from antiphon.worlds.platform.protocol import Motions, Protocol, fly, judge, pilot_of
from antiphon.worlds.platform.tasks import find_task

COLUMNS = ("PT5", "PT2", "PT1", "OT5", "OT2", "OT1", "air_use", "ever_1cm", "ever_2cm", "stay")


def precision(config: Config, learned: Mapping[str, Learned]) -> tuple[list[Finding], Table]:
    """Findings on precision, and the table of all who were judged."""
    task = find_task(TASK)
    protocol = Protocol(envs=config.episodes, seed=config.seed)
    flown: dict[str, Motions] = {}
    for name, one in learned.items():
        world = PlatformEnvironment(task=task, observation=one.policy.metadata.observation)
        flown[name] = fly(world, pilot_of(one.policy, world), protocol)
    world = PlatformEnvironment(task=task)
    flown["bundled"] = fly(world, pilot_of(find_policy(TASK), world), protocol)
    say("judging lqr-saving")
    flown["lqr-saving"] = fly(PlatformEnvironment(task=task), find_controller("lqr-saving", task), protocol)
    figures = {name: judge(task, motions) for name, motions in flown.items()}
    ours = [name for name in figures if name.startswith("ours, seed")]
    note = f"{len(ours)} seeds of {config.seconds:g} s, {config.episodes} episodes each; worst seed"
    if not config.learns:
        some = (claims.POSITION, claims.HEADING, claims.GATES, claims.AIR, claims.LQR)
        short = f"{config.seconds:g} s of training teach nothing yet"
        return [claim.untested(short) for claim in some], _table(config, figures)
    findings = [
        _over_seeds(claims.POSITION, figures, ours, "PT1", note),
        _over_seeds(claims.HEADING, figures, ours, "OT5", note),
        _gates(figures, ours),
        _air(figures, ours),
        _against_lqr(flown, ours),
    ]
    return findings, _table(config, figures)


def _table(config: Config, figures: Mapping[str, Mapping[str, Interval]]) -> Table:
    rows = [(name, *(_value(found.get(column)) for column in COLUMNS)) for name, found in figures.items()]
    rows.append(("authors' best, as they published it", *(claims.AUTHORS.get(column) for column in COLUMNS)))
    return Table(
        "The authors' protocol, undisturbed",
        ("who", *COLUMNS),
        tuple(rows),
        note=f"{config.episodes} episodes of 50 s from 3 to 4 m; the last row is of the authors' simulator.",
    )


def _over_seeds(
    claim: Claim, figures: Mapping[str, Mapping[str, Interval]], ours: list[str], figure: str, note: str
) -> Finding:
    values = [figures[name][figure].estimate for name in ours]
    middle = mean(values)
    interval = (middle.low, middle.high) if np.isfinite(middle.low) else None
    return claim.measured(
        middle.estimate,
        interval=interval,
        holds=min(values) > claims.AUTHORS[figure],
        note=f"{note} {min(values):.3f}; interval over seeds",
    )


def _gates(figures: Mapping[str, Mapping[str, Interval]], ours: list[str]) -> Finding:
    misses = [
        f"{name}: {figure} {figures[name][figure].estimate:.3f} < {level:g}"
        for name in ours
        for figure, level in claims.GATE.items()
        if figures[name][figure].estimate < level
    ]
    said = "; ".join(misses) or "every seed meets every figure"
    return claims.GATES.measured(f"{len(misses)} misses", holds=not misses, note=said)


def _air(figures: Mapping[str, Mapping[str, Interval]], ours: list[str]) -> Finding:
    bundled = figures["bundled"]
    air, near = bundled["air_use"], {name: bundled[name].estimate for name in ("PT5", "PT2")}
    precise = near["PT5"] >= 0.75 and near["PT2"] >= 0.70
    seeds = ", ".join(f"{figures[name]['air_use'].estimate:.3f}" for name in ours)
    return claims.AIR.measured(
        air.estimate,
        interval=(air.low, air.high),
        holds=precise and air.estimate <= 0.30,
        note=f"bundled policy: PT5 {near['PT5']:.3f}, PT2 {near['PT2']:.3f}; seeds here use {seeds}",
    )


def _against_lqr(flown: Mapping[str, Motions], ours: list[str]) -> Finding:
    """Episodes begin alike, so differences are taken episode by episode."""
    theirs = (flown["lqr-saving"].position_error < 0.05).mean(0)
    gains = np.mean([(flown[name].position_error < 0.05).mean(0) - theirs for name in ours], axis=0)
    gain = bootstrap(gains)
    turned = np.radians(5.0)
    heading = (
        np.mean([(flown[n].heading_error < turned).mean() for n in ours])
        - (flown["lqr-saving"].heading_error < turned).mean()
    )
    air = np.mean([flown[n].air_use.mean() for n in ours]) - flown["lqr-saving"].air_use.mean()
    word = "beats" if gain.low > 0 else "does not beat"
    return claims.LQR.measured(
        gain.estimate,
        interval=(gain.low, gain.high),
        holds=gain.low > 0,
        note=f"our policy {word} lqr-saving here; heading (OT5) {heading:+.3f}, air use {air:+.3f}",
    )


def _value(one: Interval | None) -> float | None:
    return None if one is None else round(one.estimate, 4)
