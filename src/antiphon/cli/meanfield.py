"""``antiphon meanfield``: solve a game of very many players, simulate it with N of them, draw it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import tyro

from antiphon.cli.compilation import keep_compilations
from antiphon.cli.nearest import nearest
from antiphon.cli.output import emit, say, show_table
from antiphon.cli.parsing import parse
from antiphon.core.errors import UserError

SOLVERS = (
    "fictitious-play", "mirror-descent", "munchausen", "extragradient", "fixed-point", "boltzmann",
    "stackelberg",
)  # fmt: skip


@dataclass(frozen=True)
class SolveArguments:
    """Find an equilibrium, and print how far from one the policy is."""

    game: Annotated[str, tyro.conf.arg(metavar="NAME|file.py:Class")]
    """A game of the zoo ('antiphon meanfield games'), or your own."""

    solver: Annotated[str, tyro.conf.arg(metavar="NAME")] = "fictitious-play"
    """fictitious-play, mirror-descent, munchausen, extragradient, fixed-point, boltzmann or stackelberg."""

    iterations: int = 100
    """How many."""

    grid: int = 50
    """M, cells along a coordinate of the simplex; for games with a major player."""

    projection: Annotated[str, tyro.conf.arg(metavar="nearest|barycentric")] = "barycentric"
    """How mean fields between the grid's points are read; the paper has nearest."""

    start: Annotated[str, tyro.conf.arg(metavar="uniform|first|last")] = "uniform"
    """The policy to begin with: all actions alike, always the first, always the last."""

    step_size: float | None = None
    """Of mirror descent (per unit of reward), or the constant share of fictitious play."""

    temperature: float | None = None
    """Of soft best responses, in units of reward; for munchausen the price of entropy."""

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


@dataclass(frozen=True)
class GamesArguments:
    """The games of the zoo."""

    json: bool = False
    """Make the last line of output one JSON object."""


def main(argv: Sequence[str]) -> int:
    """Runs one verb."""
    verbs: dict[str, tuple[Callable[[Sequence[str]], int], str]] = {
        "solve": (_solve, "find an equilibrium"),
        "simulate": (_simulate, "play a solved game with N players"),
        "plot": (_plot, "draw a solved game"),
        "games": (_games, "the games there are"),
    }
    if not argv or argv[0] in ("-h", "--help"):
        print("usage: antiphon meanfield VERB …\n")
        for name, (_, about) in verbs.items():
            print(f"  {name:<10}{about}")
        return 0
    if argv[0] not in verbs:
        raise UserError(
            "usage", f"antiphon meanfield has no verb {argv[0]!r}", nearest(argv[0], tuple(verbs))
        )
    return verbs[argv[0]][0](argv[1:])


def _solve(argv: Sequence[str]) -> int:
    arguments = parse(SolveArguments, argv, "antiphon meanfield solve")
    _checked(arguments)
    _begin(arguments.float64)
    from antiphon.equilibrium import first_action, solve

    settings = {
        "game": arguments.game, "set": list(arguments.set), "grid": arguments.grid,
        "projection": arguments.projection, "float64": arguments.float64, "solver": arguments.solver,
    }  # fmt: skip
    problem = _problem(settings)
    starts = {
        "uniform": problem.uniform,
        "first": lambda: first_action(problem),
        "last": lambda: first_action(problem, -1),
    }
    say(f"{arguments.game}: compiling")
    solution = solve(
        problem, _solver(arguments, problem), arguments.iterations, start=starts[arguments.start](),
        tolerance=arguments.tolerance, paths=arguments.paths, seed=arguments.seed,
    )  # fmt: skip
    history = _history(solution)
    found = settings | {
        "history": history, "seconds_per_iteration": solution.seconds_per_iteration,
        "compile_seconds": solution.compile_seconds,
    }  # fmt: skip
    if arguments.out is not None:
        from antiphon.worlds.meanfield.solution_file import Solved, write_solution

        write_solution(arguments.out, Solved(found, solution.policy))
    if arguments.json:
        emit(found | {"policy": arguments.out})
        return 0
    names = ("exploitability", "value", "true_value")
    kinds = ("minor", "major") if isinstance(history[0]["value"], dict) else ("",)
    columns = ["iteration", *(f"{name.replace('_', ' ')} {kind}".strip() for name in names for kind in kinds)]
    rows = [
        [str(entry["iteration"]), *(_number(entry[name], kind) for name in names for kind in kinds)]
        for entry in history
    ]  # fmt: skip
    show_table(columns, rows)
    say(f"{solution.seconds_per_iteration:.3g} s per iteration, compiled in {solution.compile_seconds:.2f} s")
    return 0


