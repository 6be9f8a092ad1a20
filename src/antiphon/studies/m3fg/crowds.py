"""Crowds of N players: how fast what they earn comes to the mean field value."""

from collections.abc import Mapping

import jax
import numpy as np

from antiphon.core import statistics
from antiphon.equilibrium import Players, Solution, first_action
from antiphon.studies.m3fg.claims import CLAIMS
from antiphon.studies.m3fg.config import Config
from antiphon.studies.m3fg.problems import cells_of, play_with, problem_of, roll_out
from antiphon.train.findings import Finding
from antiphon.train.media import Figure, Series
from antiphon.train.progress import say


def slopes(config: Config) -> tuple[list[Finding], Figure]:
    """Minor value in the N-player SIS under a policy that is smooth in the mean field, against its limit.

    The slope is fitted twice: over the numbers of players of the rest of the study, and over large ones.
    """
    problem = problem_of("SIS", 20, "barycentric")
    policy = Players(*(0.5 * (a + b) for a, b in zip(first_action(problem), problem.uniform(), strict=True)))
    key = jax.random.key(config.seed + 1)
    limit = statistics.mean(np.asarray(roll_out(problem, policy, key, paths=4 * config.paths).value.minor))
    numbers = np.array(sorted({*config.players, *config.large}))
    found = []
    for players in numbers.tolist():
        value = play_with(problem, policy, key, players=players, paths=config.paths).value.minor
        found.append(statistics.mean(np.asarray(value)))
    gaps = np.abs([one.estimate - limit.estimate for one in found])
    noise = np.array([one.high - one.estimate for one in found]) + (limit.high - limit.estimate)
    sizes = np.log10(numbers)
    low, high = (np.log10(np.maximum(gaps + sign * noise, 1e-4)) for sign in (-1, 1))
    series = [
        Series("|N players − mean field|", tuple(sizes), tuple(np.log10(gaps)), tuple(low), tuple(high))
    ]
    clear, findings = gaps > 1.5 * noise, []
    for claim, among in ((CLAIMS[5], config.players), (CLAIMS[6], config.large)):
        fitted = clear & np.isin(numbers, among)
        if fitted.sum() < 3:
            findings.append(claim.untested("fewer than three differences stand clear of the noise"))
            continue
        line = statistics.linear_slope(sizes[fitted], np.log10(gaps[fitted]))
        holds = -1.3 <= line.estimate <= -0.4 if len(among) > 3 else None
        note = f"N = {', '.join(str(n) for n in numbers[fitted])}; {config.paths} games each"
        findings.append(claim.measured(line.estimate, holds=holds, interval=(line.low, line.high), note=note))
        middle = np.mean(np.log10(gaps[fitted])) - line.estimate * np.mean(sizes[fitted])
        ends = sizes[fitted][[0, -1]]
        name = f"slope {line.estimate:.2f} from N = {numbers[fitted][0]}".replace("-", "−")
        series.append(Series(name, tuple(ends), tuple(middle + line.estimate * ends)))
    note = "Minor value in SIS under a smooth policy; the band is the 95 % noise of both sides."
    return findings, Figure(
        "SIS: distance from the mean field", "log10 N", "log10 difference", tuple(series), note=note
    )


def solutions_with_players(config: Config, played: Mapping[str, Solution]) -> list[Figure]:
    """What the solutions earn among N players, beside their values on the grid and off it."""
    figures = []
    for name in config.among:
        say(f"{name}: games of N players")
        problem, policy = problem_of(name, cells_of(name, config)), played[name].policy
        key, paths = jax.random.key(config.seed + 2), config.solution_paths
        true = roll_out(problem, policy, key, paths=paths).value
        crowds = [play_with(problem, policy, key, players=n, paths=paths).value for n in config.players]
        sizes = tuple(float(x) for x in np.log10(config.players))
        for kind in ("minor", "major"):
            found = [statistics.mean(np.asarray(getattr(value, kind))) for value in crowds]
            limit = statistics.mean(np.asarray(getattr(true, kind))).estimate
            grid = float(getattr(played[name].value, kind)[-1])
            series = (
                Series("N players", sizes, tuple(f.estimate for f in found),
                       tuple(f.low for f in found), tuple(f.high for f in found)),
                Series("mean field, continuous", sizes, (limit,) * len(found)),
                Series("mean field, on the grid", sizes, (grid,) * len(found)),
            )  # fmt: skip
            title = f"{name}: value of the {kind} player{'s' * (kind == 'minor')}"
            figures.append(Figure(f"{title} among N", "log10 N", "value", series))
    return figures
