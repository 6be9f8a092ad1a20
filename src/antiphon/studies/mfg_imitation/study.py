"""The study of imitation in mean field games: its sizes, and the run."""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from antiphon.core import statistics
from antiphon.equilibrium import FlowProblem, flow, mean_field_game, solve
from antiphon.equilibrium.imitation_gap import Proxies, gap_bounds, lipschitz_constants
from antiphon.equilibrium.pointwise import PointwiseGame
from antiphon.methods.newton_cooling import NewtonCooling
from antiphon.studies.mfg_imitation import claims
from antiphon.studies.mfg_imitation.instances import NAMES, Scale, logs, measure_instances
from antiphon.studies.mfg_imitation.learning import Learned, gap_figure, intervals, learn, ratio
from antiphon.studies.mfg_imitation.random_games import check_bounds
from antiphon.train.findings import Finding
from antiphon.train.media import Figure, Media, Table, write_media
from antiphon.train.progress import say
from antiphon.train.run_directory import RunDirectory
from antiphon.worlds.meanfield.amplifier import Amplifier
from antiphon.worlds.meanfield.plaza import Plaza


@dataclass(frozen=True)
class Config:
    """Sizes of the study."""

    alpha: float = 1e-9
    """Probability of a mistake in the amplifier; the attractor has ten thousand times as much."""
    alphas: tuple[float, ...] = (1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2)
    """Of the figure of gap against error."""
    horizons: tuple[int, ...] = (5, 10, 15, 20)
    """Of amplifier and attractor."""
    couplings: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0)
    """Of the amplifier."""
    games: int = 200
    """Random games."""
    learned_horizon: int = 12
    """Of the amplifier that is learnt from demonstrations."""
    learned_alpha: float = 1e-4
    """How often its expert takes the action that fills state 1."""
    amplifier_counts: tuple[int, ...] = (100, 1000, 10_000, 100_000)
    """Demonstrations there."""
    amplifier_iterations: int = 2000
    """Of adversarial imitation there."""
    width: int = 5
    """Of the plaza."""
    plaza_horizon: int = 12
    """Steps there."""
    plaza_counts: tuple[int, ...] = (30, 100, 300, 1000, 3000, 10_000)
    """Demonstrations there."""
    plaza_iterations: int = 150
    """Of adversarial imitation there."""
    congestions: tuple[float, ...] = (0.0, 2.0, 4.0, 8.0)
    """How much the crowd is in its own way; the sweep over demonstrations has 4."""
    expert_iterations: int = 400
    """Newton steps to each equilibrium at most; the search ends at an exploitability of 5e-7."""
    repeats: int = 10
    """Sets of demonstrations for each number."""
    seed: int = 0
    """Of everything random."""


PRESETS = {
    "smoke": Config(
        horizons=(5, 10), couplings=(0.0, 1.0), alphas=(1e-6, 1e-4), games=10, learned_horizon=8,
        amplifier_counts=(100, 1000), amplifier_iterations=100, width=3, plaza_horizon=6,
        plaza_counts=(30, 300), plaza_iterations=60, congestions=(0.0, 4.0), repeats=3,
    ),
    "laptop": Config(),
    "gpu": Config(repeats=100, amplifier_iterations=10_000, plaza_iterations=1000, games=2000),
}  # fmt: skip

_STORY = (
    "Imitators of an equilibrium see what the experts do and never what they earn. How bad are they? The "
    "Nash imitation gap is what one player of a crowd of imitators could gain by leaving it. If the crowd "
    "changes the dynamics, small errors may add up: copying actions, or copying one expert among experts, "
    "then promises little. Copying where the whole crowd is (mean field control) promises more. Exact in "
    "small games, learned in others; what the paper proves was rebuilt from its abstract."
)


class Crowd(NamedTuple):
    """A plaza, its equilibrium, and who learned from it."""

    game: PointwiseGame
    expert: Float[Array, "T S A"]
    expert_gap: float
    learned: Learned


def run(config: Config, run: RunDirectory) -> list[Finding]:
    """Measures all claims in float64 and leaves curves and tables."""
    with jax.enable_x64(True):
        return _run(config, run)


def _run(config: Config, run: RunDirectory) -> list[Finding]:
    scale = Scale(config.alpha, config.alphas, config.horizons, config.couplings)
    say("amplifier and attractor, exactly")
    exact, figures, table = measure_instances(scale)
    say(f"{config.games} random games")
    bounds, scattered, garnet_gap = check_bounds(config.games, config.seed)
    say("amplifier, from demonstrations")
    ranking, amplifier_gap, learned = _amplifier(config)
    crowds = []
    for congestion in config.congestions:
        say(f"plaza with congestion {congestion:g}: equilibrium and imitators")
        crowds.append(_plaza(config, congestion))
    worst = max(garnet_gap, amplifier_gap, *(crowd.expert_gap for crowd in crowds))
    experts = claims.EXPERTS.measured(
        worst,
        holds=worst < 1e-6,
        note=f"largest of {config.games} garnets, amplifier and {len(crowds)} plazas",
    )
    main = crowds[min(range(len(crowds)), key=lambda place: abs(config.congestions[place] - 4.0))]
    plaza, plaza_figures, plaza_table = _crowd_findings(config, main, crowds)
    shown = (*figures, scattered, learned, *plaza_figures)
    write_media(run.path, Media(_STORY, shown, tables=(table, plaza_table)))
    return [*exact, experts, *bounds, ranking, *plaza]


def _keys(config: Config) -> Array:
    return jax.random.split(jax.random.key(config.seed), config.repeats)


