"""Nash learning with networks, judged exactly: worlds of 4,096 completions in which everything is enumerated.

Preferences have a dial from scores to circles. Every method starts from one reference and spends about the
same divergence from it; what it learnt is then compared without sampling: who beats whom, and how well the
best response within the same divergence would do against it. That last figure is what separates the methods;
win rates against the reference are not, and mislead.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from antiphon.core import statistics
from antiphon.feedback.bradley_terry import fit_scores, misfit
from antiphon.feedback.preference import from_table
from antiphon.methods.nash_md import NashMD
from antiphon.methods.reinforce_kl import ReinforceKL
from antiphon.methods.sft import SFT, SFTBatch
from antiphon.nets.llama import Llama
from antiphon.nets.llama_decoding import Prompts
from antiphon.nets.llama_policy import LlamaPolicy
from antiphon.nets.llama_sampling import Decoding
from antiphon.nets.weights import named_leaves
from antiphon.train.findings import Claim, Finding
from antiphon.train.media import Figure, Media, Series, Table, write_media
from antiphon.train.pieces import done_once
from antiphon.train.run_directory import RunDirectory
from antiphon.worlds.diagnostics.preferences import cyclic_share
from antiphon.worlds.diagnostics.token_world import TokenWorld, token_world

_TOKENS, _LENGTH = 8, 4
_PLACES = jnp.array([_TOKENS ** (_LENGTH - 1 - t) for t in range(_LENGTH)])
_RLHF, _AVERAGE = "RLHF", "Nash-EMA"


@dataclass(frozen=True)
class Config:
    """Sizes of the study."""

    worlds: int = 5
    """Random worlds for each dial."""
    dials: tuple[float, ...] = (0.0, 0.5)
    """Cyclic shares of the preferences."""
    betas: tuple[float, ...] = (0.0, 0.125, 0.25, 0.5, 1.0)
    """Shares of the reference in the opponent: 0 is self-play, 1 the best response to the reference."""
    decay: float = 0.98
    """Of the average that is Nash-EMA's opponent."""
    kl: float = 2.0
    """Divergence from the reference that every method is steered to, nats."""
    steps: int = 300
    """Updates of every method; the strength of the pull is frozen for the last fifth."""
    reference_steps: int = 300
    """Updates of the reference on the Markov chain."""
    batch: int = 256
    """Completions of either side in an update."""
    learning_rate: float = 2e-3
    """Peak, cosine to zero."""
    seed: int = 0
    """Of the worlds and the networks."""


PRESETS = {
    "smoke": Config(worlds=1, betas=(0.0, 0.25), steps=120, reference_steps=150),
    "laptop": Config(),
    "gpu": Config(worlds=20, dials=(0.0, 0.25, 0.5)),
}

_PAPER = "arXiv 2312.00886"
CLAIMS = (
    Claim("tie", "Where scores explain the preferences, Nash learning and RLHF are equally good",
          f"{_PAPER}, section 3", "win rates against RLHF within 0.03 of 0.5"),
    Claim("exploited", "Where preferences go in circles, RLHF is beaten by an equally divergent answer in "
          "every world, and self-play and Nash-MD hardly are", f"{_PAPER}, section 3; the measure is ours",
          "≥ 0.57 against ≤ 0.54 (self-play, β = 0.25, 0.5)"),
    Claim("beats", "Where preferences go in circles, Nash-MD (β = 0.25) is preferred to RLHF",
          f"{_PAPER}, table 1 (0.519 to 0.598 for the best β)", "mean win rate ≥ 0.53"),
    Claim("closed", "RLHF with a network comes to its closed form", "ours", "win rate within 0.01 of 0.5"),
)  # fmt: skip

MODEL = LlamaPolicy(
    Llama(_TOKENS, width=32, layers=2, heads=2, kv_heads=2, head_width=16, hidden=64, context=16, tied=False),
    Decoding(new_tokens=_LENGTH),
)


_PREFERENCE = from_table(lambda tokens: tokens @ _PLACES)
"""One object for all, so that one compiled program serves all worlds."""


class Trained(NamedTuple):
    """What a method made in one world.

    Attributes:
        law: log-probability of every completion, ``[Y]``.
        kl: from the reference, nats, exact.
        tau: strength of the pull it ended with.
    """

    law: np.ndarray
    kl: float
    tau: float


class Cell(NamedTuple):
    """One world at one dial: the trained policies by name, and exact figures about them."""

    world: TokenWorld
    reference: np.ndarray
    trained: dict[str, Trained]
    exploited: dict[str, float]
    closed: float
    misfit: float
    circles: float

    def win_rate(self, first: str, second: str) -> float:
        """How often ``first`` is preferred to ``second``, exactly."""
        p, q = (np.exp(self.trained[name].law) for name in (first, second))
        return float(p @ self.world.preference @ q)


