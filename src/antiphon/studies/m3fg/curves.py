"""How exploitability falls: the authors' own numbers, fictitious play, fixed point iteration."""

from collections.abc import Mapping

import numpy as np

from antiphon.equilibrium import Solution, first_action, solve
from antiphon.methods.fictitious_play import FictitiousPlay
from antiphon.studies.m3fg.claims import AUTHORS, CLAIMS
from antiphon.studies.m3fg.config import Config
from antiphon.studies.m3fg.problems import PROBLEMS, problem_of
from antiphon.train.findings import Finding
from antiphon.train.media import Figure, Series, Table


def authors() -> Finding:
    """Six numbers of the authors' program, again."""
    problem = problem_of("SIS", 120)
    found = solve(problem, FictitiousPlay("plain"), 2, start=first_action(problem), keep=[0, 1, 2], paths=0)
    printed = np.array([found.exploitability.major, found.exploitability.minor])
    apart = float(np.max(np.abs(printed - np.array(AUTHORS))))
    return CLAIMS[0].measured(apart, holds=apart <= 1e-5, note="largest of six differences, float64")


def falls_and_beats(
    config: Config, played: Mapping[str, Solution], iterated: Mapping[str, Solution]
) -> list[Finding]:
    """Does fictitious play fall tenfold, and does it end below fixed point iteration?"""
    whole = config.iterations >= 300
    fall = max(float(gap[-1] / gap[0]) for solution in played.values() for gap in solution.exploitability)
    ratio = max(_total(played[name]) / max(_total(iterated[name]), 1e-12) for name in PROBLEMS)
    size = f"M = {config.cells} (Buffet {config.buffet_cells}), {config.iterations} iterations"
    return [
        CLAIMS[1].measured(fall, holds=fall <= 0.1 if whole else None, note=f"worst of six; {size}"),
        CLAIMS[2].measured(ratio, holds=ratio < 1 if whole else None, note=f"sum of both players; {size}"),
    ]


def history_figure(name: str, played: Solution, iterated: Solution) -> Figure:
    """Both methods and both players on logarithmic axes."""
    series = [
        Series(f"{method}, {kind}", _logs(s.iterations, 0.5), _logs(gap, 1e-3))
        for method, s in (("FP", played), ("FPI", iterated))
        for kind, gap in s.exploitability._asdict().items()
    ]
    note = "FP: fictitious play. FPI: fixed point iteration. Iteration 0 stands at ½, gaps below 0.001 there."
    return Figure(
        f"{name}: exploitability", "log10 iteration", "log10 exploitability", tuple(series), note=note
    )


def last_table(played: Mapping[str, Solution]) -> Table:
    """Where fictitious play ends, and what the policy is worth off the grid."""
    rows = [
        (name, kind, float(getattr(s.exploitability, kind)[-1]), float(getattr(s.value, kind)[-1]),
         float(getattr(s.true_value, kind)[-1]), s.seconds_per_iteration)
        for name, s in played.items() for kind in ("minor", "major")
    ]  # fmt: skip
    columns = ("problem", "player", "exploitability", "value on the grid", "true value", "s / iteration")
    return Table("Fictitious play at its last iteration", columns, tuple(rows))


def _total(solution: Solution) -> float:
    return float(sum(gap[-1] for gap in solution.exploitability))


def _logs(values: np.ndarray, floor: float) -> tuple[float, ...]:
    return tuple(float(x) for x in np.log10(np.maximum(values, floor)))
