"""Major–minor mean field games by fictitious play (arXiv 2312.10787), measured.

All three problems of the paper are solved on its own partition of the simplex, first with fictitious play
and then by fixed point iteration, and the policies are taken back to the games they were made for: the
continuous mean field, and crowds of N players.
"""

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass

import jax
import numpy as np

from antiphon.core import statistics
from antiphon.equilibrium import (
    PartitionProblem,
    Players,
    Solution,
    first_action,
    major_minor_game,
    partition,
    rollout,
    simulate,
    solve,
)
from antiphon.equilibrium.simplex_grid import Projection
from antiphon.methods.fictitious_play import FictitiousPlay
from antiphon.methods.fixed_point import FixedPoint
from antiphon.train.findings import Claim, Finding
from antiphon.train.media import Figure, Image, Media, Series, Table, write_media
from antiphon.train.progress import say
from antiphon.train.run_directory import RunDirectory
from antiphon.worlds.meanfield import pictures
from antiphon.worlds.meanfield.advertisement import Advertisement
from antiphon.worlds.meanfield.buffet import Buffet
from antiphon.worlds.meanfield.sis import SIS

PROBLEMS = {"SIS": SIS, "Buffet": Buffet, "Advertisement": Advertisement}


@dataclass(frozen=True)
class Config:
    """Sizes of the study; ``laptop`` has those of the paper, but Buffet is smaller."""

    cells: int = 120
    """M for SIS and Advertisement."""
    buffet_cells: int = 50
    """M for Buffet, whose 25 major states make it forty times as large."""
    iterations: int = 1000
    """Of fictitious play."""
    buffet_iterations: int = 200
    """Likewise for Buffet."""
    fixed_point_iterations: int = 100
    """Of fixed point iteration."""
    sweep: tuple[int, ...] = (10, 20, 50, 80, 120, 200)
    """Grids on which SIS and Advertisement are solved again."""
    sweep_iterations: int = 200
    """Of fictitious play, for each grid."""
    players: tuple[int, ...] = (2, 5, 10, 20, 50, 100, 200)
    """N of the finite games."""
    paths: int = 4000
    """Roll-outs for each true value."""
    seed: int = 0
    """Of the roll-outs."""


PRESETS = {
    "smoke": Config(
        cells=12, buffet_cells=5, iterations=20, buffet_iterations=5, fixed_point_iterations=10,
        sweep=(8, 16), sweep_iterations=5, players=(4, 16, 64), paths=400,
    ),
    "laptop": Config(),
    "gpu": Config(buffet_cells=120, buffet_iterations=1000, sweep_iterations=1000, paths=20_000),
}  # fmt: skip

CLAIMS = (
    Claim(
        "authors",
        "On SIS with M = 120 the first three iterations are those of the authors' program",
        "github.com/tudkcui/M3FG-learning, its printed output",
        "difference ≤ 1e-5",
    ),
    Claim(
        "falls",
        "Fictitious play lowers the exploitability of both players tenfold in all three problems",
        "arXiv 2312.10787, Fig. 1b",
        "last / first ≤ 0.1",
    ),
    Claim(
        "beats",
        "Fictitious play ends with a lower exploitability than fixed point iteration in all three problems",
        "arXiv 2312.10787, Fig. 1",
        "FP / FPI < 1",
    ),
    Claim(
        "refines",
        "The value on the paper's partition comes nearer to the true value as M grows",
        "arXiv 2312.10787, Fig. 4",
        "error at the largest M / at the smallest < 1",
    ),
    Claim(
        "barycentric",
        "Barycentric M = 20 is within 1 % of the true value where nearest is off by more than 10 %",
        "ours; the paper projects to the nearest point",
        "≤ 0.01",
    ),
    Claim(
        "finite",
        "What players of the N-player game earn comes to the mean field value like a power of N",
        "arXiv 2312.10787, Theorem 1 and Fig. 2",
        "slope in [−1.3, −0.4]",
    ),
)

_AUTHORS = ((76.56163795, 33.32357530, 17.70951879), (55.57940343, 9.75233904, 5.59835137))  # major, minor
_rollout = jax.jit(rollout, static_argnames="paths")
_simulate = jax.jit(simulate, static_argnames="paths")
_measure = jax.jit(lambda problem, policy: problem.measure(policy))


def run(config: Config, run: RunDirectory) -> list[Finding]:
    """Measures all claims in float64 and leaves curves, tables and pictures."""
    with jax.enable_x64(True):
        return _run(config, run)


