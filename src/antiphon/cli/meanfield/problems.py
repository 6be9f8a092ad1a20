"""From a game's name and settings to the problem that solvers see."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from antiphon.cli.compilation import keep_compilations
from antiphon.cli.nearest import nearest
from antiphon.core.errors import UserError

if TYPE_CHECKING:
    from antiphon.equilibrium import DiscountedProblem, FlowProblem, PartitionProblem, StationaryProblem
    from antiphon.worlds.meanfield.solution_file import Solved


def begin(*, float64: bool) -> None:
    """Compilation cache and precision, before anything is computed."""
    keep_compilations()
    import jax

    jax.config.update("jax_enable_x64", float64)


def find_game(name: str, settings: Sequence[str] = ()) -> Any:
    """The game of the zoo, or of ``file.py:Class``, with some of its fields changed; checked.

    Raises:
        UserError: there is no such game, its class has fields without defaults, or its rules are no game.
    """
    from antiphon.cli.settings import with_settings
    from antiphon.worlds.meanfield.zoo import GAMES, build, find_rules

    names = [entry.name for entry in GAMES]
    if name not in names and ".py" not in name:
        raise UserError("game", f"there is no game {name!r}", f"{nearest(name, names)}, or file.py:Class")
    make = find_rules(name)
    try:
        rules = make()
    except TypeError as error:
        raise UserError("game", f"{name} cannot be built: {error}", "give every field a default") from error
    return build(with_settings(rules, settings) if settings else rules)


def find_problem(
    name: str, settings: Sequence[str], grid: int, projection: str
) -> "FlowProblem | PartitionProblem":
    """The game made ready to be solved: on a partition of the simplex if it has a major player.

    Raises:
        UserError: as :func:`find_game`, or the projection or the grid cannot be.
    """
    if projection not in ("nearest", "barycentric"):
        raise UserError("projection", f"there is no projection {projection!r}", "use nearest or barycentric")
    from antiphon.equilibrium import FlowProblem, partition

    game = find_game(name, settings)
    return partition(game, grid, projection) if hasattr(game, "major_reward") else FlowProblem(game)


def without_end(
    problem: "FlowProblem | PartitionProblem", discount: float
) -> "StationaryProblem | DiscountedProblem":
    """The same game for ever: rewards are discounted, and policies do not see the time.

    Raises:
        UserError: the discount is not in (0, 1), or the game's rules read the time.
    """
    from antiphon.equilibrium import PartitionProblem, discounted, stationary

    if isinstance(problem, PartitionProblem):
        return discounted(problem, discount)
    return stationary(problem.game, discount)


def read_solved(path: Path) -> "tuple[Solved, FlowProblem | PartitionProblem]":
    """A solution and its problem, in the precision that it was solved in.

    Raises:
        UserError: there is no such file, it is no solution, or its game is not where it was.
    """
    from antiphon.worlds.meanfield.solution_file import read_solution

    begin(float64=bool(read_solution(path).about.get("float64")))
    # Read again: arrays keep the precision that was set when they were made.
    solved = read_solution(path)
    about = solved.about
    if about.get("discount") is not None:
        raise UserError(
            "file", f"{path} is of a game without an end", "solve without --discount to play or draw the game"
        )
    return solved, find_problem(about["game"], about["set"], about["grid"], about["projection"])
