"""The step that every judge of pairs is fitted with."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PyTree

from antiphon.feedback.pairs import Pairs
from antiphon.objectives.preferences import comparison_loss

LogOdds = Callable[[PyTree, PyTree, PyTree, PyTree], Float[Array, " B"]]
"""``(params, context, first, second) -> [B]``: log-odds that the first is preferred."""


class JudgeState(NamedTuple):
    """Weights and optimiser state."""

    params: PyTree
    optimiser: optax.OptState


def warm_and_cool(
    learning_rate: float | Float[Array, ""], steps: int, warmup: int, weight_decay: float, clip: float
) -> optax.GradientTransformation:
    """AdamW behind a norm clip: linear warm-up, then a cosine to nothing; decay of matrices only."""
    share = optax.warmup_cosine_decay_schedule(0.0, 1.0, min(warmup, steps // 10 + 1), steps, 0.0)
    adam = optax.adamw(
        lambda count: learning_rate * share(count),
        b1=0.9,
        b2=0.98,
        weight_decay=weight_decay,
        mask=lambda params: jax.tree.map(lambda leaf: leaf.ndim >= 2, params),
    )
    return optax.chain(optax.clip_by_global_norm(clip), adam)


def comparison_step(
    log_odds: LogOdds, optimiser: optax.GradientTransformation, state: JudgeState, pairs: Pairs
) -> tuple[JudgeState, dict[str, Float[Array, ""]]]:
    """One step down the cross-entropy of who is preferred.

    Metrics: ``loss``, nats; ``accuracy``, see :func:`agreement`.
    """

    def loss_of(params: PyTree) -> tuple[Array, Array]:
        odds = log_odds(params, pairs.context, pairs.first, pairs.second)
        return comparison_loss(odds, pairs.preferred), agreement(odds, pairs.preferred)

    (loss, accuracy), gradient = jax.value_and_grad(loss_of, has_aux=True)(state.params)
    updates, moments = optimiser.update(gradient, state.optimiser, state.params)
    new = JudgeState(optax.apply_updates(state.params, updates), moments)
    return new, {"loss": loss, "accuracy": accuracy}


def agreement(log_odds: Float[Array, " B"], preferred: Float[Array, " B"]) -> Float[Array, ""]:
    """How often a judge names the answer that was preferred; an undecided judge is right half of the time."""
    said = 0.5 * (1.0 + jnp.sign(log_odds))
    return jnp.mean(said * preferred + (1.0 - said) * (1.0 - preferred))
