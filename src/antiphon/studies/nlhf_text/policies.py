"""Every method, brought to the same divergence: the pull is steered while training goes on."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from antiphon.feedback.preference import antisymmetric
from antiphon.methods.nash_md import NashMD
from antiphon.methods.reinforce_kl import ReinforceKL
from antiphon.nets.llama_decoding import Prompts
from antiphon.nets.llama_judge import LlamaJudge
from antiphon.nets.llama_policy import LlamaPolicy
from antiphon.nets.llama_sampling import chosen_tokens
from antiphon.objectives.policy_gradient import exact_kl_per_step
from antiphon.studies.nlhf_steering import RLHF, Pull, name_of, pull_of, with_pull
from antiphon.studies.nlhf_text.reference import Ground, repeated, rows
from antiphon.studies.nlhf_text.setting import Config

_NEAR = 0.03
"""Training ends when the divergence is this close to what was asked for, as a share of it."""
_SUMMED = 0.02
"""Share of an error of the divergence that stays in the pull."""

_NOTICES = 3
"""Of each test report, when the divergence is measured."""

Method = NashMD | ReinforceKL


class Trained(NamedTuple):
    """A policy.

    Attributes:
        params: weights.
        kl: divergence from the reference on the test reports, nats.
        tau: the pull it ended with.
    """

    params: Any
    kl: float
    tau: float


def methods_of(config: Config, ground: Ground, judge: LlamaJudge) -> dict[str, Method]:
    """All by name; RLHF climbs the reward model, the others the preference model."""
    scored = ReinforceKL(
        ground.policy, _Scored(judge), (("score", 1.0),), group=config.group,
        microbatch=config.prompts * config.group, temperature=1.0, chosen=ground.policy.chosen,
    )  # fmt: skip
    compared = NashMD(
        ground.policy, antisymmetric(judge.compare), group=config.group, opponents=max(1, config.group // 2),
        microbatch=config.prompts * config.group, baseline="leave_one_out", chosen=ground.policy.chosen,
    )  # fmt: skip
    found: dict[str, Method] = {RLHF: scored}
    found |= {name_of(beta): replace(compared, beta=beta) for beta in config.betas}
    averaging = replace(compared, opponent="average")
    return found | {f"Nash-EMA {decay:g}": replace(averaging, decay=decay) for decay in config.decays}


class _Scored(NamedTuple):
    """The reward model as a named reward."""

    judge: LlamaJudge

    def __call__(self, params: Any, context: Prompts, tokens: Array) -> dict[str, Array]:
        return {"score": self.judge.reward(params, context, tokens)}


def train_at(config: Config, ground: Ground, method: Method, judge: Any, key: Array, kl: float) -> Trained:
    """Train until the divergence is the one asked for.

    For ``steps`` updates the pull follows the divergence of each batch. Then it goes on so at a third of the
    learning rate; after every ``round_steps`` updates the divergence is measured on the test reports, and
    training ends when it is near. If it never is, since some methods go round instead of coming to rest, the
    round that came nearest is kept.
    """
    start = 0.4 if isinstance(method, ReinforceKL) else 0.1  # log-odds are four times as steep
    state, log_tau = method.init(ground.reference, judge), jnp.log(jnp.asarray(start))
    size, first = config.round_steps, -(-config.steps // config.round_steps)
    best = Trained(state.params, math.inf, start)
    for i in range(first + config.rounds):
        rates = jnp.full(size, config.learning_rate / (1 if i < first else 3))
        state, log_tau = _ADVANCE(
            method, state, log_tau, jnp.asarray(True), rates, jnp.asarray(kl), config.prompts, ground.reports,
            jax.random.fold_in(key, i),
        )  # fmt: skip
        if i < first:
            continue
        measured = divergence(ground, state.params, jax.random.fold_in(key, 1000 + i))
        if abs(measured - kl) < abs(best.kl - kl):
            best = Trained(state.params, measured, float(jnp.exp(log_tau)))
        if abs(best.kl - kl) <= _NEAR * kl:
            break
    return best


def train_with(config: Config, ground: Ground, method: Method, judge: Any, key: Array, tau: float) -> Trained:
    """Train with a pull that is given, for as many updates as the steered ones have, then two rounds more."""
    size, first = config.round_steps, -(-config.steps // config.round_steps)
    state, log_tau = method.init(ground.reference, judge), jnp.log(jnp.asarray(tau))
    for rate, rounds in ((config.learning_rate, first), (config.learning_rate / 3, 2)):
        for i in range(rounds):
            state, _ = _ADVANCE(
                method, state, log_tau, jnp.asarray(False), jnp.full(size, rate), jnp.asarray(1.0),
                config.prompts, ground.reports, jax.random.fold_in(key, i),
            )  # fmt: skip
    return Trained(state.params, divergence(ground, state.params, jax.random.fold_in(key, 77)), tau)


def divergence(ground: Ground, params: Any, key: Array) -> float:
    """KL of whole notices from the reference, nats, averaged over the test reports."""
    return float(_DIVERGENCE(ground.policy, params, ground.reference, ground.tests, key))


def _divergence(
    policy: LlamaPolicy, params: Any, reference: Any, prompts: Prompts, key: Array
) -> Float[Array, ""]:
    prompts = repeated(prompts, _NOTICES)
    tokens = policy.sample(params, key, prompts)
    own, other = (policy.logits(weights, tokens, prompts) for weights in (params, reference))
    return jnp.mean(jnp.sum(exact_kl_per_step(own, other) * chosen_tokens(tokens, (0,)), axis=1))


_DIVERGENCE = jax.jit(_divergence, static_argnums=0)


def _advance(
    method: Method,
    state: Any,
    log_tau: Array,
    following: Array,
    rates: Float[Array, " N"],
    kl: Array,
    count: int,
    reports: Prompts,
    key: Array,
) -> tuple[Any, Array]:
    """N updates, the pull ``following`` the divergence to ``kl`` or standing still."""

    def step(carry: tuple[Any, Pull], now: tuple[Array, Array]) -> tuple[tuple[Any, Pull], None]:
        state, pull = carry
        rate, key = now
        key_rows, key_step = jax.random.split(key)
        chosen = jax.random.randint(key_rows, (count,), 0, reports.length.shape[0])
        # Its own statement, so that a method's settings are traced, not compiled in.
        current = with_pull(method, pull.tau, rate)
        state, metrics = current.step(state, rows(reports, chosen), key_step)
        return (state, pull.after(metrics["kl"], kl, _SUMMED, following)), None

    keys = jax.random.split(key, rates.shape[0])
    (state, pull), _ = jax.lax.scan(step, (state, pull_of(log_tau)), (rates, keys))
    return state, pull.log_tau


_ADVANCE = jax.jit(_advance, static_argnums=6)

Policies = Mapping[str, Trained]