def _amplifier(config: Config) -> tuple[Finding, float, Figure]:
    """The bet has a price at which a crowd that fills state 1 a little is still at equilibrium."""
    horizon, counts = config.learned_horizon, config.amplifier_counts
    free = Amplifier(horizon=horizon)
    expert = free.mistaken(config.learned_alpha)
    most = jnp.sum(flow(mean_field_game(free), expert), axis=-1)[-1, 1]
    game = mean_field_game(Amplifier(price=float(most), horizon=horizon))
    gap = float(FlowProblem(game).measure(expert).exploitability)
    found = learn(game, expert, _keys(config), counts, config.amplifier_iterations)
    against = ratio(np.asarray(found.gap.mfc).mean(1), np.asarray(found.gap.cloning).mean(1))
    between = ratio(np.asarray(found.gap.vanilla).mean(1), np.asarray(found.gap.cloning).mean(1))
    finding = claims.RANKING.measured(
        against.estimate, holds=against.high < 1 if config.repeats >= 10 else None,
        interval=(against.low, against.high),
        note=f"mean over {', '.join(f'{n:,}' for n in counts)} trajectories and {config.repeats} seeds; "
        f"vanilla / cloning {between.estimate:.3g} [{between.low:.2g}, {between.high:.2g}]; H = {horizon}; "
        f"{_feedback(found)}",
    )  # fmt: skip
    figure = gap_figure(
        f"Amplifier, H = {horizon}, learned from demonstrations",
        "log10 trajectories",
        logs(counts),
        found.gap,
        note=f"Means over {config.repeats} seeds, 95 % intervals; what is below 1e-6 is drawn there.",
    )
    return finding, gap, figure


def _plaza(config: Config, congestion: float) -> Crowd:
    game = mean_field_game(Plaza(congestion=congestion, width=config.width, horizon=config.plaza_horizon))
    expert, gap = _equilibrium(game, config.expert_iterations)
    found = learn(game, expert, _keys(config), config.plaza_counts, config.plaza_iterations)
    return Crowd(game, expert, gap, found)


def _equilibrium(game: PointwiseGame, most: int) -> tuple[Array, float]:
    """Cooled until it is one, and no longer."""
    kept = sorted({*range(0, most, 20), most})
    found = solve(FlowProblem(game), NewtonCooling(), most, keep=kept, tolerance=5e-7, paths=0)
    return found.policy, float(found.exploitability[-1])


def _crowd_findings(
    config: Config, main: Crowd, crowds: list[Crowd]
) -> tuple[list[Finding], tuple[Figure, ...], Table]:
    counts, whole = config.plaza_counts, config.repeats >= 10
    cloning = np.array([one.estimate for one in intervals(main.learned.gap.cloning)])
    slope = statistics.linear_slope(np.log(counts), np.log(cloning))
    rate = claims.RATE.measured(
        slope.estimate, holds=-0.7 <= slope.estimate <= -0.3 if whole else None,
        interval=(slope.low, slope.high) if slope.n > 2 else None,
        note=f"plaza of {config.width}², congestion 4; log–log slope over {counts[0]} to {counts[-1]:,}",
    )  # fmt: skip
    ratios = [
        ratio(np.asarray(main.learned.gap.mfc)[:, place], np.asarray(main.learned.gap.cloning)[:, place])
        for place in range(len(counts))
    ]
    last = ratios[-1]
    wins = claims.CROWD.measured(
        last.estimate, holds=last.high < 1 if whole else None, interval=(last.low, last.high),
        note=f"{counts[-1]:,} trajectories; with fewer: "
        + ", ".join(f"{one.estimate:.2f} ({n:,})" for n, one in zip(counts[:-1], ratios, strict=False))
        + f"; {_feedback(main.learned)}",
    )  # fmt: skip
    place = len(counts) // 2
    swept = Proxies(
        *(np.stack([np.asarray(c.learned.gap[which])[:, place] for c in crowds], 1) for which in range(3))
    )
    by_players = learn(main.game, main.expert, _keys(config), counts, config.plaza_iterations, players=True)
    figures = (
        gap_figure(f"Plaza of {config.width}²: gap against demonstrations", "log10 trajectories",
                   logs(counts), main.learned.gap, "Trajectories of players in the mean field."),
        gap_figure("Plaza: demonstrations by a game of N players", "log10 N", logs(counts), by_players.gap,
                   "All N trajectories come from one game, whose crowd is its own N players."),
        gap_figure(f"Plaza, {counts[place]:,} trajectories: gap against the congestion", "congestion",
                   config.congestions, swept, "A new equilibrium for each congestion."),
    )  # fmt: skip
    return [rate, wins], figures, _plaza_table(config, main)


def _feedback(found: Learned) -> str:
    """What the crowd does to the errors of clones, in words: the median over all sets of demonstrations."""
    factor = float(np.median(np.asarray(found.feedback)))
    return f"the crowd's answer multiplies the errors of clones by {factor:.3g}"


def _plaza_table(config: Config, main: Crowd) -> Table:
    constants = lipschitz_constants(main.game)
    per_error = gap_bounds(constants, Proxies(*jnp.ones(3)), config.plaza_horizon)
    rows = []
    for which, name in enumerate(NAMES):
        for place, count in enumerate(config.plaza_counts):
            errors = np.asarray(main.learned.own_error[which])[:, place]
            gap = np.asarray(main.learned.gap[which])[:, place]
            value = np.asarray(main.learned.value_gap[which])[:, place]
            bound = float(per_error[which]) * float(errors.mean())
            rows.append((name, count, float(errors.mean()), float(gap.mean()), float(value.mean()), bound))
    columns = ("method", "trajectories", "own error ε", "gap", "value gap", "proved bound")
    about = ", ".join(
        f"{name} = {float(c):.3g}" for name, c in zip(("L_P", "L_r", "R"), constants, strict=True)
    )
    return Table("Plaza: means over seeds", columns, tuple(rows), note=about)
