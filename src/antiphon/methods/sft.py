"""Supervised fine-tuning (and pre-training) of any sequence model: cross-entropy on given tokens."""

from dataclasses import dataclass, field
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from antiphon.core.errors import UserError
from antiphon.core.indexing import pick
from antiphon.methods.microbatches import mean_over_microbatches, number_of_pieces
from antiphon.methods.optimisers import warm_and_cool
from antiphon.methods.trained_part import for_trained_part
from antiphon.nets.sequence_model import Context, SequenceModel


class SFTBatch(NamedTuple):
    """What to imitate.

    Attributes:
        tokens: ``[B, T]`` int.
        context: what they were conditioned on.
        mask: 1 on tokens to learn, 0 on prompt and padding, ``[B, T]``.
    """

    tokens: Array
    context: Context
    mask: Array


class SFTState(NamedTuple):
    """Weights and optimiser state."""

    params: PyTree
    optimiser: optax.OptState


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class SFT:
    """Maximum likelihood with AdamW, linear warm-up and a cosine to ``final`` times the learning rate.

    Floats are leaves of the method's pytree, so a sweep over them is a ``vmap``.

    Attributes:
        model: the policy.
        learning_rate: peak.
        steps: length of the schedule.
        warmup: steps of linear warm-up, at most a tenth of ``steps``.
        final: last learning rate as a share of the peak.
        weight_decay: on leaves of two or more axes, the gains of stacked layers included.
        clip: bound on the gradient's norm.
        microbatch: rows whose gradient is taken at once, at most, None for all; the step is that of the whole
            batch.
        groups: tokens fall into ``groups`` interleaved kinds (levels of a frame) with losses of their own.

    Raises:
        UserError: fewer than one step, kind of token or row at once.
    """

    model: SequenceModel = field(metadata={"static": True})
    learning_rate: float | Float[Array, ""] = 1e-3
    steps: int = field(default=1000, metadata={"static": True})
    warmup: int = field(default=100, metadata={"static": True})
    final: float = 0.02
    weight_decay: float = 0.02
    clip: float = 1.0
    microbatch: int | None = field(default=None, metadata={"static": True})
    groups: int = field(default=1, metadata={"static": True})

    def __post_init__(self) -> None:
        at_once = 1 if self.microbatch is None else self.microbatch
        for name, value in (("steps", self.steps), ("groups", self.groups), ("microbatch", at_once)):
            if value < 1:
                raise UserError("config", f"SFT with {name}={value}", "give at least 1")

    def optimiser(self) -> optax.GradientTransformation:
        """AdamW behind a norm clip."""
        adam = warm_and_cool(
            self.learning_rate, self.steps, self.warmup, self.weight_decay, self.clip, self.final
        )
        return for_trained_part(self.model, adam)

    def init(self, params: PyTree) -> SFTState:
        """Start from ``params``."""
        return SFTState(params, self.optimiser().init(params))

    def step(
        self, state: SFTState, batch: SFTBatch, key: PRNGKeyArray
    ) -> tuple[SFTState, dict[str, Float[Array, ""]]]:
        """One update.

        Metrics: ``loss``, mean nats per token that counts; with several kinds of tokens also ``loss_0``,
        ``loss_1``, …, the mean of each kind.
        """
        del key

        rows = batch.mask.shape[0]
        pieces = number_of_pieces(rows, self.microbatch or rows)
        counted = batch.mask.reshape(rows, -1, self.groups)
        # Every piece is divided by what the whole batch counts, however many tokens count in it.
        of_all = jnp.maximum(jnp.sum(batch.mask), 1) / pieces
        of_kind = jnp.maximum(jnp.sum(counted, (0, 1)), 1) / pieces

        def loss_of(params: PyTree, piece: SFTBatch) -> tuple[Array, Array]:
            nats = token_nats(self.model, params, piece) * piece.mask
            kinds = nats.reshape(nats.shape[0], -1, self.groups)
            return jnp.sum(nats) / of_all, jnp.sum(kinds, (0, 1)) / of_kind

        def gradient_of(piece: SFTBatch) -> tuple[tuple[Array, Array], PyTree]:
            return jax.value_and_grad(loss_of, has_aux=True)(state.params, piece)

        (loss, by_kind), gradient = mean_over_microbatches(gradient_of, batch, pieces)
        updates, optimiser = self.optimiser().update(gradient, state.optimiser, state.params)
        metrics = {"loss": loss}
        if self.groups > 1:
            metrics |= {f"loss_{kind}": by_kind[kind] for kind in range(self.groups)}
        return SFTState(optax.apply_updates(state.params, updates), optimiser), metrics


def token_nats(model: SequenceModel, params: PyTree, batch: SFTBatch) -> Float[Array, "B T"]:
    """``−log p(token)`` of every token, masked or not, in nats."""
    logits = model.logits(params, batch.tokens, batch.context).astype(jnp.float32)
    return jax.nn.logsumexp(logits, axis=-1) - pick(logits, batch.tokens)
