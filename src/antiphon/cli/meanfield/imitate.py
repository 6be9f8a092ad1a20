"""``antiphon meanfield imitate``: learn from an expert's demonstrations, and print the Nash imitation gap."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from antiphon.cli.meanfield.problems import begin, find_game
from antiphon.cli.meanfield.solvers import MOST_FOR_NEWTON
from antiphon.cli.nearest import nearest
from antiphon.cli.output import emit, say, show_table
from antiphon.cli.parsing import parse
from antiphon.core.errors import UserError

if TYPE_CHECKING:
    from jax import Array

METHODS = ("cloning", "vanilla", "mfc")
DIVERGENCES = ("js", "l1", "l2")


@dataclass(frozen=True)
class ImitateArguments:
    """Imitate an equilibrium, and say what a player could gain by leaving the crowd of imitators."""

    game: Annotated[str, tyro.conf.arg(metavar="NAME|file.py:Class")]
    """A game of the zoo ('antiphon meanfield games') without a major player, or your own."""

    method: Annotated[str, tyro.conf.arg(metavar="cloning|vanilla|mfc")] = "mfc"
    """Behavioural cloning; adversarial in a frozen population; adversarial by mean field control."""

    demonstrations: int = 1000
    """Trajectories of the expert; 0 shows the expert's whole occupancy without noise."""

    players: bool = False
    """Take all trajectories from one game of as many players, not from the mean field."""

    expert: Annotated[Path | None, tyro.conf.arg(metavar="FILE.npz")] = None
    """What 'antiphon meanfield solve --out' wrote; else the game's own expert, or one found here."""

    iterations: int = 1000
    """Of the adversarial methods."""

    divergence: Annotated[str, tyro.conf.arg(metavar="js|l1|l2")] = "js"
    """What their critic measures."""

    seed: int = 0
    """Of the demonstrations."""

    set: Annotated[tuple[str, ...], tyro.conf.arg(metavar="FIELD=VALUE …")] = field(default_factory=tuple)
    """Change coefficients of the game."""

    json: bool = False
    """Make the last line of output one JSON object."""


def main(argv: Sequence[str]) -> int:
    """Imitates in float64, and prints gap, value gap, the method's own error and its bound."""
    arguments = parse(ImitateArguments, argv, "antiphon meanfield imitate")
    _check(arguments)
    begin(float64=True)
    game = find_game(arguments.game, arguments.set)
    if hasattr(game, "major_reward") or not hasattr(game, "horizon") or game.populations:
        raise UserError(
            "game", f"{arguments.game} is not a game of one population with a horizon", "imitate such a game"
        )
    expert = _expert(arguments, game)
    found = _measured(game, _imitator(arguments, game, expert), expert, arguments.method)
    if arguments.json:
        emit({"method": arguments.method, **found, "game": arguments.game, "set": list(arguments.set),
              "demonstrations": arguments.demonstrations, "seed": arguments.seed})  # fmt: skip
        return 0
    rows = [
        ("Nash imitation gap", found["gap"]),
        ("  its bound by the method's own error", found["bound"]),
        ("value gap", found["value_gap"]),
        (f"error of {arguments.method}", found["proxy_error"]),
        ("exploitability of the expert", found["expert_exploitability"]),
    ]
    show_table(("", arguments.method), [(name, f"{value:.6g}") for name, value in rows])
    return 0


def _check(arguments: ImitateArguments) -> None:
    for name, value, known in (
        ("method", arguments.method, METHODS),
        ("divergence", arguments.divergence, DIVERGENCES),
    ):
        if value not in known:
            raise UserError(name, f"there is no {name} {value!r}", nearest(value, known))
    if arguments.demonstrations < 0:
        raise UserError(
            "demonstrations", f"--demonstrations is {arguments.demonstrations}", "ask for 0 or more"
        )
    if arguments.iterations < 1:
        raise UserError("iterations", f"--iterations is {arguments.iterations}", "ask for at least one")


def _expert(arguments: ImitateArguments, game: Any) -> "Array":
    """From a file, from the rules, or by Newton's method."""
    from antiphon.equilibrium import FlowProblem, solve
    from antiphon.methods.newton_cooling import NewtonCooling

    problem = FlowProblem(game)
    if arguments.expert is not None:
        return _expert_from(arguments.expert, problem.uniform())
    if hasattr(getattr(game, "rules", None), "expert"):
        return game.rules.expert()
    if game.horizon * game.n_states > MOST_FOR_NEWTON:
        raise UserError(
            "expert",
            f"{arguments.game} has {game.horizon} × {game.n_states} times and states, too many to solve here",
            "solve it by 'antiphon meanfield solve --out FILE', and give --expert FILE",
        )
    say(f"{arguments.game}: solving for an expert")
    return solve(problem, NewtonCooling(), 200, keep=range(0, 201, 20), tolerance=5e-7, paths=0).policy


def _expert_from(path: Path, like: "Array") -> "Array":
    from antiphon.worlds.meanfield.solution_file import read_solution

    policy = read_solution(path).policy
    if getattr(policy, "shape", None) != like.shape:
        raise UserError(
            "expert", f"{path} is not a policy of this game", f"give one of shape {list(like.shape)}"
        )
    import jax.numpy as jnp

    policy = jnp.asarray(policy, like.dtype)
    return policy / jnp.sum(policy, axis=-1, keepdims=True)


def _imitator(arguments: ImitateArguments, game: Any, expert: "Array") -> "Array":
    import jax

    from antiphon.equilibrium import FlowProblem, flow, solve
    from antiphon.equilibrium.demonstrations import demonstrate, demonstrate_players
    from antiphon.methods.imitation_adversarial import AdversarialImitation
    from antiphon.methods.imitation_cloning import clone

    if arguments.demonstrations:
        key, count = jax.random.key(arguments.seed), arguments.demonstrations
        show = demonstrate_players if arguments.players else demonstrate
        seen = jax.jit(show, static_argnums=3)(game, expert, key, count)
        target = seen.occupancy(game.n_states, game.n_actions)
    else:
        target = flow(game, expert)
    if arguments.method == "cloning":
        return clone(target)
    method = AdversarialImitation(target, arguments.method, arguments.divergence)
    say(f"{arguments.game}: {arguments.iterations} steps of adversarial imitation")
    return solve(FlowProblem(game), method, arguments.iterations, paths=0).policy


def _measured(game: Any, policy: "Array", expert: "Array", method: str) -> dict[str, Any]:
    import jax

    from antiphon.equilibrium import exploitability
    from antiphon.equilibrium.imitation_gap import (
        gap_bounds,
        imitation_gap,
        lipschitz_constants,
        proxy_errors,
    )

    @jax.jit
    def measure(game: Any, policy: "Array", expert: "Array") -> tuple:
        errors, constants = proxy_errors(game, policy, expert), lipschitz_constants(game)
        expert_gap = exploitability(game, expert)
        bounds = gap_bounds(constants, errors, game.horizon, expert_gap)
        return imitation_gap(game, policy, expert), errors, constants, expert_gap, bounds

    gap, errors, constants, expert_gap, bounds = measure(game, policy, expert)
    which = METHODS.index(method)
    return {
        "gap": float(gap.gap),
        "value_gap": float(gap.value_gap),
        "proxy_error": float(errors[which]),
        "bound": float(bounds[which]),
        "expert_exploitability": float(expert_gap),
        "constants": {name: float(value) for name, value in constants._asdict().items()},
        "proxy_errors": {name: float(value) for name, value in errors._asdict().items()},
    }
