"""Supervised fine-tuning (and pre-training) of any sequence model: cross-entropy on given tokens."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, PRNGKeyArray, PyTree

from antiphon.core.errors import UserError
from antiphon.nets.embedding import pick
from antiphon.nets.sequence_model import Context, SequenceModel


class SFTBatch(NamedTuple):
    """``tokens`` ``[B, T]``, their ``context``, and ``mask`` ``[B, T]`` (1 on tokens to learn)."""

    tokens: Array
    context: Context
    mask: Array


class SFTState(NamedTuple):
    """Weights and optimiser state."""

    params: PyTree
    optimiser: optax.OptState


@dataclass(frozen=True)
class SFT:
    """Maximum likelihood with AdamW, linear warm-up and a cosine to ``final`` times the learning rate.

    Attributes:
      model: the policy.
      learning_rate: peak.
      steps: length of the schedule.
      warmup: steps of linear warm-up, at most a tenth of ``steps``.
      final: last learning rate as a share of the peak.
      weight_decay: on matrices only.
      clip: bound on the gradient's norm.
      groups: tokens fall into ``groups`` interleaved kinds (levels of a frame) whose losses are reported apart.
    """

    model: SequenceModel
    learning_rate: float = 1e-3
    steps: int = 1000
    warmup: int = 100
    final: float = 0.02
    weight_decay: float = 0.02
    clip: float = 1.0
    groups: int = 1

    def __post_init__(self):
        """Refuse schedules that cannot be followed."""
        if self.steps < 1 or self.groups < 1:
            raise UserError("config", f"SFT with steps={self.steps}, groups={self.groups}", "give at least 1 of each")

    def optimiser(self) -> optax.GradientTransformation:
        """AdamW behind a norm clip."""
        schedule = optax.warmup_cosine_decay_schedule(
            0.0, self.learning_rate, min(self.warmup, self.steps // 10 + 1), self.steps, self.final * self.learning_rate
        )

        def is_matrix(params: Any):
            return jax.tree.map(lambda leaf: leaf.ndim >= 2, params)

        adam = optax.adamw(schedule, b1=0.9, b2=0.98, weight_decay=self.weight_decay, mask=is_matrix)
        return optax.chain(optax.clip_by_global_norm(self.clip), adam)

    def init(self, params: PyTree) -> SFTState:
        """Start from ``params``."""
        return SFTState(params, self.optimiser().init(params))

    def step(self, state: SFTState, batch: SFTBatch, key: PRNGKeyArray) -> tuple[SFTState, dict[str, Array]]:
        """One update; metrics are mean nats per token, ``loss`` and ``loss_0``, ``loss_1`` … by kind of token."""
        del key

        def loss_of(params):
            nats = token_nats(self.model, params, batch)
            kinds = nats.reshape(nats.shape[0], -1, self.groups)
            weight = batch.mask.reshape(kinds.shape)
            by_kind = jnp.sum(kinds * weight, (0, 1)) / jnp.maximum(jnp.sum(weight, (0, 1)), 1)
            return jnp.sum(nats * batch.mask) / jnp.maximum(jnp.sum(batch.mask), 1), by_kind

        (loss, by_kind), gradient = jax.value_and_grad(loss_of, has_aux=True)(state.params)
        updates, optimiser = self.optimiser().update(gradient, state.optimiser, state.params)
        metrics = {"loss": loss} | {f"loss_{i}": by_kind[i] for i in range(self.groups) if self.groups > 1}
        return SFTState(optax.apply_updates(state.params, updates), optimiser), metrics


def token_nats(model: SequenceModel, params: PyTree, batch: SFTBatch) -> Array:
    """``-log p(token)`` of every token, ``[B, T]``."""
    logits = model.logits(params, batch.tokens, batch.context).astype(jnp.float32)
    return jax.nn.logsumexp(logits, axis=-1) - pick(logits, batch.tokens)
