"""The reference: a network that imitates the writers, and what its notices look like to raters."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from antiphon.feedback.raters import Raters, draw_raters, ring
from antiphon.methods.sft import SFT, SFTBatch
from antiphon.nets.llama_decoding import Prompts
from antiphon.nets.llama_policy import LlamaPolicy
from antiphon.nets.llama_sampling import chosen_tokens
from antiphon.studies.nlhf_text.setting import Config
from antiphon.studies.nlhf_text.signals import LIKES, Scale, Signals, measure
from antiphon.worlds.text.reports import Reports

_BATCH = 128


class Ground(NamedTuple):
    """What all methods start from.

    Attributes:
        policy: the network's sizes.
        reference: its weights after imitation.
        reports: that networks learn from.
        tests: that they are compared on.
        scale: of the signals under the reference.
    """

    policy: LlamaPolicy
    reference: Any
    reports: Prompts
    tests: Prompts
    scale: Scale

    def signals(self, reports: Prompts, notices: Int[Array, "B T"]) -> Signals:
        """Of notices of reports, compiled."""
        return measured(self.policy, self.reference, reports, notices)

    def preference(self, raters: Raters, first: Signals, second: Signals) -> Array:
        """The share of the raters' votes that the first gets, exactly."""
        scale = self.scale
        around = ring(scale.told(first), scale.told(second))
        return raters.preference(scale.quality(first), scale.quality(second), around)


_MEASURE = jax.jit(measure, static_argnums=0)
_WRITE = jax.jit(lambda policy, params, key, prompts: policy.sample(params, key, prompts), static_argnums=0)
_PIECE = 2000
"""Notices that are written or measured at a time, so that one compiled program does for all."""


def write(policy: LlamaPolicy, params: Any, key: Array, prompts: Prompts) -> Int[Array, "B T"]:
    """A notice of each report."""

    def of_piece(piece: Prompts, number: int) -> Array:
        return _WRITE(policy, params, jax.random.fold_in(key, number), piece)

    return _by_pieces(of_piece, prompts)


def measured(policy: LlamaPolicy, reference: Any, prompts: Prompts, notices: Int[Array, "B T"]) -> Signals:
    """Signals of notices, see :func:`~antiphon.studies.nlhf_text.signals.measure`."""

    def of_piece(piece: tuple[Prompts, Array], number: int) -> Signals:
        del number
        return _MEASURE(policy, reference, *piece)

    return _by_pieces(of_piece, (prompts, notices))


def _by_pieces(function: Callable[[Any, int], Any], batch: Any) -> Any:
    """A function of rows, a piece at a time, the last filled up with rows that are thrown away."""
    count = jax.tree.leaves(batch)[0].shape[0]
    made = []
    for number, start in enumerate(range(0, count, _PIECE)):
        piece = jax.tree.map(lambda leaf, s=start: np.asarray(leaf[s : s + _PIECE]), batch)
        full = jax.tree.map(lambda leaf: np.resize(leaf, (_PIECE, *leaf.shape[1:])), piece)
        rows_made = min(_PIECE, count - start)
        made.append(jax.tree.map(lambda leaf, n=rows_made: np.asarray(leaf[:n]), function(full, number)))
    return jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *made)


def prompts_of(reports: Reports) -> Prompts:
    """Reports as a policy reads them."""
    return Prompts(jnp.asarray(reports.tokens), jnp.asarray(reports.length))


def rows(prompts: Prompts, chosen: Array) -> Prompts:
    """Some of the prompts."""
    return jax.tree.map(lambda leaf: leaf[chosen], prompts)


def repeated(prompts: Prompts, count: int) -> Prompts:
    """Every prompt so many times, one after the other."""
    return jax.tree.map(lambda leaf: jnp.repeat(leaf, count, axis=0), prompts)


def imitate(config: Config, policy: LlamaPolicy, reports: Reports) -> tuple[Any, np.ndarray]:
    """A network that writes as the writers do, and its loss at every update, nats per word."""
    method = SFT(policy, learning_rate=5e-3, steps=config.imitation_steps, warmup=30)
    prompts, notices = prompts_of(reports), jnp.asarray(reports.notices)

    @jax.jit
    def train(prompts: Prompts, notices: Array, key: Array) -> Any:
        def step(state: Any, key: Array) -> tuple[Any, Array]:
            chosen = jax.random.randint(key, (_BATCH,), 0, notices.shape[0])
            batch = SFTBatch(notices[chosen], rows(prompts, chosen), chosen_tokens(notices[chosen], (0,)))
            state, metrics = method.step(state, batch, key)
            return state, metrics["loss"]

        key_init, key_steps = jax.random.split(key)
        state = method.init(policy.config.init(key_init))
        state, losses = jax.lax.scan(step, state, jax.random.split(key_steps, config.imitation_steps))
        return state.params, losses

    params, losses = train(prompts, notices, jax.random.key(config.seed))
    return params, np.asarray(losses)


def scale_of(first: Signals, second: Signals) -> Scale:
    """From two notices of each of many reports."""
    both = jnp.concatenate([first.quality, second.quality])
    mean, deviation = jnp.mean(both, axis=0), jnp.std(both, axis=0)
    deviation = jnp.where(deviation > 1e-6, deviation, 1.0)
    gap = (first.quality - second.quality) / deviation
    around = ring(first.told, second.told)
    return Scale(mean, deviation, gap.T @ gap / len(gap), jnp.sqrt(jnp.mean(around**2)))


def population(config: Config, scale: Scale, dial: float, *, held_out: bool) -> Raters:
    """The raters whose votes train judges, or the others who judge in the end; the same at every dial."""
    key = jax.random.fold_in(jax.random.key(config.seed + 101), int(held_out))
    return draw_raters(key, config.raters, jnp.asarray(LIKES), 0.5, scale.covariance, 1.5, dial)
