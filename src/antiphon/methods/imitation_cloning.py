"""Behavioural cloning of a tabular expert: do in each state what was done there."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from antiphon.core.errors import UserError


def clone(
    occupancy: Float[Array, "T *P S A"], smoothing: float | Float[Array, ""] = 0.0
) -> Float[Array, "T *P S A"]:
    """π_t(a|s) = (n_t(s, a) + κ) / Σ_a' (n_t(s, a') + κ): maximum likelihood, uniform where nothing was seen.

    Args:
        occupancy: how often each state and action was demonstrated at each time; counts, or shares of the
            players as ``Demonstrations.occupancy`` gives them.
        smoothing: κ ≥ 0, in the units of ``occupancy``: what is added to every action (Laplace).

    Raises:
        UserError: a smoothing below 0.

    Source: Pomerleau 1991; the first proxy of arXiv 2306.14799.
    """
    if isinstance(smoothing, int | float) and smoothing < 0:
        raise UserError("smoothing", f"smoothing is {smoothing}", "give a number ≥ 0")
    added = occupancy + smoothing
    total = jnp.sum(added, axis=-1, keepdims=True)
    return jnp.where(total > 0, added / jnp.where(total > 0, total, 1.0), 1.0 / occupancy.shape[-1])
