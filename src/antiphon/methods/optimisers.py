"""Optimisers that several methods share: Adam behind a bound on the gradient's norm, with a warm-up."""

import jax
import optax
from jaxtyping import Array, Float


def warm(
    learning_rate: float | Float[Array, ""], clip: float | Float[Array, ""]
) -> optax.GradientTransformation:
    """Adam, for losses that are sampled: ten steps of warm-up from a tenth of the rate, then the rate."""
    share = optax.linear_schedule(0.1, 1.0, 10)
    adam = optax.adam(lambda count: learning_rate * share(count), b1=0.9, b2=0.95)
    return optax.chain(optax.clip_by_global_norm(clip), adam)


def warm_and_cool(
    learning_rate: float | Float[Array, ""],
    steps: int,
    warmup: int,
    weight_decay: float,
    clip: float,
    final: float = 0.0,
) -> optax.GradientTransformation:
    """AdamW, for losses on given rows: linear warm-up, then a cosine; decay of leaves of two or more axes.

    Args:
        learning_rate: peak.
        steps: length of the schedule.
        warmup: steps of warm-up, at most a tenth of ``steps``.
        weight_decay: of AdamW.
        clip: bound on the gradient's norm.
        final: last learning rate as a share of the peak.
    """
    share = optax.warmup_cosine_decay_schedule(0.0, 1.0, min(warmup, steps // 10 + 1), steps, final)
    adam = optax.adamw(
        lambda count: learning_rate * share(count),
        b1=0.9,
        b2=0.98,
        weight_decay=weight_decay,
        mask=lambda params: jax.tree.map(lambda leaf: leaf.ndim >= 2, params),
    )
    return optax.chain(optax.clip_by_global_norm(clip), adam)
