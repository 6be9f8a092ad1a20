"""The clipped surrogate of PPO: a policy gradient that stops where it has moved far enough from its data.

With the ratio r = π(a|s) / μ(a|s) of the policy that learns to the one that acted,

    L = −mean[ min( r A, clip(r, 1 − ε, 1 + ε) A ) ]

is the policy-gradient loss at r = 1 and flat where r has left [1 − ε, 1 + ε] in the direction A asks for.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Shaped

from antiphon.objectives.policy_gradient import low_variance_kl_per_step

Scalar = float | Float[Array, ""]


def clipped_surrogate_loss(
    log_prob: Float[Array, "*B"],
    log_prob_behaviour: Float[Array, "*B"],
    advantage: Float[Array, "*B"],
    clip: Scalar = 0.2,
    mask: Shaped[Array, "*B"] | None = None,
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """Mean of −min(r A, clip(r, 1 − ε, 1 + ε) A) over the steps that count.

    Args:
        log_prob: of the actions under the policy that learns.
        log_prob_behaviour: of the same actions under the policy that took them.
        advantage: of the actions; no gradient flows into it.
        clip: ε.
        mask: 1 on steps that count; all unless given.

    Returns:
        The loss, and metrics: ``kl``, an estimate of KL(behaviour ‖ policy) in nats that is never negative,
        and ``clipped``, the share of steps whose gradient the clip removes.

    Source: arXiv 1707.06347, eq. 7.
    """
    counts = jnp.ones(log_prob.shape) if mask is None else (mask > 0).astype(log_prob.dtype)
    steps = jnp.maximum(jnp.sum(counts), 1.0)
    # Replaced before use: a masked step's ratio may overflow, and 0 · ∞ would reach the gradient.
    log_ratio = jnp.where(counts > 0, log_prob - log_prob_behaviour, 0.0)
    ratio, advantage = jnp.exp(log_ratio), jax.lax.stop_gradient(advantage)
    bounded = jnp.clip(ratio, 1.0 - clip, 1.0 + clip)
    objective = jnp.minimum(ratio * advantage, bounded * advantage)
    kl = low_variance_kl_per_step(jnp.zeros_like(log_ratio), log_ratio)
    metrics = {
        "kl": jnp.sum(counts * kl) / steps,
        "clipped": jnp.sum(counts * (bounded * advantage < ratio * advantage)) / steps,
    }
    return -jnp.sum(counts * objective) / steps, jax.lax.stop_gradient(metrics)


def clipped_value_loss(
    value: Float[Array, "*B"],
    value_behaviour: Float[Array, "*B"],
    target: Float[Array, "*B"],
    clip: Scalar | None = None,
    mask: Shaped[Array, "*B"] | None = None,
) -> Float[Array, ""]:
    """Mean squared error of a critic, in which a change beyond ±clip of its old answer earns nothing.

    mean max( (v − g)², (v_old + clip(v − v_old, −c, c) − g)² ), the plain squared error with ``clip=None``.

    Args:
        value: of the critic that learns.
        value_behaviour: of the critic when the data was collected.
        target: g; no gradient flows into it.
        clip: c, in units of value.
        mask: 1 on steps that count; all unless given.

    Source: arXiv 2005.12729, section 3 (value clipping, one of the implementation matters of PPO).
    """
    counts = jnp.ones(value.shape) if mask is None else (mask > 0).astype(value.dtype)
    target = jax.lax.stop_gradient(target)
    error = (value - target) ** 2
    if clip is not None:
        bounded = value_behaviour + jnp.clip(value - value_behaviour, -clip, clip)
        error = jnp.maximum(error, (bounded - target) ** 2)
    return jnp.sum(jnp.where(counts > 0, error, 0.0)) / jnp.maximum(jnp.sum(counts), 1.0)
