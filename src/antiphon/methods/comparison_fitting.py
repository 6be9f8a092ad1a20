"""The step that every judge of pairs is fitted with."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PyTree

from antiphon.feedback.pairs import Pairs
from antiphon.methods.microbatches import mean_over_microbatches, number_of_pieces
from antiphon.objectives.preferences import comparison_loss

LogOdds = Callable[[PyTree, PyTree, PyTree, PyTree], Float[Array, " B"]]
"""``(params, context, first, second) -> [B]``: log-odds that the first is preferred."""


class JudgeState(NamedTuple):
    """Weights and optimiser state."""

    params: PyTree
    optimiser: optax.OptState


def comparison_step(
    log_odds: LogOdds,
    optimiser: optax.GradientTransformation,
    state: JudgeState,
    pairs: Pairs,
    microbatch: int | None = None,
) -> tuple[JudgeState, dict[str, Float[Array, ""]]]:
    """One step down the cross-entropy of who is preferred.

    Metrics: ``loss``, nats; ``accuracy``, see :func:`agreement`.

    Args:
        log_odds: what is fitted.
        optimiser: how.
        state: before the step.
        pairs: the batch.
        microbatch: pairs whose gradient is taken at once, at most, None for all; the step is that of the
            whole batch.
    """

    def loss_of(params: PyTree, piece: Pairs) -> tuple[Array, Array]:
        odds = log_odds(params, piece.context, piece.first, piece.second)
        return comparison_loss(odds, piece.preferred), agreement(odds, piece.preferred)

    def gradient_of(piece: Pairs) -> tuple[tuple[Array, Array], PyTree]:
        return jax.value_and_grad(loss_of, has_aux=True)(state.params, piece)

    count = len(pairs.preferred)
    pieces = number_of_pieces(count, microbatch or count)
    (loss, accuracy), gradient = mean_over_microbatches(gradient_of, pairs, pieces)
    updates, moments = optimiser.update(gradient, state.optimiser, state.params)
    new = JudgeState(optax.apply_updates(state.params, updates), moments)
    return new, {"loss": loss, "accuracy": accuracy}


def agreement(log_odds: Float[Array, " B"], preferred: Float[Array, " B"]) -> Float[Array, ""]:
    """How often a judge names the answer that was preferred; an undecided judge is right half of the time."""
    said = 0.5 * (1.0 + jnp.sign(log_odds))
    return jnp.mean(said * preferred + (1.0 - said) * (1.0 - preferred))
