"""``antiphon meanfield solve``: an equilibrium, and how far from one every policy on the way is."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from antiphon.cli.meanfield.problems import begin, find_problem, without_end
from antiphon.cli.meanfield.solvers import check_solver, find_solver
from antiphon.cli.output import emit, say, show_table
from antiphon.cli.parsing import parse
from antiphon.core.errors import UserError

if TYPE_CHECKING:
    from antiphon.equilibrium import Problem, Solution


@dataclass(frozen=True)
class SolveArguments:
    """Find an equilibrium, and print how far from one the policy is."""

    game: Annotated[str, tyro.conf.arg(metavar="NAME|file.py:Class")]
    """A game of the zoo ('antiphon meanfield games'), or your own."""

    solver: Annotated[str, tyro.conf.arg(metavar="NAME")] = "fictitious-play"
    """fictitious-play, line-search, mirror-descent, munchausen, optimistic, extragradient, fixed-point,
    boltzmann, prior-descent, mf-omo, newton, mean-field-control or stackelberg."""

    iterations: int = 100
    """How many."""

    grid: int = 50
    """M, cells along a coordinate of the simplex; for games with a major player."""

    projection: Annotated[str, tyro.conf.arg(metavar="nearest|barycentric")] = "barycentric"
    """How mean fields between the grid's points are read; the paper has nearest."""

    start: Annotated[str, tyro.conf.arg(metavar="uniform|first|last")] = "uniform"
    """The policy to begin with: all actions alike, always the first, always the last."""

    step_size: float | None = None
    """Of mirror descent (per unit of reward) and of gradients, or the constant share that answers have in
    fictitious play and, where it is below 1, in a damped fixed point iteration."""

    temperature: float | None = None
    """Of soft best responses, in units of reward; for munchausen the price of entropy."""

    tau: float | None = None
    """Judge policies as players who also earn this much for each unit of entropy; 0 at their equilibrium."""

    discount: float | None = None
    """Play the game for ever, with rewards worth this to the power of the time; 0.99 in the paper."""

    tolerance: float = 0.0
    """Stop when every exploitability is at most this."""

    paths: int = 256
    """Roll-outs of the continuous mean field for each true value."""

    seed: int = 0
    """Of these roll-outs."""

    float64: bool = False
    """Compute in double precision."""

    set: Annotated[tuple[str, ...], tyro.conf.arg(metavar="FIELD=VALUE …")] = field(default_factory=tuple)
    """Change coefficients of the game."""

    out: Annotated[Path | None, tyro.conf.arg(aliases=["-o"], metavar="FILE.npz")] = None
    """Keep the policy for 'simulate' and 'plot'."""

    json: bool = False
    """Make the last line of output one JSON object."""


def main(argv: Sequence[str]) -> int:
    """Solves, prints a line for each iteration that is kept, and writes the policy if asked."""
    arguments = parse(SolveArguments, argv, "antiphon meanfield solve")
    _check(arguments)
    begin(float64=arguments.float64)
    problem = find_problem(arguments.game, arguments.set, arguments.grid, arguments.projection)
    if arguments.discount is not None:
        problem = without_end(problem, arguments.discount)
    solver = find_solver(arguments.solver, problem, arguments.step_size, arguments.temperature)
    from antiphon.equilibrium import solve

    say(f"{arguments.game}: compiling")
    solution = solve(
        problem, solver, arguments.iterations, start=_start(arguments.start, problem),
        tolerance=arguments.tolerance, paths=arguments.paths, seed=arguments.seed, tau=arguments.tau,
    )  # fmt: skip
    history = history_of(solution)
    _check_numbers(arguments.game, history)
    found = {
        "game": arguments.game, "set": list(arguments.set), "grid": arguments.grid,
        "projection": arguments.projection, "float64": arguments.float64, "solver": arguments.solver,
        "discount": arguments.discount,
        "history": history, "seconds_per_iteration": solution.seconds_per_iteration,
        "compile_seconds": solution.compile_seconds,
    }  # fmt: skip
    if arguments.out is not None:
        from antiphon.worlds.meanfield.solution_file import Solved, write_solution

        write_solution(arguments.out, Solved(found, solution.policy))
    if arguments.json:
        emit(found | {"policy": arguments.out})
        return 0
    _show(found["history"])
    say(f"{solution.seconds_per_iteration:.3g} s per iteration, compiled in {solution.compile_seconds:.2f} s")
    return 0


def history_of(solution: "Solution") -> list[dict[str, Any]]:
    """One object for each kept iteration; games with a major player have two numbers in each field."""

    def at(tree: Any, place: int) -> Any:
        if hasattr(tree, "_asdict"):
            return {name: float(leaf[place]) for name, leaf in tree._asdict().items()}
        return float(tree[place])

    return [
        {"iteration": int(iteration)}
        | {name: at(getattr(solution, name), i) for name in ("exploitability", "value", "true_value")}
        for i, iteration in enumerate(solution.iterations)
    ]


def _check(arguments: SolveArguments) -> None:
    check_solver(arguments.solver)
    if arguments.start not in ("uniform", "first", "last"):
        raise UserError("start", f"there is no start {arguments.start!r}", "use uniform, first or last")
    if arguments.iterations < 1:
        raise UserError("iterations", f"--iterations is {arguments.iterations}", "ask for at least one")
    if arguments.tau is not None and arguments.tau <= 0:
        raise UserError("tau", f"--tau is {arguments.tau}", "give a number > 0, or leave it out")
    if arguments.paths < 1:
        raise UserError("paths", f"--paths is {arguments.paths}", "ask for at least one")


def _check_numbers(game: str, history: list[dict[str, Any]]) -> None:
    """Refuses a history that ends in what is no number."""
    last = history[-1]["exploitability"]
    gaps = last.values() if isinstance(last, dict) else [last]
    if not all(map(math.isfinite, gaps)):
        raise UserError(
            "number",
            f"the exploitability of {game} is no finite number at iteration {history[-1]['iteration']}: "
            "a reward is infinite where nobody is (a logarithm of the crowd?), or steps are too long",
            "add a small number such as 1e-6 inside the logarithm, or give a smaller --step-size",
        )


def _start(name: str, problem: "Problem") -> Any:
    from antiphon.equilibrium import first_action

    if name == "uniform":
        return problem.uniform()
    return first_action(problem, 0 if name == "first" else -1)


def _show(history: list[dict[str, Any]]) -> None:
    names = ("exploitability", "value", "true_value")
    kinds = ("minor", "major") if isinstance(history[0]["value"], dict) else ("",)
    columns = ["iteration", *(f"{name.replace('_', ' ')} {kind}".strip() for name in names for kind in kinds)]
    rows = [
        [str(entry["iteration"]), *(_number(entry[name], kind) for name in names for kind in kinds)]
        for entry in history
    ]  # fmt: skip
    show_table(columns, rows)


def _number(value: Any, kind: str) -> str:
    return f"{value[kind] if kind else value:.6g}"