def _simulate(argv: Sequence[str]) -> int:
    arguments = parse(SimulateArguments, argv, "antiphon meanfield simulate")
    if arguments.players < 1 or arguments.paths < 2:
        raise UserError(
            "usage",
            "this asks for no players or fewer than two paths",
            "use --players 1 or more and --paths 2 or more",
        )
    solved, problem = _read(arguments.solution)
    import jax

    from antiphon.core.statistics import mean
    from antiphon.equilibrium import PartitionProblem, Players, rollout, simulate
    from antiphon.equilibrium.problem import greedy

    if not isinstance(problem, PartitionProblem):
        raise UserError("game", "this game has no major player", "simulate games with a major player")
    key = jax.random.key(arguments.seed)
    play = jax.jit(simulate, static_argnames="paths")
    answer = greedy(jax.jit(lambda p, pi: p.best_response_values(pi))(problem, solved.policy))
    sizes = {"players": arguments.players, "paths": arguments.paths}
    roll = jax.jit(rollout, static_argnames="paths")
    instead = {
        "minor": Players(answer.minor, solved.policy.major),
        "major": Players(solved.policy.minor, answer.major),
    }
    runs = {
        "limit": roll(problem, solved.policy, key, paths=arguments.paths),
        "players": play(problem, solved.policy, key, **sizes),
        "minor deviates": play(problem, solved.policy, key, **sizes, deviation=instead["minor"]),
        "major deviates": play(problem, solved.policy, key, **sizes, deviation=instead["major"]),
    }  # fmt: skip
    found = {
        name: {kind: mean(getattr(run.value, kind)).as_dict() for kind in ("minor", "major")}
        for name, run in runs.items()
    }
    grid = solved.about["history"][-1]["value"]
    if arguments.json:
        emit(
            {
                "players": arguments.players,
                "paths": arguments.paths,
                "grid": grid,
                **{k.replace(" ", "_"): v for k, v in found.items() if k != "players"},
                "finite": found["players"],
            }
        )
        return 0
    rows = [["value on the grid", f"{grid['minor']:.4g}", f"{grid['major']:.4g}"]]
    names = {"limit": "continuous mean field", "players": f"{arguments.players} players"}
    for name, kinds in found.items():
        cells = [f"{k['estimate']:.4g} [{k['low']:.4g}, {k['high']:.4g}]" for k in kinds.values()]
        rows.append([names.get(name, name), *cells])
    show_table(("game", "minor", "major"), rows)
    return 0


def _plot(argv: Sequence[str]) -> int:
    arguments = parse(PlotArguments, argv, "antiphon meanfield plot")
    solved, problem = _read(arguments.solution)
    import jax
    import jax.numpy as jnp

    from antiphon.equilibrium import PartitionProblem, flow, rollout
    from antiphon.worlds.meanfield import pictures

    game, history, out = solved.about["game"], solved.about["history"], arguments.out
    iterations = [entry["iteration"] for entry in history]
    title = f"{Path(game).name}, {solved.about['solver']}"
    files = [out / "exploitability.png"]
    if isinstance(problem, PartitionProblem):
        curves = {k: (iterations, [e["exploitability"][k] for e in history]) for k in ("minor", "major")}
        pictures.draw_history(files[0], curves, title)
        if problem.game.n_states == 2:
            files.append(out / "policies.png")
            pictures.draw_policies(files[-1], problem, solved.policy, title)
        files.append(out / "paths.png")
        paths = jax.jit(rollout, static_argnames="paths")(
            problem, solved.policy, jax.random.key(arguments.seed), paths=8
        )
        pictures.draw_paths(files[-1], paths, title)
    else:
        pictures.draw_history(files[0], {"": (iterations, [e["exploitability"] for e in history])}, title)
        files.append(out / "flow.png")
        pictures.draw_flow(files[-1], jnp.sum(flow(problem.game, solved.policy), -1), title)
    if arguments.json:
        emit({"files": files})
    else:
        print("\n".join(map(str, files)))
    return 0


