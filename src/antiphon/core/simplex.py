"""The probability simplex: the shared mirror step, projection, entropy and random points."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from antiphon.core.errors import UserError


def mirror_step(
    log_anchor: Float[Array, "*B A"], credit: Float[Array, "*B A"], tau: float | Float[Array, ""]
) -> Float[Array, "*B A"]:
    """Log of the policy that maximises ⟨π, credit⟩ − τ KL(π‖anchor): log_softmax(log anchor + credit / τ).

    Args:
        log_anchor: log-probabilities (or logits) of the anchor; ``-inf`` actions stay excluded.
        credit: what each action deserves, in units of reward.
        tau: strength of the anchor, in units of reward, > 0; may be traced.

    Returns:
        Normalised log-probabilities.

    Raises:
        UserError: a Python number tau that is not positive.

    Source: the closed form of mirror descent with a KL; the tabular step of Nash-MD, arXiv 2312.00886, has a
    geometric mixture as its anchor.
    """
    if isinstance(tau, int | float) and tau <= 0:
        raise UserError("field", f"tau is {tau}, not positive", "give an anchor strength tau > 0")
    return jax.nn.log_softmax(log_anchor + credit / tau, axis=-1)


def safe_log(x: Float[Array, "*B"]) -> Float[Array, "*B"]:
    """Log x, floored at the log of the smallest normal number, with zero gradient below the floor.

    So ``p * safe_log(p)`` is 0 at p = 0, and so is its derivative's contribution from the logarithm.
    """
    floor = jnp.finfo(x.dtype).tiny
    above = x > floor
    return jnp.where(above, jnp.log(jnp.where(above, x, 1.0)), math.log(float(floor)))


def entropy(logits: Float[Array, "*B A"]) -> Float[Array, "*B"]:
    """Shannon entropy −Σ_a p(a) log p(a) in nats, of logits or log-probabilities; ``-inf`` logits allowed."""
    log_p = jax.nn.log_softmax(logits.astype(jnp.promote_types(logits.dtype, jnp.float32)), axis=-1)
    p = jnp.exp(log_p)
    return -jnp.sum(p * jnp.where(p > 0, log_p, 0.0), axis=-1)


def project(points: Float[Array, "*B A"]) -> Float[Array, "*B A"]:
    """Euclidean projection onto the simplex, argmin_{π ∈ Δ} ‖π − x‖².

    The answer is max(x − θ, 0), with θ read off the sorted coordinates: the largest k for which the k-th
    largest coordinate still exceeds the mean excess of the first k over one.

    Source: Duchi et al. 2008, "Efficient projections onto the l1-ball", algorithm 1.
    """
    # A shift does not change the projection and keeps the cumulative sum accurate far from the simplex.
    points = points - jnp.max(points, axis=-1, keepdims=True)
    descending = jnp.sort(points, axis=-1, descending=True)
    thresholds = (jnp.cumsum(descending, axis=-1) - 1.0) / jnp.arange(1, points.shape[-1] + 1)
    support = jnp.sum(descending > thresholds, axis=-1, keepdims=True)
    return jnp.maximum(points - jnp.take_along_axis(thresholds, support - 1, axis=-1), 0.0)


def random_points(
    key: Key[Array, ""], shape: tuple[int, ...], concentration: float = 1.0
) -> Float[Array, "*B A"]:
    """Points drawn from the symmetric Dirichlet distribution; concentration 1 is uniform on the simplex.

    Args:
        key: random key.
        shape: batch axes followed by the number of outcomes.
        concentration: Dirichlet parameter, > 0; small values sit near the corners.

    Raises:
        UserError: a concentration that is not positive.
    """
    if concentration <= 0:
        raise UserError("field", f"concentration is {concentration}", "give a Dirichlet concentration > 0")
    return jax.random.dirichlet(key, jnp.full(shape[-1], concentration), shape[:-1])
