"""``antiphon meanfield simulate``: a solved game with N players, and with one of them deviating."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from antiphon.cli.meanfield.problems import read_solved
from antiphon.cli.output import emit, show_table
from antiphon.cli.parsing import parse
from antiphon.core.errors import UserError

if TYPE_CHECKING:
    from jax import Array

    from antiphon.equilibrium import FlowProblem, PartitionProblem, Players


@dataclass(frozen=True)
class SimulateArguments:
    """Play a solved game with N players, and with one of them deviating."""

    solution: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="FILE.npz")]
    """What 'antiphon meanfield solve --out' wrote."""

    players: int = 1000
    """N, minor players."""

    paths: int = 500
    """How many games are played."""

    seed: int = 0
    """Same seed, same machine, same bits."""

    json: bool = False
    """Make the last line of output one JSON object."""


def main(argv: Sequence[str]) -> int:
    """Prints what everybody earns: on the grid, in the mean field, among N, and what deviating gains.

    The deviation is the best answer to the mean field, so that its gain is the ε of the N-player game up to
    what a player could still gain by answering the other N − 1 as they happen to be.
    """
    arguments = parse(SimulateArguments, argv, "antiphon meanfield simulate")
    if arguments.players < 1 or arguments.paths < 2:
        raise UserError(
            "usage",
            "this asks for no players or fewer than two paths",
            "use --players 1 or more and --paths 2 or more",
        )
    solved, problem = read_solved(arguments.solution)
    from antiphon.equilibrium import PartitionProblem

    value = solved.about["history"][-1]["value"]
    if isinstance(problem, PartitionProblem):
        found, exact = _with_major_player(problem, solved.policy, arguments), {"grid": value}
    else:
        found, exact = _plain(problem, solved.policy, arguments), {"limit": value}
    if arguments.json:
        sizes = {"players": arguments.players, "paths": arguments.paths}
        emit(sizes | exact | {name.replace(" ", "_"): kinds for name, kinds in found.items()})
        return 0
    names = {
        "limit": "continuous mean field", "finite": f"{arguments.players} players",
        "epsilon": "gained by deviating",
    }  # fmt: skip
    first = "value on the grid" if "grid" in exact else "value in the mean field"
    rows = [[first, *(f"{one:.4g}" for one in (value.values() if isinstance(value, dict) else [value]))]]
    for name, kinds in found.items():
        # A game without a major player has one interval, not one for each kind.
        intervals = [kinds] if "estimate" in kinds else list(kinds.values())
        cells = [f"{k['estimate']:.4g} [{k['low']:.4g}, {k['high']:.4g}]" for k in intervals]
        rows.append([names.get(name, name), *cells])
    show_table(("game", *(value if isinstance(value, dict) else ["value"])), rows)
    return 0


def _plain(
    problem: "FlowProblem", policy: "Array", arguments: SimulateArguments
) -> dict[str, dict[str, Any]]:
    import jax

    from antiphon.core.statistics import mean
    from antiphon.equilibrium.problem import greedy
    from antiphon.worlds.meanfield.finite_crowd import simulate_crowd

    key = jax.random.key(arguments.seed)
    play = jax.jit(simulate_crowd, static_argnames="paths")
    answer = greedy(jax.jit(lambda p, pi: p.best_response_values(pi))(problem, policy))
    sizes = {"players": arguments.players, "paths": arguments.paths}
    finite = play(problem.game, policy, key, **sizes, deviation=policy)
    deviating = play(problem.game, policy, key, **sizes, deviation=answer)
    # Both play on the same random numbers, so that chance is mostly the same in what is compared.
    return {
        "finite": mean(finite.value).as_dict(),
        "one deviates": mean(deviating.tagged).as_dict(),
        "epsilon": mean(deviating.tagged - finite.tagged).as_dict(),
    }


def _with_major_player(
    problem: "PartitionProblem", policy: "Players", arguments: SimulateArguments
) -> dict[str, dict[str, Any]]:
    import jax

    from antiphon.core.statistics import mean
    from antiphon.equilibrium import Players, rollout, simulate
    from antiphon.equilibrium.problem import greedy

    key = jax.random.key(arguments.seed)
    play = jax.jit(simulate, static_argnames="paths")
    answer = greedy(jax.jit(lambda p, pi: p.best_response_values(pi))(problem, policy))
    sizes = {"players": arguments.players, "paths": arguments.paths}
    roll = jax.jit(rollout, static_argnames="paths")
    instead = {
        "minor deviates": Players(answer.minor, policy.major),
        "major deviates": Players(policy.minor, answer.major),
    }
    runs = {
        "limit": roll(problem, policy, key, paths=arguments.paths),
        "finite": play(problem, policy, key, **sizes),
    } | {name: play(problem, policy, key, **sizes, deviation=other) for name, other in instead.items()}
    found = {
        name: {kind: mean(getattr(run.value, kind)).as_dict() for kind in ("minor", "major")}
        for name, run in runs.items()
    }
    # On the same random numbers one tagged player keeps to the policy, or does not.
    stays = play(problem, policy, key, **sizes, deviation=policy).value
    gains = {
        kind: mean(getattr(runs[f"{kind} deviates"].value, kind) - getattr(stays, kind)).as_dict()
        for kind in ("minor", "major")
    }
    return found | {"epsilon": gains}