def _run(config: Config, run: RunDirectory) -> list[Finding]:
    played = {name: _solved(name, config, FictitiousPlay("plain")) for name in PROBLEMS}
    iterated = {name: _solved(name, config, FixedPoint()) for name in PROBLEMS}
    findings = [_authors(), *_curves(config, played, iterated)]
    refines, sweep = _sweep(config)
    barycentric, fixed = _fixed_policies(config)
    finite, crowds = _finite(config)
    images = _images(config, run, played)
    figures = (*(_history_figure(name, played[name], iterated[name]) for name in PROBLEMS), sweep, crowds)
    write_media(run.path, Media(_STORY, figures, tables=(_last_table(played), fixed), images=images))
    return [*findings, refines, barycentric, finite]


_STORY = (
    "A major player and a crowd answer each other. Exploitability says what either could still gain. "
    "The paper projects mean fields to the nearest of M points; every value on such a grid stands here "
    "beside what the policy really earns when the mean field is left continuous, and when the crowd has "
    "N players."
)


def _cells(name: str, config: Config) -> int:
    return config.buffet_cells if name == "Buffet" else config.cells


def _problem(name: str, cells: int, projection: Projection = "nearest") -> PartitionProblem:
    return partition(major_minor_game(PROBLEMS[name]()), cells, projection)


def _solved(name: str, config: Config, solver: FictitiousPlay | FixedPoint) -> Solution:
    iterations = config.buffet_iterations if name == "Buffet" else config.iterations
    if isinstance(solver, FixedPoint):
        iterations = min(config.fixed_point_iterations, iterations)
    problem = _problem(name, _cells(name, config))
    say(f"{name}, M = {_cells(name, config)}: {iterations} iterations of {type(solver).__name__}")
    paths = min(config.paths, 256)
    return solve(problem, solver, iterations, start=first_action(problem), paths=paths, seed=config.seed)


def _authors() -> Finding:
    problem = _problem("SIS", 120)
    found = solve(problem, FictitiousPlay("plain"), 2, start=first_action(problem), keep=[0, 1, 2], paths=0)
    printed = np.array([found.exploitability.major, found.exploitability.minor])
    apart = float(np.max(np.abs(printed - np.array(_AUTHORS))))
    return CLAIMS[0].measured(apart, holds=apart <= 1e-5, note="largest of six differences, float64")


def _curves(
    config: Config, played: Mapping[str, Solution], iterated: Mapping[str, Solution]
) -> list[Finding]:
    whole = config.iterations >= 300
    fall = max(float(gap[-1] / gap[0]) for solution in played.values() for gap in solution.exploitability)
    ratio = max(_total(played[name]) / max(_total(iterated[name]), 1e-12) for name in PROBLEMS)
    size = f"M = {config.cells} (Buffet {config.buffet_cells}), {config.iterations} iterations"
    return [
        CLAIMS[1].measured(fall, holds=fall <= 0.1 if whole else None, note=f"worst of six; {size}"),
        CLAIMS[2].measured(ratio, holds=ratio < 1 if whole else None, note=f"sum of both players; {size}"),
    ]


def _total(solution: Solution) -> float:
    return float(sum(gap[-1] for gap in solution.exploitability))


def _sweep(config: Config) -> tuple[Finding, Figure]:
    """Values of both players at the solution of each grid, on the grid and in truth."""
    series, ratios = [], []
    for name in ("SIS", "Advertisement"):
        for projection in ("nearest", "barycentric"):
            grid, true = [], []
            for cells in config.sweep:
                problem = _problem(name, cells, projection)
                solution = solve(
                    problem, FictitiousPlay("plain"), config.sweep_iterations, start=first_action(problem),
                    keep=[config.sweep_iterations], paths=min(config.paths, 4000), seed=config.seed,
                )  # fmt: skip
                grid.append(float(solution.value.major[-1]))
                true.append(float(solution.true_value.major[-1]))
            series += [Series(f"{name}, {projection}: {kind}", config.sweep, tuple(values))
                       for kind, values in (("on the grid", grid), ("true", true))]  # fmt: skip
            errors = np.abs(np.array(grid) - np.array(true))
            if projection == "nearest":
                ratios.append(float(errors[-1] / max(errors[0], 1e-12)))
    whole = len(config.sweep) > 2
    finding = CLAIMS[3].measured(
        max(ratios), holds=max(ratios) < 1 if whole else None,
        note=f"major player, worse of SIS and Advertisement, M = {config.sweep[0]} to {config.sweep[-1]}",
    )  # fmt: skip
    note = "Two lines of one kind that meet: the grid tells the truth."
    return finding, Figure("Value of the major player over the grid", "M", "value", tuple(series), note=note)


