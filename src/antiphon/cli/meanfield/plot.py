"""``antiphon meanfield plot``: a solved game in pictures."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from antiphon.cli.meanfield.problems import read_solved
from antiphon.cli.output import emit
from antiphon.cli.parsing import parse

if TYPE_CHECKING:
    from antiphon.equilibrium import PartitionProblem
    from antiphon.worlds.meanfield.solution_file import Solved


@dataclass(frozen=True)
class PlotArguments:
    """Draw a solved game: exploitability, policies, paths."""

    solution: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="FILE.npz")]
    """What 'antiphon meanfield solve --out' wrote."""

    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])] = Path("out")
    """Folder for the PNG files, made if need be."""

    seed: int = 0
    """Of the paths that are drawn."""

    json: bool = False
    """Make the last line of output one JSON object."""


def main(argv: Sequence[str]) -> int:
    """Writes the pictures and prints their names."""
    arguments = parse(PlotArguments, argv, "antiphon meanfield plot")
    solved, problem = read_solved(arguments.solution)
    from antiphon.equilibrium import PartitionProblem
    from antiphon.worlds.meanfield import pictures

    title = f"{Path(solved.about['game']).name}, {solved.about['solver']}"
    history = solved.about["history"]
    iterations = [entry["iteration"] for entry in history]
    gaps = [entry["exploitability"] for entry in history]
    if isinstance(problem, PartitionProblem):
        curves = {kind: (iterations, [gap[kind] for gap in gaps]) for kind in ("minor", "major")}
    else:
        curves = {"": (iterations, gaps)}
    files = [arguments.out / "exploitability.png"]
    pictures.draw_history(files[0], curves, title)
    if isinstance(problem, PartitionProblem):
        files += _draw_players(arguments, solved, problem, title)
    else:
        import jax.numpy as jnp

        from antiphon.equilibrium import flow

        files.append(arguments.out / "flow.png")
        pictures.draw_flow(files[-1], jnp.sum(flow(problem.game, solved.policy), -1), title)
    if arguments.json:
        emit({"files": files})
    else:
        print("\n".join(map(str, files)))
    return 0


def _draw_players(
    arguments: PlotArguments, solved: "Solved", problem: "PartitionProblem", title: str
) -> list[Path]:
    import jax

    from antiphon.equilibrium import rollout
    from antiphon.worlds.meanfield import pictures

    files = []
    if problem.game.n_states == 2:
        files.append(arguments.out / "policies.png")
        pictures.draw_policies(files[-1], problem, solved.policy, title)
    files.append(arguments.out / "paths.png")
    roll = jax.jit(rollout, static_argnames="paths")
    key = jax.random.key(arguments.seed)
    pictures.draw_paths(files[-1], roll(problem, solved.policy, key, paths=8), title)
    return files
