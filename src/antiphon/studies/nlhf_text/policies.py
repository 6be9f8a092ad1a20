"""Every method, brought to the same divergence: the pull is steered, then bisected while training goes on."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from antiphon.feedback.preference import antisymmetric
from antiphon.methods.nash_md import NashMD
from antiphon.methods.reinforce_kl import ReinforceKL
from antiphon.nets.llama_decoding import Prompts
from antiphon.nets.llama_judge import LlamaJudge
from antiphon.nets.llama_policy import LlamaPolicy
from antiphon.nets.llama_sampling import chosen_tokens
from antiphon.objectives.policy_gradient import exact_kl_per_step
from antiphon.studies.nlhf_text.reference import Ground, rows
from antiphon.studies.nlhf_text.setting import Config

RLHF = "RLHF"
_NEAR = 0.03
"""The bisection ends when the divergence is this close to what was asked for, as a share of it."""

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


def name_of(beta: float) -> str:
    """What the tables call Nash-MD with this share of the reference."""
    return {0.0: "self-play", 1.0: "best response"}.get(beta, f"Nash-MD {beta:g}")


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

    For ``steps`` updates the pull moves with the divergence of each batch. Then it is bisected: it is held
    for ``round_steps`` updates at a third of the learning rate, the divergence is measured on the test
    reports, and the bracket closes. The weights are never reset, since what a pull leads to does not depend
    on where training starts.
    """
    start = 0.4 if isinstance(method, ReinforceKL) else 0.1  # log-odds are four times as steep
    state, log_tau = method.init(ground.reference, judge), jnp.log(jnp.asarray(start))
    size = config.round_steps
    for i in range(-(-config.steps // size)):
        rates = jnp.full(size, config.learning_rate)
        state, log_tau = _ADVANCE(
            method, state, log_tau, jnp.asarray(0.1), rates, jnp.asarray(kl), config.prompts, ground.reports,
            jax.random.fold_in(key, i),
        )  # fmt: skip
    low, high, measured = -np.inf, np.inf, np.inf
    for i in range(config.rounds):
        state, measured = hold(config, ground, method, state, log_tau, jax.random.fold_in(key, 1000 + i))
        if abs(measured - kl) <= _NEAR * kl or i == config.rounds - 1:
            break
        if measured > kl:
            low = float(log_tau)
        else:
            high = float(log_tau)
        known = np.isfinite(low) and np.isfinite(high)
        step = 0.3 if measured > kl else -0.3
        log_tau = jnp.asarray(0.5 * (low + high) if known else float(log_tau) + step, jnp.float32)
    return Trained(state.params, measured, float(jnp.exp(log_tau)))


def hold(
    config: Config, ground: Ground, method: Method, state: Any, log_tau: Array, key: Array, parts: int = 1
) -> tuple[Any, float]:
    """Train with one pull for so many parts of ``round_steps``; the state and its divergence."""
    rates = jnp.full(config.round_steps, config.learning_rate / 3)
    for i in range(parts):
        state, _ = _ADVANCE(
            method, state, log_tau, jnp.asarray(0.0), rates, jnp.asarray(1.0), config.prompts, ground.reports,
            jax.random.fold_in(key, i),
        )  # fmt: skip
    return state, divergence(ground, state.params, jax.random.fold_in(key, 77))


def train_with(config: Config, ground: Ground, method: Method, judge: Any, key: Array, tau: float) -> Trained:
    """Train with a pull that is given, for as many updates as the steered ones have."""
    parts = -(-config.steps // config.round_steps)
    rates = jnp.full(config.round_steps, config.learning_rate)
    state, log_tau = method.init(ground.reference, judge), jnp.log(jnp.asarray(tau))
    for i in range(parts):
        state, _ = _ADVANCE(
            method, state, log_tau, jnp.asarray(0.0), rates, jnp.asarray(1.0), config.prompts, ground.reports,
            jax.random.fold_in(key, i),
        )  # fmt: skip
    state, measured = hold(config, ground, method, state, log_tau, key, parts=2)
    return Trained(state.params, measured, tau)


def divergence(ground: Ground, params: Any, key: Array) -> float:
    """KL of whole notices from the reference, nats, averaged over the test reports."""
    return float(_DIVERGENCE(ground.policy, params, ground.reference, ground.tests, key))


def _divergence(
    policy: LlamaPolicy, params: Any, reference: Any, prompts: Prompts, key: Array
) -> Float[Array, ""]:
    tokens = policy.sample(params, key, prompts)
    own, other = (policy.logits(weights, tokens, prompts) for weights in (params, reference))
    return jnp.mean(jnp.sum(exact_kl_per_step(own, other) * chosen_tokens(tokens, (0,)), axis=1))


_DIVERGENCE = jax.jit(_divergence, static_argnums=0)


def _with(method: Method, tau: Array, rate: Array) -> Method:
    if isinstance(method, NashMD):
        return replace(method, tau=tau, learning_rate=rate)
    # J / (1 − α) pays the reward in full and the KL with τ = α / (1 − α).
    return replace(method, alpha=tau / (1.0 + tau), learning_rate=rate)


def _advance(
    method: Method,
    state: Any,
    log_tau: Array,
    gain: Array,
    rates: Float[Array, " N"],
    kl: Array,
    count: int,
    reports: Prompts,
    key: Array,
) -> tuple[Any, Array]:
    """N updates; the pull moves with ``gain`` towards where the divergence is ``kl``."""

    def step(carry: tuple[Any, Array], now: tuple[Array, Array]) -> tuple[tuple[Any, Array], None]:
        state, log_tau = carry
        rate, key = now
        key_rows, key_step = jax.random.split(key)
        chosen = jax.random.randint(key_rows, (count,), 0, reports.length.shape[0])
        # Its own statement, so that a method's settings are traced, not compiled in.
        current = _with(method, jnp.exp(log_tau), rate)
        state, metrics = current.step(state, rows(reports, chosen), key_step)
        return (state, log_tau + gain * jnp.clip(metrics["kl"] - kl, -1.0, 1.0)), None

    keys = jax.random.split(key, rates.shape[0])
    return jax.lax.scan(step, (state, log_tau), (rates, keys))[0]


_ADVANCE = jax.jit(_advance, static_argnums=6)

Policies = Mapping[str, Trained]
