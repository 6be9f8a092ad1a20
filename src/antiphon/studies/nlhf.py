"""Nash learning on tables of preferences (arXiv 2312.00886): the theorem, the examples, the separating case.

Everything here is exact: the equilibrium comes from a solver of its own (Newton's method, or a linear
program), and a method is judged by its distance from it in nats.
"""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from antiphon.core import statistics
from antiphon.core.divergences import forward_kl
from antiphon.core.errors import UserError
from antiphon.equilibrium.preference_game import PreferenceGame, duality_gap, nash, preference_game
from antiphon.feedback.bradley_terry import fit_scores, misfit
from antiphon.methods.nash_md_tabular import Opponent, TabularNash, theorem_1_bound
from antiphon.train.findings import Claim, Finding
from antiphon.train.media import Figure, Media, Series, Table, write_media
from antiphon.train.progress import say
from antiphon.train.run_directory import RunDirectory
from antiphon.worlds.diagnostics import preferences


@dataclass(frozen=True)
class Config:
    """Sizes of the study, which takes seconds at any of them."""

    answers: int = 20
    """Of the random tables."""
    tables: int = 20
    """Random tables for each strength of the pull."""
    taus: tuple[float, ...] = (0.01, 0.05, 0.2)
    """Strengths of the pull."""
    steps: int = 3000
    """Of each method."""
    seed: int = 0
    """Of the tables."""


PRESETS = {
    "smoke": Config(answers=8, tables=4, taus=(0.05, 0.2), steps=400),
    "laptop": Config(),
    "gpu": Config(answers=50, tables=100, taus=(0.005, 0.01, 0.05, 0.2), steps=10_000),
}

_PAPER = "arXiv 2312.00886"
CLAIMS = (
    Claim("theorem", "The last iterate of Nash-MD obeys the bound 8 / (τ²(T + 1)) at every step",
          f"{_PAPER}, theorem 1", "largest KL / bound ≤ 1"),
    Claim("rate", "The distance falls at least as fast as 1 / T, so the last iterate converges",
          f"{_PAPER}, theorem 1", "log-log slope over the second half ≤ −1"),
    Claim("circle", "With a constant step on rock, paper, scissors Nash-MD converges where self-play circles",
          f"{_PAPER}, section 5; step size and start are ours", "KL ≤ 1e-12 against ≥ 0.1"),
    Claim("dice", "Three dice that beat each other with 5/9 have one equilibrium, the uniform policy",
          f"{_PAPER}, appendix C.1", "largest difference from 1/3 ≤ 1e-9"),
    Claim("raters", "Where three types of raters differ, the equilibrium moves little with their shares, and "
          "the best scored answer jumps from one to another", f"{_PAPER}, section 3.2",
          "equilibrium (⅓ + ε/2, ⅓ + ε/2, ⅓ − ε); named answer 1 for ε > 0, 2 for ε < 0"),
    Claim("elo", "The policy of largest mean score loses to the policy of largest win rate, under the same "
          "constraint", f"{_PAPER}, appendix A", 50 / 99),
    Claim("sampling", "Fitted scores depend on the policy whose answers were compared; where preferences are "
          "no function of scores", f"{_PAPER}, theorem 2", "scores move > 0.1 there, < 1e-6 where they are"),
)  # fmt: skip


def run(config: Config, run: RunDirectory) -> list[Finding]:
    """Measures the claims."""
    with jax.enable_x64():
        theorem, rate, distances = _theorem(config)
        circle, circles = _circle()
        findings = [theorem, rate, circle, _dice(), *_raters(), _elo(), _sampling(config)]
        media = Media(_STORY, (distances, circles), tables=(_examples(),))
    write_media(run.path, media)
    return findings


_STORY = (
    "People may prefer a to b, b to c, and c to a. No score can say so; a table of preferences can, and then "
    "what to aim for is the policy that no other one is preferred to: the Nash equilibrium of the game in "
    "which both sides want to be preferred, each pulled towards a reference with strength τ."
)


