"""The three problems, on the paper's partition or on ours, and their solutions."""

from collections.abc import Mapping
from typing import Literal

import jax

from antiphon.equilibrium import (
    PartitionProblem,
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
from antiphon.studies.m3fg.config import Config
from antiphon.train.progress import say
from antiphon.worlds.meanfield.advertisement import Advertisement
from antiphon.worlds.meanfield.buffet import Buffet
from antiphon.worlds.meanfield.pictures import Words
from antiphon.worlds.meanfield.sis import SIS

PROBLEMS = {"SIS": SIS, "Buffet": Buffet, "Advertisement": Advertisement}

WORDS = {
    "SIS": Words(
        "share infected", "stays home", "government imposes distance", ("healthy", "infected"),
        ("low season", "high season"),
    ),
    "Buffet": Words(
        "share at the second", "goes to the second", "caterer refills the second",
        ("at the first", "at the second"), tuple(f"levels {a} and {b}" for b in range(5) for a in range(5)),
    ),
    "Advertisement": Words(
        "share with the second", "open to change", "regulator helps the second",
        ("with the first", "with the second"), ("the first is loud", "the second is loud"),
    ),
}  # fmt: skip

roll_out = jax.jit(rollout, static_argnames="paths")
play_with = jax.jit(simulate, static_argnames="paths")
measure = jax.jit(lambda problem, policy: problem.measure(policy))


def cells_of(name: str, config: Config) -> int:
    """M of a problem."""
    return config.buffet_cells if name == "Buffet" else config.cells


def problem_of(name: str, cells: int, projection: Projection = "nearest") -> PartitionProblem:
    """A problem of the paper, by default on its own partition."""
    return partition(major_minor_game(PROBLEMS[name]()), cells, projection)


def solutions(config: Config, method: Literal["FP", "FPI"]) -> Mapping[str, Solution]:
    """All three problems solved from the first action everywhere, as in the paper."""
    return {name: _solved(name, config, method) for name in PROBLEMS}


def _solved(name: str, config: Config, method: str) -> Solution:
    iterations = config.buffet_iterations if name == "Buffet" else config.iterations
    if method == "FPI":
        iterations = min(config.fixed_point_iterations, iterations)
    solver = FictitiousPlay("plain") if method == "FP" else FixedPoint()
    problem = problem_of(name, cells_of(name, config))
    say(f"{name}, M = {cells_of(name, config)}: {iterations} iterations of {method}")
    paths = min(config.paths, 256)
    return solve(problem, solver, iterations, start=first_action(problem), paths=paths, seed=config.seed)
