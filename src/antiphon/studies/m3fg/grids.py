"""How far the grid is from the truth: over M, with either projection, at solutions and for fixed policies."""

import jax
import numpy as np

from antiphon.core import statistics
from antiphon.equilibrium import first_action, solve
from antiphon.methods.fictitious_play import FictitiousPlay
from antiphon.studies.m3fg.claims import CLAIMS
from antiphon.studies.m3fg.config import Config
from antiphon.studies.m3fg.problems import PROBLEMS, measure, problem_of, roll_out
from antiphon.train.findings import Finding
from antiphon.train.media import Figure, Series, Table
from antiphon.train.progress import say


def sweep(config: Config) -> tuple[Finding, list[Figure]]:
    """Values of the major player at the solution of each grid, on the grid and in truth."""
    figures, ratios = [], []
    for name in PROBLEMS:
        sizes = config.buffet_sweep if name == "Buffet" else config.sweep
        if not sizes:
            continue
        say(f"{name}: grids")
        series = []
        for projection in ("nearest", "barycentric"):
            grid, true = np.transpose([_solved_values(name, cells, projection, config) for cells in sizes])
            series += [
                Series(f"{projection}, {kind}", sizes, tuple(values))
                for kind, values in (("grid", grid), ("true", true))
            ]
            errors = np.abs(grid - true)
            if projection == "nearest" and name != "Buffet":
                ratios.append(float(errors[-1] / max(errors[0], 1e-12)))
        note = "Where the two lines of one projection meet, its grid tells the truth."
        figures.append(Figure(f"{name}: value of the major player", "M", "value", tuple(series), note=note))
    whole = len(config.sweep) > 2
    finding = CLAIMS[3].measured(
        max(ratios), holds=max(ratios) < 1 if whole else None,
        note=f"major player, worse of SIS and Advertisement, M = {config.sweep[0]} to {config.sweep[-1]}",
    )  # fmt: skip
    return finding, figures


def fixed_policies(config: Config) -> tuple[Finding, Table]:
    """Policies that do not look at the mean field, whose true value is therefore the same for every grid."""
    rows, near, far = [], [], []
    for name, action in (("Advertisement", 0), ("SIS", -1), ("SIS", 0)):
        true = None
        for projection in ("barycentric", "nearest"):
            problem = problem_of(name, 20, projection)
            policy = first_action(problem, action)
            if true is None:
                paths = roll_out(problem, policy, jax.random.key(config.seed), paths=config.paths)
                true = statistics.mean(np.asarray(paths.value.major))
            value = float(measure(problem, policy).value.major)
            error = abs(value / true.estimate - 1)
            (near if projection == "barycentric" else far).append(error)
            which = "first action" if action == 0 else "last action"
            rows.append(
                (f"{name}, {which}", projection, value, true.estimate, true.high - true.estimate, error)
            )
    holds = max(near) <= 0.01 and min(far[:2]) > 0.1
    note = f"major player; nearest errs by {far[0]:.0%} (Advertisement), {far[1]:.0%} and {far[2]:.1%} (SIS)"
    columns = ("policy", "projection", "value, M = 20", "true value", "±", "relative error")
    table = Table(
        "Nearest and barycentric: policies that do not look at the mean field", columns, tuple(rows)
    )
    return CLAIMS[4].measured(max(near), holds=holds, note=note), table


def _solved_values(name: str, cells: int, projection: str, config: Config) -> tuple[float, float]:
    problem = problem_of(name, cells, projection)  # pyright: ignore[reportArgumentType]
    iterations = config.buffet_sweep_iterations if name == "Buffet" else config.sweep_iterations
    solution = solve(
        problem, FictitiousPlay("plain"), iterations, start=first_action(problem),
        keep=[iterations], paths=min(config.paths, 4000), seed=config.seed,
    )  # fmt: skip
    return float(solution.value.major[-1]), float(solution.true_value.major[-1])