def run(config: Config, run: RunDirectory) -> list[Finding]:
    """Measures the claims."""
    with run.held():
        cells = {dial: [_cell(config, run, seed, dial) for seed in _seeds(config)] for dial in config.dials}
    findings = [measure(config, cells) for measure in (_tie, _exploited, _beats, _closed)]
    tables = tuple(_table(dial, row) for dial, row in cells.items())
    write_media(run.path, Media(_STORY, (_figure(cells),), tables=tables))
    return findings


_STORY = (
    "Every policy is a small transformer that writes four of eight tokens. RLHF climbs the scores that "
    "explain the preferences best; Nash-MD climbs the preferences themselves, against a mixture of itself "
    "and the reference. 'Exploited' is the win rate of the best response that is no further from the "
    "reference than the policy is itself: 0.5 for an equilibrium."
)


def _seeds(config: Config) -> range:
    return range(config.seed, config.seed + config.worlds)


def _prompts(count: int) -> Prompts:
    return Prompts(jnp.zeros((count, 1), jnp.int32), jnp.ones(count, jnp.int32))


@jax.jit
def _law(params: Any, completions: Array) -> Float[Array, " Y"]:
    """Log-probability of every completion."""
    log_p = jax.nn.log_softmax(MODEL.logits(params, completions, _prompts(len(completions))))
    return jnp.sum(jnp.take_along_axis(log_p, completions[..., None], axis=-1)[..., 0], axis=1)


def _cell(config: Config, run: RunDirectory, seed: int, dial: float) -> Cell:
    """Everything about one world; its reference and each of its methods are pieces that are done once."""
    name = f"dial-{dial:g}/world-{seed}"
    world = token_world(seed, dial)
    completions = jnp.asarray(world.completions)
    like = jax.eval_shape(MODEL.config.init, jax.random.key(0))
    kept = done_once(run, f"{name}/reference", lambda: named_leaves(_reference(config, seed, world)))
    leaves = [jnp.asarray(kept[leaf]) for leaf in named_leaves(like)]
    params = jax.tree.unflatten(jax.tree.structure(like), leaves)
    reference = np.asarray(_law(params, completions), np.float64)
    mu = np.exp(reference)
    table, preference = world.preference.astype(np.float64), jnp.asarray(world.preference)
    scores = done_once(
        run, f"{name}/scores", lambda: {"scores": fit_scores(table, np.outer(mu, mu), tolerance=1e-8)}
    )["scores"]

    def judged(method: str, train: Callable[[], tuple[Any, Array]]) -> Trained:
        def make() -> dict[str, Any]:
            return _judged(*train(), completions, reference)._asdict()

        found = done_once(run, f"{name}/{method.replace(' ', '-')}", make)
        return Trained(found["law"], float(found["kl"]), float(found["tau"]))

    trained = {
        name_of(beta): judged(name_of(beta), lambda beta=beta: _nash(config, seed, params, preference, beta))
        for beta in config.betas
    }
    trained[_AVERAGE] = judged(_AVERAGE, lambda: _average(config, seed, params, preference))
    trained[_RLHF] = judged(_RLHF, lambda: _rlhf(config, seed, params, jnp.asarray(scores, jnp.float32)))

    exploited = {name: _equal_kl_exploit(table, reference, t) for name, t in trained.items()}
    best = tilted(reference, scores, trained[_RLHF].kl)
    closed = float(np.exp(trained[_RLHF].law) @ table @ np.exp(best))
    return Cell(
        world, reference, trained, exploited, closed, misfit(table, scores, np.outer(mu, mu)),
        cyclic_share(table, mu),
    )  # fmt: skip


def name_of(beta: float) -> str:
    """What the tables call Nash-MD with this share of the reference."""
    return {0.0: "self-play", 1.0: "best response"}.get(beta, f"Nash-MD {beta:g}")


def _reference(config: Config, seed: int, world: TokenWorld) -> Any:
    """A network that imitates the world's Markov chain."""
    method = SFT(MODEL, learning_rate=3e-3, steps=config.reference_steps, warmup=20)
    cumulative = jnp.cumsum(jnp.exp(jnp.asarray(world.chain, jnp.float32)))
    return _imitate(config, method, cumulative, jnp.asarray(world.completions), jax.random.key(seed))