@partial(jax.jit, static_argnums=(0, 3))
def _distances(
    method: TabularNash, game: PreferenceGame, goal: Float[Array, " Y"], steps: int, start: Float[Array, " Y"]
) -> Float[Array, " steps"]:
    """KL(π*_τ‖π_t) after every step."""
    return jax.vmap(lambda log_p: forward_kl(goal, log_p))(method.run(game, steps, start))


def _theorem(config: Config) -> tuple[Finding, Finding, Figure]:
    steps = np.arange(1, config.steps + 1)
    worst, slopes, series = 0.0, [], []
    for tau in config.taus:
        say(f"Nash-MD on {config.tables} tables of {config.answers} answers, tau {tau}")
        bound = np.asarray(theorem_1_bound(tau, jnp.asarray(steps)))
        runs = []
        for seed in range(config.seed, config.seed + config.tables):
            rng = np.random.default_rng([seed, 7])
            mu = rng.dirichlet(np.ones(config.answers)) * 0.9 + 0.1 / config.answers
            game = preference_game(preferences.random_table(seed, config.answers, 2.0), tau, mu)
            goal = jnp.log(jnp.asarray(nash(game)))
            kl = np.asarray(_distances(TabularNash(), game, goal, config.steps, game.log_reference))
            worst = max(worst, float(np.max(kl / bound)))
            runs.append(np.maximum(kl, 1e-16))
        mean = np.exp(np.mean(np.log(runs), axis=0))
        late = slice(config.steps // 2, None)
        slopes.append(statistics.linear_slope(np.log(steps[late]), np.log(mean[late])).estimate)
        kept = np.unique(np.geomspace(1, config.steps, 60).astype(int)) - 1
        places = tuple(float(x) for x in np.log10(steps[kept]))
        series += [
            Series(f"τ = {tau:g}", places, tuple(float(x) for x in np.log10(mean[kept]))),
            Series(f"bound, τ = {tau:g}", places, tuple(float(x) for x in np.log10(bound[kept]))),
        ]
    note = f"{config.tables} random tables of {config.answers} answers for each τ of {config.taus}; float64"
    figure = Figure(
        "Distance of Nash-MD from the equilibrium", "log10 step", "log10 KL, nats", tuple(series),
        note="Geometric means over tables, beside the paper's bound.",
    )  # fmt: skip
    return (
        CLAIMS[0].measured(worst, holds=worst <= 1.0, note=note),
        CLAIMS[1].measured(max(slopes), holds=max(slopes) <= -1.0, note=f"slowest of the τ; {note}"),
        figure,
    )


def _circle() -> tuple[Finding, Figure]:
    game = preference_game(preferences.rock_paper_scissors(), 0.1)
    goal, start = jnp.log(jnp.asarray(nash(game))), jnp.log(jnp.array([0.6, 0.3, 0.1]))
    names: dict[str, Opponent] = {"Nash-MD": "mixture", "self-play": "self", "Nash-EMA": "average"}
    ends, series = {}, []
    for name, opponent in names.items():
        for step_size in (1.0, 5.0):
            kl = np.asarray(_distances(TabularNash(opponent, step_size), game, goal, 300, start))
            ends[name, step_size] = float(kl[-50:].max())
            logs = np.log10(np.maximum(kl[::3], 1e-17))
            series.append(Series(f"{name}, η = {step_size:g}", tuple(range(1, 301, 3)), tuple(logs.tolist())))
    md, play, ema = (ends[name, 5.0] for name in names)
    holds = md <= 1e-12 and play >= 0.1
    note = (
        f"τ = 0.1, η = 5, start (0.6, 0.3, 0.1), largest KL of the last 50 of 300 steps; "
        f"self-play {play:.2g}, Nash-EMA {ema:.2g}; at η = 1 self-play converges too "
        f"({ends['self-play', 1.0]:.1g})"
    )
    figure = Figure("Rock, paper, scissors with a constant step", "step", "log10 KL, nats", tuple(series))
    return CLAIMS[2].measured(md, holds=holds, note=note), figure


def _dice() -> Finding:
    found = nash(preference_game(preferences.dice(), 0.0))
    error = float(np.abs(found - 1 / 3).max())
    return CLAIMS[3].measured(error, holds=error <= 1e-9, note="linear program, no pull")


def _raters() -> list[Finding]:
    errors, named = [], []
    for epsilon in (-0.2, -0.02, 0.02, 0.2):
        table = preferences.rater_types(epsilon)
        told = np.array([1 / 3 + epsilon / 2] * 2 + [1 / 3 - epsilon])
        errors.append(np.abs(nash(preference_game(table, 0.0)) - told).max())
        named.append(int(np.argmax(fit_scores(table))) + 1)
    error = float(max(errors))
    note = f"ε = −0.2, −0.02, 0.02, 0.2: best scored answers {named}; the figure is the equilibrium's error"
    return [CLAIMS[4].measured(error, holds=error <= 1e-9 and named == [2, 2, 1, 1], note=note)]


def _elo() -> Finding:
    """Best policies with π(y1) = 2 π(y2), which is a segment from (⅔, ⅓, 0) to (0, 0, 1)."""
    table, share = preferences.from_scores(preferences.ELO), np.linspace(0, 1, 1001)[:, None]
    policies = (1 - share) * np.array([[2 / 3, 1 / 3, 0]]) + share * np.array([[0, 0, 1]])
    by_score = policies[np.argmax(policies @ preferences.ELO)]
    # The best guaranteed win rate within the segment.
    by_wins = policies[np.argmax((policies @ table @ policies.T).min(1))]
    rate = float(by_wins @ table @ by_score)
    holds = abs(rate - 50 / 99) < 1e-9
    note = f"largest mean score: {np.round(by_score, 3)}; largest guaranteed win rate: {np.round(by_wins, 3)}"
    return CLAIMS[5].measured(rate, holds=holds, note=note)


def _sampling(config: Config) -> Finding:
    moved = {"cyclic": 0.0, "scored": 0.0}
    for seed in range(config.seed, config.seed + config.tables):
        rng = np.random.default_rng([seed, 11])
        samplers = rng.dirichlet(np.ones(config.answers), 2) * 0.9 + 0.1 / config.answers
        shown = [np.outer(mu, mu) for mu in samplers]
        tables = {
            "cyclic": preferences.random_table(seed, config.answers),
            "scored": preferences.from_scores(rng.standard_normal(config.answers)),
        }
        for kind, table in tables.items():
            one, other = (fit_scores(table, weights) for weights in shown)
            moved[kind] = max(moved[kind], float(np.abs(one - other).max()))
    holds = moved["cyclic"] > 0.1 and moved["scored"] < 1e-6
    note = (
        f"largest change of a score between two sampling policies, {config.tables} tables; "
        f"{moved['scored']:.1e} where scores explain the table"
    )
    return CLAIMS[6].measured(moved["cyclic"], holds=holds, note=note)


def _examples() -> Table:
    rows = []
    tables = {
        "dice": preferences.dice(),
        "rock, paper, scissors": preferences.rock_paper_scissors(),
        "rater types, ε = 0.1": preferences.rater_types(0.1),
        "scores 0, log 9, log 2": preferences.from_scores(preferences.ELO),
    }
    for name, table in tables.items():
        plain, pulled = (preference_game(table, tau) for tau in (0.0, 0.1))
        try:
            left = f"{misfit(table, fit_scores(table)):.3f}"
        except UserError:
            left = "no finite scores"
        rows.append(
            (name, preferences.cyclic_share(table), left, _said(nash(plain)), _said(nash(pulled)),
             float(duality_gap(plain, plain.log_reference)))
        )  # fmt: skip
    columns = (
        "table", "triples in a circle", "misfit of scores, nats", "equilibrium", "with τ = 0.1",
        "gap of uniform",
    )  # fmt: skip
    return Table("The small examples", columns, tuple(rows))


def _said(policy: np.ndarray) -> str:
    return ", ".join(f"{p:.3f}" for p in policy)