def _games(argv: Sequence[str]) -> int:
    arguments = parse(GamesArguments, argv, "antiphon meanfield games")
    from antiphon.worlds.meanfield.zoo import GAMES

    if arguments.json:
        emit({"games": [{"name": entry.name, "about": entry.about} for entry in GAMES]})
    else:
        show_table(("game", "about"), [(entry.name, entry.about) for entry in GAMES])
    return 0


def _checked(arguments: SolveArguments) -> None:
    if arguments.solver not in SOLVERS:
        raise UserError(
            "solver", f"there is no solver {arguments.solver!r}", nearest(arguments.solver, SOLVERS)
        )
    if arguments.projection not in ("nearest", "barycentric"):
        raise UserError(
            "projection", f"there is no projection {arguments.projection!r}", "use nearest or barycentric"
        )
    if arguments.start not in ("uniform", "first", "last"):
        raise UserError("start", f"there is no start {arguments.start!r}", "use uniform, first or last")
    if arguments.iterations < 1:
        raise UserError("iterations", f"--iterations is {arguments.iterations}", "ask for at least one")
    if arguments.paths < 1:
        raise UserError("paths", f"--paths is {arguments.paths}", "ask for at least one")


def _begin(float64: bool) -> None:
    keep_compilations()
    import jax

    jax.config.update("jax_enable_x64", float64)


def _problem(settings: dict[str, Any]) -> Any:
    from antiphon.cli.settings import with_settings
    from antiphon.equilibrium import FlowProblem, partition
    from antiphon.equilibrium.pointwise import PointwiseMajorMinorGame
    from antiphon.worlds.meanfield.zoo import build, find_rules

    kind = find_rules(settings["game"])
    try:
        rules = kind()
    except TypeError as error:
        raise UserError(
            "game", f"{kind.__name__}() cannot be built: {error}", "give every field a default"
        ) from error
    game = build(with_settings(rules, settings["set"]) if settings["set"] else rules)
    if isinstance(game, PointwiseMajorMinorGame):
        return partition(game, settings["grid"], settings["projection"])
    return FlowProblem(game)


def _solver(arguments: SolveArguments, problem: Any) -> Any:
    from antiphon.equilibrium import PartitionProblem
    from antiphon.methods.fictitious_play import FictitiousPlay
    from antiphon.methods.fixed_point import BoltzmannIteration, FixedPoint
    from antiphon.methods.major_minor_stackelberg import StackelbergFictitiousPlay
    from antiphon.methods.mirror_descent import (
        ExtragradientMirrorDescent,
        MirrorDescent,
        MunchausenMirrorDescent,
    )

    on_grid = isinstance(problem, PartitionProblem)
    if arguments.solver == "stackelberg" and not on_grid:
        raise UserError("solver", "this game has no major player to lead", "use --solver fictitious-play")
    step, warmth = arguments.step_size, arguments.temperature
    tau = 0.01 if warmth is None else warmth
    return {
        "fictitious-play": lambda: FictitiousPlay("plain" if on_grid else "visits", step, warmth),
        "mirror-descent": lambda: MirrorDescent(1.0 if step is None else step),
        "munchausen": lambda: MunchausenMirrorDescent(1.0 if step is None else step, tau),
        "extragradient": lambda: ExtragradientMirrorDescent(0.1 if step is None else step),
        "fixed-point": lambda: FixedPoint(temperature=warmth),
        "boltzmann": lambda: BoltzmannIteration(0.1 if warmth is None else warmth),
        "stackelberg": lambda: StackelbergFictitiousPlay(temperature=warmth),
    }[arguments.solver]()  # fmt: skip


def _history(solution: Any) -> list[dict[str, Any]]:
    def at(tree: Any, place: int) -> Any:
        if hasattr(tree, "_asdict"):
            return {name: float(leaf[place]) for name, leaf in tree._asdict().items()}
        return float(tree[place])

    return [
        {"iteration": int(iteration)}
        | {name: at(getattr(solution, name), i) for name in ("exploitability", "value", "true_value")}
        for i, iteration in enumerate(solution.iterations)
    ]


def _number(value: Any, kind: str) -> str:
    return f"{value[kind] if kind else value:.6g}"


def _read(path: Path) -> tuple[Any, Any]:
    """A solution and its problem, in the precision that it was solved in."""
    keep_compilations()
    from antiphon.worlds.meanfield.solution_file import read_solution

    _begin(bool(read_solution(path).about.get("float64")))
    solved = read_solution(path)
    return solved, _problem(dict(solved.about))
