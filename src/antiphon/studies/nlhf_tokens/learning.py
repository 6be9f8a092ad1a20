"""How one network learns in one world, by each method, with the divergence that is asked for."""

import functools
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from antiphon.feedback.preference import from_table
from antiphon.methods.nash_md import NashMD
from antiphon.methods.reinforce_kl import ReinforceKL
from antiphon.methods.sft import SFT, SFTBatch
from antiphon.nets.llama import Llama
from antiphon.nets.llama_decoding import Prompts
from antiphon.nets.llama_policy import LlamaPolicy
from antiphon.nets.llama_sampling import Decoding
from antiphon.studies.nlhf_steering import Pull, pull_of, with_pull
from antiphon.studies.nlhf_tokens.config import Config
from antiphon.worlds.diagnostics.token_world import TokenWorld

_TOKENS, _LENGTH = 8, 4
_SUMMED, _FROZEN = 0.04, 0.1
"""Share of an error of the divergence that stays in the pull, and of the updates in which it stands still."""
_FINAL = 0.1
"""Of the learning rate, at the end."""
_PLACES = jnp.array([_TOKENS ** (_LENGTH - 1 - t) for t in range(_LENGTH)])

MODEL = LlamaPolicy(
    Llama(_TOKENS, width=32, layers=2, heads=2, kv_heads=2, head_width=16, hidden=64, context=16, tied=False),
    Decoding(new_tokens=_LENGTH),
)

_PREFERENCE = from_table(lambda tokens: tokens @ _PLACES)
"""One object for all, so that one compiled program serves all worlds."""


_BEGINNING = jnp.array([[0, 1]])
"""Two tokens: after a single one, a run of that same token would look alike however long it is, since
attention takes a mean; a network then misses the reference by 0.05 nats and RLHF's closed form by 0.4."""


def _prompts(count: int) -> Prompts:
    return Prompts(jnp.tile(_BEGINNING, (count, 1)), jnp.full(count, 2, jnp.int32))


@jax.jit
def law_of(params: Any, completions: Array) -> Float[Array, " Y"]:
    """Log-probability of every completion."""
    log_p = jax.nn.log_softmax(MODEL.logits(params, completions, _prompts(len(completions))))
    return jnp.sum(jnp.take_along_axis(log_p, completions[..., None], axis=-1)[..., 0], axis=1)


def imitate_chain(config: Config, seed: int, world: TokenWorld) -> Any:
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
    """Train with the pull steered until the divergence is the one asked for.

    Returns:
        Weights, and the pull that stood still in the last updates.
    """
    free = round(config.steps * (1 - _FROZEN))

    def step(carry: tuple[Any, Pull], now: tuple[Array, Array]) -> tuple[tuple[Any, Pull], None]:
        state, pull = carry
        t, key = now
        cosine = 0.5 * (1 + jnp.cos(jnp.pi * t / config.steps))
        rate = config.learning_rate * (_FINAL + (1 - _FINAL) * cosine)
        state, metrics = with_pull(method, pull.tau, rate).step(state, _prompts(1), key)
        return (state, pull.after(metrics["kl"], config.kl, _SUMMED, t < free)), None

    times = (jnp.arange(config.steps), jax.random.split(key, config.steps))
    (state, pull), _ = jax.lax.scan(step, (state, pull_of(jnp.log(jnp.asarray(start)))), times)
    return state.params, pull.tau


def _preferring(config: Config) -> NashMD:
    return NashMD(
        MODEL, _PREFERENCE, group=config.batch, opponents=config.batch,
        microbatch=config.batch, baseline="leave_one_out", decay=config.decay,
    )  # fmt: skip


def learn_nash(config: Config, seed: int, params: Any, table: Array, beta: float) -> tuple[Any, Array]:
    """Nash-MD with this share of the reference; ``table`` holds preferences, ``[Y, Y]``."""
    method = replace(_preferring(config), beta=jnp.asarray(beta))
    return _steered(config, method, method.init(params, table), jax.random.key(seed + 1), 0.1)


def learn_average(config: Config, seed: int, params: Any, table: Array) -> tuple[Any, Array]:
    """Nash-EMA, likewise."""
    method = replace(_preferring(config), opponent="average")
    return _steered(config, method, method.init(params, table), jax.random.key(seed + 1), 0.1)


def learn_rlhf(config: Config, seed: int, params: Any, scores: Array) -> tuple[Any, Array]:
    """RLHF on a score of every completion, ``[Y]``."""
    method = ReinforceKL(
        MODEL, _scored, (("score", 1.0),), group=config.batch, microbatch=config.batch, temperature=1.0
    )
    # Log-odds are four times as steep as probabilities around a half.
    return _steered(config, method, method.init(params, scores), jax.random.key(seed + 1), 0.4)


def _scored(scores: Array, context: Prompts, tokens: Array) -> dict[str, Array]:
    del context
    return {"score": scores[tokens @ _PLACES]}
