"""Generalised knowledge distillation: the student learns from the teacher on what the student itself writes.

    L = (1 − λ) E_{(x, y) ~ data}[D(P‖Q)(y|x)] + λ E_x E_{y ~ Q}[D(P‖Q)(y|x)]

P is the teacher, Q the student, and no gradient flows through sampling. Supervised distillation is λ = 0,
on-policy distillation λ = 1, ImitKD λ = ½ with the forward KL, f-distill λ = ½ with total variation.
Sequence-level distillation is :class:`~antiphon.methods.sft.SFT` on what the teacher wrote, and
self-distillation is a teacher with the student's own sizes.

Source: arXiv 2306.13649, algorithm 1; eq. 5 for a reward beside it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree, Shaped

from antiphon.core.errors import UserError
from antiphon.core.indexing import pick
from antiphon.methods.microbatches import check_microbatch, mean_over_microbatches, number_of_pieces
from antiphon.methods.sft import SFT, SFTBatch
from antiphon.nets.sequence_model import Context, SequenceModel
from antiphon.objectives.distillation import (
    Reduction,
    TokenDivergence,
    in_chunks,
    token_weights,
    top_k_divergence,
)
from antiphon.objectives.policy_gradient import leave_one_out

Chosen = Callable[[Context, Int[Array, "B T"]], Shaped[Array, "B T"]]
"""``(context, tokens) -> [B, T]``: 1 on tokens the student chose (the end token included), 0 on the rest."""

Reward = Callable[[Context, Int[Array, "B T"]], Float[Array, "B"]]
"""``(context, tokens) -> [B]``: what a whole completion is worth."""


@runtime_checkable
class HeadedModel(Protocol):
    """A sequence model that gives its scores in two steps, so that a loss can take the second in pieces."""

    def states(self, params: PyTree, tokens: Int[Array, "B T"], context: Context) -> Float[Array, "B T d"]:
        """What the model knows before each token."""
        ...

    def head(self, params: PyTree, states: Float[Array, "*B d"]) -> Float[Array, "*B V"]:
        """Scores from :meth:`states`."""
        ...


class _Lesson(NamedTuple):
    """Completions to learn from, and what each of them counts.

    Attributes:
        tokens: ``[B, T]``.
        context: their prompts.
        mask: 1 on tokens that count, ``[B, T]``.
        weight: of the divergence at every token, ``[B, T]``; all of a batch sum to one.
        advantage: of the reward, ``[B]``; 0 without one.
    """

    tokens: Array
    context: Context
    mask: Array
    weight: Array
    advantage: Array


class GKDState(NamedTuple):
    """What a step changes, and the teacher."""

    params: PyTree
    teacher: PyTree
    optimiser: optax.OptState


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class GKD:
    """Distillation of a teacher into a student that shares its vocabulary.

    Each step draws one number and takes either the whole batch as given or the student's own completions of
    its prompts (algorithm 1 of the paper). Floats are leaves of the method's pytree.

    Attributes:
        student: what learns.
        teacher: what it learns from.
        on_policy: λ, the share of steps on the student's own completions.
        divergence: D, with β and the temperature of the loss.
        sampling_temperature: of the student's completions.
        reduction: mean over each completion first ("sequence", the paper's), or over all tokens ("token").
        chosen: which tokens of a sampled completion count; all of them if not given.
        reward: worth of a completion, for a reward beside distillation: every step is then on-policy.
        alpha: weight of distillation against the reward, (1 − α) E[reward] − α D (eq. 5); 1 without one.
        group: completions of each prompt that are compared for the reward's baseline; the prompts of a batch
            must come in such groups.
        top_k: look at the teacher's so many likeliest tokens and the rest as one; None for all.
        chunk: tokens whose scores exist at a time, for models with ``states`` and ``head``; None for all.
        microbatch: completions whose gradient is taken at once, at most, None for all; the step is that of
            the whole batch.
        learning_rate: peak of AdamW with warm-up and cosine, see :class:`~antiphon.methods.sft.SFT`.
        steps: length of the schedule.
        warmup: steps of linear warm-up.
        final: last learning rate as a share of the peak.
        weight_decay: on matrices.

    Raises:
        UserError: a share outside [0, 1]; a reward with fewer than two completions to compare; chunks of
            models that give their scores at once only; a microbatch of none.
    """

    student: SequenceModel = field(metadata={"static": True})
    teacher: SequenceModel = field(metadata={"static": True})
    on_policy: float | Float[Array, ""] = 1.0
    divergence: TokenDivergence = field(default_factory=TokenDivergence)
    sampling_temperature: float = 1.0
    reduction: Reduction = field(default="sequence", metadata={"static": True})
    chosen: Chosen | None = field(default=None, metadata={"static": True})
    reward: Reward | None = field(default=None, metadata={"static": True})
    alpha: float | Float[Array, ""] = 1.0
    group: int = field(default=4, metadata={"static": True})
    top_k: int | None = field(default=None, metadata={"static": True})
    chunk: int | None = field(default=None, metadata={"static": True})
    microbatch: int | None = field(default=None, metadata={"static": True})
    learning_rate: float | Float[Array, ""] = 1e-3
    steps: int = field(default=1000, metadata={"static": True})
    warmup: int = field(default=100, metadata={"static": True})
    final: float = 0.05
    weight_decay: float = 0.01

    def __post_init__(self) -> None:
        for name in ("on_policy", "alpha"):
            value = getattr(self, name)
            if isinstance(value, int | float) and not 0 <= value <= 1:
                raise UserError("field", f"{name} is {value}, outside [0, 1]", "give a share from 0 to 1")
        if self.reward is not None and self.group < 2:
            raise UserError("field", f"group is {self.group}", "compare two completions of a prompt or more")
        check_microbatch(self.microbatch)
        both = isinstance(self.student, HeadedModel) and isinstance(self.teacher, HeadedModel)
        if self.chunk is not None and not both:
            raise UserError(
                "field", f"chunk is {self.chunk}, but a model has no states and head", "leave chunk out"
            )

    def init(self, params: PyTree, teacher: PyTree) -> GKDState:
        """Start from a student, which should already be able to write (the paper fine-tunes it first)."""
        return GKDState(params, teacher, self._schedule().optimiser().init(params))

    def step(
        self, state: GKDState, batch: SFTBatch, key: PRNGKeyArray
    ) -> tuple[GKDState, dict[str, Float[Array, ""]]]:
        """One update.

        Metrics: ``divergence``, nats; ``on_policy``, 1 if the student wrote the batch; ``length``, tokens
        that count in a completion; with a reward also ``reward``, its mean.
        """
        key_share, key_sample = jax.random.split(key)
        given = (batch.tokens, batch.mask.astype(jnp.float32))
        share = 1.0 if self.reward is not None else self.on_policy
        own = jax.random.uniform(key_share) < share

        def write() -> tuple[Array, Array]:
            tokens = self.student.sample(
                state.params, key_sample, batch.context, temperature=self.sampling_temperature
            )
            if tokens.shape != batch.tokens.shape:
                raise UserError(
                    "batch",
                    f"the student writes shape {tokens.shape}, the batch holds {batch.tokens.shape}",
                    "pad both to one length",
                )
            counts = jnp.ones(tokens.shape) if self.chosen is None else self.chosen(batch.context, tokens)
            return tokens.astype(batch.tokens.dtype), counts.astype(jnp.float32)

        tokens, mask = jax.lax.cond(own, write, lambda: given)

        lesson, metrics = self._lesson(tokens, batch.context, mask)
        pieces = number_of_pieces(len(tokens), self.microbatch or len(tokens))
        # The mean over pieces divides by their number.
        lesson = lesson._replace(weight=lesson.weight * pieces)

        def gradient_of(piece: _Lesson) -> tuple[tuple[Array, Array], PyTree]:
            return jax.value_and_grad(self._of_lesson, has_aux=True)(state.params, state.teacher, piece)

        (_, divergence), gradient = mean_over_microbatches(gradient_of, lesson, pieces)
        updates, optimiser = self._schedule().optimiser().update(gradient, state.optimiser, state.params)
        metrics |= {
            "divergence": divergence, "on_policy": own.astype(jnp.float32),
            "length": jnp.mean(jnp.sum(mask, axis=1)),
        }  # fmt: skip
        return GKDState(optax.apply_updates(state.params, updates), state.teacher, optimiser), metrics

    def loss(
        self,
        params: PyTree,
        teacher: PyTree,
        tokens: Int[Array, "B T"],
        context: Context,
        mask: Shaped[Array, "B T"],
    ) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
        """What a step descends on, for completions from wherever, with its metrics.

        With a reward: α D − (1 − α)(1/B) Σ_b (r_b − baseline_b) Σ_t log Q(y_t|…), whose gradient on the
        student's own completions estimates that of −[(1 − α) E[r] − α D].
        """
        lesson, metrics = self._lesson(tokens, context, mask)
        loss, divergence = self._of_lesson(params, teacher, lesson)
        return loss, {"divergence": divergence, **metrics}

    def _lesson(
        self, tokens: Int[Array, "B T"], context: Context, mask: Shaped[Array, "B T"]
    ) -> tuple[_Lesson, dict[str, Array]]:
        """What depends on the whole batch and on no weight, with its metrics."""
        weight = token_weights(mask, self.reduction)
        if self.reward is None:
            return _Lesson(tokens, context, mask, weight, jnp.zeros(len(tokens))), {}
        worth = jax.lax.stop_gradient(self.reward(context, tokens))
        advantage = leave_one_out(worth.reshape(-1, self.group)).reshape(-1)
        return _Lesson(tokens, context, mask, weight, advantage), {"reward": jnp.mean(worth)}

    def _of_lesson(self, params: PyTree, teacher: PyTree, lesson: _Lesson) -> tuple[Array, Array]:
        """Loss and divergence."""
        apart = self.per_token(params, teacher, lesson.tokens, lesson.context)
        divergence = jnp.sum(jnp.where(lesson.mask > 0, apart * lesson.weight, 0.0))
        if self.reward is None:
            return divergence, divergence
        logits = self.student.logits(params, lesson.tokens, lesson.context).astype(jnp.float32)
        log_q = pick(logits, lesson.tokens) - jax.nn.logsumexp(logits, axis=-1)
        said = jnp.sum(jnp.where(lesson.mask > 0, log_q, 0.0), axis=1)
        gained = jnp.mean(lesson.advantage * said)
        return self.alpha * divergence - (1.0 - self.alpha) * gained, divergence

    def per_token(
        self, params: PyTree, teacher: PyTree, tokens: Int[Array, "B T"], context: Context
    ) -> Float[Array, "B T"]:
        """The divergence at every token, in nats; no gradient flows into the teacher."""
        teacher = jax.lax.stop_gradient(teacher)
        if self.chunk is None:
            known = self.teacher.logits(teacher, tokens, context)
            return self._compare(known, self.student.logits(params, tokens, context))
        student_head, teacher_head = self.student, self.teacher
        assert isinstance(student_head, HeadedModel)
        assert isinstance(teacher_head, HeadedModel)

        def of_states(known: Array, learnt: Array) -> Array:
            return self._compare(teacher_head.head(teacher, known), student_head.head(params, learnt))

        known = teacher_head.states(teacher, tokens, context)
        learnt = student_head.states(params, tokens, context)
        return in_chunks(of_states, known, learnt, self.chunk)

    def _compare(self, teacher: Float[Array, "*B V"], student: Float[Array, "*B V"]) -> Float[Array, "*B"]:
        if teacher.shape[-1] != student.shape[-1]:
            raise UserError(
                "model",
                f"the teacher has {teacher.shape[-1]} tokens and the student {student.shape[-1]}",
                "distil between models with one vocabulary",
            )
        if self.top_k is not None:
            return top_k_divergence(self.divergence, teacher, student, self.top_k)
        return self.divergence(teacher, student)

    def _schedule(self) -> SFT:
        """The optimiser is that of supervised fine-tuning."""
        return SFT(
            self.student, learning_rate=self.learning_rate, steps=self.steps, warmup=self.warmup,
            final=self.final, weight_decay=self.weight_decay,
        )  # fmt: skip