def _imitate(config: Config, method: SFT, cumulative: Array, completions: Array, key: Array) -> Any:
    context, mask = _prompts(config.batch), jnp.ones((config.batch, _LENGTH))

    @jax.jit
    def train(cumulative: Array, key: Array) -> Any:
        def step(state: Any, key: Array) -> tuple[Any, None]:
            drawn = jnp.searchsorted(cumulative, jax.random.uniform(key, (config.batch,)) * cumulative[-1])
            state, _ = method.step(state, SFTBatch(completions[drawn], context, mask), key)
            return state, None

        state = method.init(MODEL.config.init(key))
        return jax.lax.scan(step, state, jax.random.split(key, config.reference_steps))[0].params

    return train(cumulative, key)


@functools.partial(jax.jit, static_argnames="config")
def _steered(config: Config, method: Any, state: Any, key: Array, start: float) -> tuple[Any, Array]:
    """Train with the strength of the pull moved from ``start`` until the divergence is the one asked for.

    Returns:
        Weights, and the strength that was frozen for the last fifth.
    """
    free = config.steps * 4 // 5

    def step(carry: tuple[Any, Array], now: tuple[Array, Array]) -> tuple[tuple[Any, Array], None]:
        state, log_tau = carry
        t, key = now
        rate = config.learning_rate * 0.5 * (1 + jnp.cos(jnp.pi * t / config.steps))
        state, metrics = _with(method, jnp.exp(log_tau), rate).step(state, _prompts(1), key)
        turn = 0.05 * jnp.clip(metrics["kl"] - config.kl, -1.0, 1.0)
        return (state, log_tau + jnp.where(t < free, turn, 0.0)), None

    times = (jnp.arange(config.steps), jax.random.split(key, config.steps))
    (state, log_tau), _ = jax.lax.scan(step, (state, jnp.log(jnp.asarray(start))), times)
    return state.params, jnp.exp(log_tau)


def _with(method: NashMD | ReinforceKL, tau: Array, rate: Array) -> NashMD | ReinforceKL:
    if isinstance(method, NashMD):
        return replace(method, tau=tau, learning_rate=rate)
    # J / (1 − α) pays the reward in full and the KL with τ = α / (1 − α).
    return replace(method, alpha=tau / (1.0 + tau), learning_rate=rate)


def _preferring(config: Config) -> NashMD:
    return NashMD(
        MODEL, _PREFERENCE, group=config.batch, opponents=config.batch,
        microbatch=config.batch, baseline="leave_one_out", decay=config.decay,
    )  # fmt: skip


def _nash(config: Config, seed: int, params: Any, table: Array, beta: float) -> tuple[Any, Array]:
    method = replace(_preferring(config), beta=jnp.asarray(beta))
    return _steered(config, method, method.init(params, table), jax.random.key(seed + 1), 0.1)


def _average(config: Config, seed: int, params: Any, table: Array) -> tuple[Any, Array]:
    method = replace(_preferring(config), opponent="average")
    return _steered(config, method, method.init(params, table), jax.random.key(seed + 1), 0.1)


def _rlhf(config: Config, seed: int, params: Any, scores: Array) -> tuple[Any, Array]:
    method = ReinforceKL(
        MODEL, _scored, (("score", 1.0),), group=config.batch, microbatch=config.batch, temperature=1.0
    )
    # Log-odds are four times as steep as probabilities around a half.
    return _steered(config, method, method.init(params, scores), jax.random.key(seed + 1), 0.4)


def _scored(scores: Array, context: Prompts, tokens: Array) -> dict[str, Array]:
    del context
    return {"score": scores[tokens @ _PLACES]}


def _judged(params: Any, tau: Array, completions: Array, reference: np.ndarray) -> Trained:
    law = np.asarray(_law(params, completions), np.float64)
    law -= np.logaddexp.reduce(law)
    return Trained(law, float(np.exp(law) @ (law - reference)), float(tau))


def tilted(reference: np.ndarray, credit: np.ndarray, kl: float) -> np.ndarray:
    """Log of μ exp(credit / τ), normalised; τ is bisected until its divergence from μ is ``kl`` nats.

    Of all policies with that divergence it has the largest mean credit.
    """
    low, high = -12.0, 12.0
    law = reference
    for _ in range(60):
        middle = 0.5 * (low + high)
        logits = reference + credit / np.exp(middle)
        law = logits - np.logaddexp.reduce(logits)
        if np.exp(law) @ (law - reference) > kl:
            low = middle
        else:
            high = middle
    return law


def _equal_kl_exploit(table: np.ndarray, reference: np.ndarray, trained: Trained) -> float:
    """Win rate of the best response within the divergence that the policy itself has spent."""
    credit = table @ np.exp(trained.law)
    return float(np.exp(tilted(reference, credit, trained.kl)) @ credit)