def _fixed_policies(config: Config) -> tuple[Finding, Table]:
    """Policies that do not look at the mean field, whose true value is therefore the same for every grid."""
    rows, near, far = [], [], []
    for name, action in (("Advertisement", 0), ("SIS", -1), ("SIS", 0)):
        true = None
        for projection in ("barycentric", "nearest"):
            problem = _problem(name, 20, projection)
            policy = first_action(problem, action)
            if true is None:
                paths = _rollout(problem, policy, jax.random.key(config.seed), paths=config.paths)
                true = statistics.mean(np.asarray(paths.value.major))
            value = float(_measure(problem, policy).value.major)
            error = abs(value / true.estimate - 1)
            (near if projection == "barycentric" else far).append(error)
            which = "first action" if action == 0 else "last action"
            rows.append(
                (f"{name}, {which}", projection, value, true.estimate, true.high - true.estimate, error)
            )
    holds = max(near) <= 0.01 and min(far[:2]) > 0.1
    note = f"major player; nearest errs by {far[0]:.0%} (Advertisement), {far[1]:.0%} and {far[2]:.1%} (SIS)"
    columns = ("policy", "projection", "value, M = 20", "true value", "±", "relative error")
    return CLAIMS[4].measured(max(near), holds=holds, note=note), Table(
        "Fixed policies", columns, tuple(rows)
    )


def _finite(config: Config) -> tuple[Finding, Figure]:
    """Minor value in the N-player SIS under a policy that is smooth in the mean field, against its limit."""
    problem = _problem("SIS", 20, "barycentric")
    policy = Players(*(0.5 * (a + b) for a, b in zip(first_action(problem), problem.uniform(), strict=True)))
    key = jax.random.key(config.seed + 1)
    limit = statistics.mean(np.asarray(_rollout(problem, policy, key, paths=4 * config.paths).value.minor))
    found = []
    for players in config.players:
        value = _simulate(problem, policy, key, players=players, paths=config.paths).value.minor
        found.append(statistics.mean(np.asarray(value)))
    gaps = np.abs([one.estimate - limit.estimate for one in found])
    noise = np.array([one.high - one.estimate for one in found]) + (limit.high - limit.estimate)
    clear = gaps > 1.5 * noise
    sizes = tuple(float(x) for x in np.log10(config.players))
    chart = Figure(
        "SIS with N players",
        "log10 N",
        "value of a minor player",
        (
            Series("N players", sizes, tuple(f.estimate for f in found),
                   tuple(f.low for f in found), tuple(f.high for f in found)),
            Series("mean field", sizes, (limit.estimate,) * len(found)),
        ),
    )  # fmt: skip
    if clear.sum() < 3:
        return CLAIMS[5].untested("fewer than three differences stand clear of the noise"), chart
    slope = statistics.linear_slope(np.log(np.array(config.players)[clear]), np.log(gaps[clear]))
    holds = -1.3 <= slope.estimate <= -0.4 if len(config.players) > 3 else None
    note = f"N = {', '.join(str(n) for n in np.array(config.players)[clear])}; {config.paths} games each"
    interval = (slope.low, slope.high)
    return CLAIMS[5].measured(slope.estimate, holds=holds, interval=interval, note=note), chart


def _history_figure(name: str, played: Solution, iterated: Solution) -> Figure:
    series = [
        Series(f"{method}, {kind}", _logs(s.iterations, 0.5), _logs(gap, 1e-9))
        for method, s in (("FP", played), ("FPI", iterated))
        for kind, gap in s.exploitability._asdict().items()
    ]
    return Figure(f"Exploitability, {name}", "log10 iteration", "log10 exploitability", tuple(series))


def _logs(values: np.ndarray, floor: float) -> tuple[float, ...]:
    return tuple(float(x) for x in np.log10(np.maximum(values, floor)))


def _last_table(played: Mapping[str, Solution]) -> Table:
    rows = [
        (name, kind, float(getattr(s.exploitability, kind)[-1]), float(getattr(s.value, kind)[-1]),
         float(getattr(s.true_value, kind)[-1]), s.seconds_per_iteration)
        for name, s in played.items() for kind in ("minor", "major")
    ]  # fmt: skip
    columns = ("problem", "player", "exploitability", "value on the grid", "true value", "s / iteration")
    return Table("Fictitious play at its last iteration", columns, tuple(rows))


def _images(config: Config, run: RunDirectory, played: Mapping[str, Solution]) -> tuple[Image, ...]:
    if importlib.util.find_spec("matplotlib") is None:
        say("pictures are left out: matplotlib is not installed (pip install 'antiphon[report]')")
        return ()
    images = []
    for name, solution in played.items():
        problem = _problem(name, _cells(name, config))
        stem = run.media / name.lower()
        pictures.draw_policies(
            stem.with_suffix(".policies.png"), problem, solution.policy, f"{name}: policies"
        )
        paths = _rollout(problem, solution.policy, jax.random.key(config.seed), paths=8)
        pictures.draw_paths(stem.with_suffix(".paths.png"), paths, f"{name}: eight paths")
        for kind in ("policies", "paths"):
            images.append(Image(f"{name}: {kind}", f"media/{name.lower()}.{kind}.png"))
    return tuple(images)
