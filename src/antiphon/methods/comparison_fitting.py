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