def _tie(config: Config, cells: dict[float, list[Cell]]) -> Finding:
    if 0.0 not in cells:
        return CLAIMS[0].untested("no world without circles was asked for")
    rates = {
        name: float(np.mean([cell.win_rate(name, _RLHF) for cell in cells[0.0]]))
        for name in cells[0.0][0].trained if name != _RLHF
    }  # fmt: skip
    worst = max(rates, key=lambda name: abs(rates[name] - 0.5))
    holds = abs(rates[worst] - 0.5) <= 0.03 if config.worlds > 1 else None
    note = f"furthest from a half: {worst}; mean of {config.worlds} worlds"
    return CLAIMS[0].measured(rates[worst], holds=holds, note=note)


def _circling(cells: dict[float, list[Cell]]) -> tuple[float, list[Cell]]:
    """The dial of one half, or the nearest one."""
    dial = min(cells, key=lambda d: abs(d - 0.5))
    return dial, cells[dial]


def _exploited(config: Config, cells: dict[float, list[Cell]]) -> Finding:
    dial, row = _circling(cells)
    named = [name for name in ("self-play", "Nash-MD 0.25", "Nash-MD 0.5") if name in row[0].exploited]
    scored = min(cell.exploited[_RLHF] for cell in row)
    worst = max(cell.exploited[name] for cell in row for name in named)
    full = config.worlds > 1 and len(named) == 3 and dial == 0.5
    note = (
        f"dial {dial:g}: the figure is RLHF's lowest of {len(row)} worlds; the highest of "
        f"{', '.join(named)} is {worst:.3f}; circles {np.mean([c.circles for c in row]):.1%} of triples"
    )
    return CLAIMS[1].measured(scored, holds=(scored >= 0.57 and worst <= 0.54) if full else None, note=note)


def _beats(config: Config, cells: dict[float, list[Cell]]) -> Finding:
    dial, row = _circling(cells)
    name = "Nash-MD 0.25"
    if name not in row[0].trained or dial != 0.5:
        return CLAIMS[2].untested("neither this dial nor this β was asked for")
    rates = [cell.win_rate(name, _RLHF) for cell in row]
    if config.worlds < 2:
        return CLAIMS[2].measured(rates[0], holds=None, note="one world")
    mean = statistics.mean(np.array(rates))
    note = f"worlds: {', '.join(f'{rate:.3f}' for rate in rates)}"
    return CLAIMS[2].measured(
        mean.estimate, holds=mean.estimate >= 0.53, interval=(mean.low, mean.high), note=note
    )


def _closed(config: Config, cells: dict[float, list[Cell]]) -> Finding:
    rates = [cell.closed for row in cells.values() for cell in row]
    worst = max(rates, key=lambda rate: abs(rate - 0.5))
    holds = abs(worst - 0.5) <= 0.01 if config.steps >= 300 else None
    return CLAIMS[3].measured(
        worst,
        holds=holds,
        note=f"against μ exp(score / τ) of equal divergence; furthest of {len(rates)} worlds",
    )


def _table(dial: float, row: list[Cell]) -> Table:
    rows = []
    for name in row[0].trained:
        kl = np.mean([cell.trained[name].kl for cell in row])
        beaten = np.mean([(cell.world.preference @ np.exp(cell.trained[name].law)).max() for cell in row])
        start = np.mean([np.exp(c.trained[name].law) @ c.world.preference @ np.exp(c.reference) for c in row])
        rows.append(
            (name, float(kl), float(np.mean([cell.trained[name].tau for cell in row])), float(start),
             float(np.mean([cell.win_rate(name, _RLHF) for cell in row])),
             _mean_exploited(row, name), float(beaten))
        )  # fmt: skip
    columns = (
        "method",
        "KL, nats",
        "τ",
        "beats reference",
        "beats RLHF",
        "exploited at equal KL",
        "exploited",
    )
    circles, apart = (np.mean([getattr(cell, name) for cell in row]) for name in ("circles", "misfit"))
    return Table(
        f"Dial {dial:g}: {circles:.1%} of triples in a circle, scores misfit by {apart:.3f} nats; "
        f"means of {len(row)} worlds",
        columns, tuple(rows),
    )  # fmt: skip


def _figure(cells: dict[float, list[Cell]]) -> Figure:
    names = list(next(iter(cells.values()))[0].trained)
    series = tuple(
        Series(
            name,
            tuple(cells),
            tuple(float(np.mean([c.exploited[name] for c in row])) for row in cells.values()),
        )
        for name in names
    )
    return Figure("Exploited at equal divergence", "dial", "win rate of the best response", series,
                  note="0.5 is an equilibrium.")  # fmt: skip


def _mean_exploited(row: list[Cell], name: str) -> float:
    return float(np.mean([cell.exploited[name] for cell in row]))
