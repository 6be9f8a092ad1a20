"""Drawing a token from logits: temperature, top-k, top-p, and a draw that needs two numbers a row."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from antiphon.core.divergences import log_probs

_BLOCK = 256
"""Entries summed before the first of the two draws."""


def draw_token(
    keys: Key[Array, "B"],
    logits: Float[Array, "B V"],
    temperature: float | Float[Array, ""],
    top_k: int,
    top_p: float,
) -> tuple[Int[Array, "B"], Float[Array, "B"]]:
    """One token a row.

    Args:
        keys: one for each row, so that a row's draw does not depend on its neighbours.
        logits: scores.
        temperature: of ``softmax(logits / temperature)``; 0 takes the largest.
        top_k: only so many of the largest are drawn from; 0 for all. Ties with the last are kept.
        top_p: only the fewest of the largest whose mass is at least this; 1 for all. Of what ``top_k`` left.

    Returns:
        The tokens, and their log-probability under ``softmax(logits / temperature)`` before ``top_k`` and
        ``top_p`` (at temperature 0: under ``softmax(logits)``).
    """
    best = jnp.argmax(logits, axis=-1).astype(jnp.int32)
    if isinstance(temperature, int | float) and temperature == 0:
        return best, _log_prob(logits, best)
    greedy = jnp.asarray(temperature) == 0
    logits = logits / jnp.where(greedy, 1.0, temperature)
    drawn = categorical(keys, keep_largest(logits, top_k, top_p))
    token = jnp.where(greedy, best, drawn)
    return token, _log_prob(logits, token)


def keep_largest(logits: Float[Array, "B V"], top_k: int, top_p: float) -> Float[Array, "B V"]:
    """``-inf`` on what ``top_k`` and then ``top_p`` leave out; see :func:`draw_token`."""
    if not 0 < top_k < logits.shape[-1] and top_p >= 1:
        return logits
    count = top_k if 0 < top_k < logits.shape[-1] else logits.shape[-1]
    largest = jax.lax.top_k(logits, count)[0]  # in falling order
    if top_p < 1:
        share = jax.nn.softmax(largest, axis=-1)
        # The mass before an entry, not with it: the one that reaches top_p is kept.
        before = jnp.cumsum(share, axis=-1) - share
        largest = jnp.where(before < top_p, largest, jnp.inf)
    return jnp.where(logits >= jnp.min(largest, axis=-1, keepdims=True), logits, -jnp.inf)


def categorical(keys: Key[Array, "B"], logits: Float[Array, "B V"]) -> Int[Array, "B"]:
    """A draw from ``softmax(logits)`` for each row.

    Two uniform numbers a row instead of V Gumbel ones: the first chooses a block of 256 entries, the second
    an entry of it. With one number float32 could not tell apart entries rarer than 1e-7.
    """
    batch, size = logits.shape
    weight = jnp.exp(logits - jnp.max(logits, axis=-1, keepdims=True))
    blocks = jnp.pad(weight, ((0, 0), (0, -size % _BLOCK))).reshape(batch, -1, _BLOCK)
    uniform = jax.vmap(lambda key: jax.random.uniform(key, (2,)))(keys)
    block = _invert(jnp.sum(blocks, axis=-1), uniform[:, 0])
    inside = _invert(jnp.take_along_axis(blocks, block[:, None, None], axis=1)[:, 0], uniform[:, 1])
    return (block * _BLOCK + inside).astype(jnp.int32)


def _invert(weight: Float[Array, "B n"], uniform: Float[Array, "B"]) -> Int[Array, "B"]:
    """First entry whose cumulated weight exceeds the uniform share of the total."""
    so_far = jnp.cumsum(weight, axis=-1)
    chosen = jnp.sum(so_far <= uniform[:, None] * so_far[:, -1:], axis=-1)
    # A share that rounds up to the total would choose an entry behind the last one of any weight.
    last = weight.shape[-1] - 1 - jnp.argmax(weight[:, ::-1] > 0, axis=-1)
    return jnp.minimum(chosen, last)


def _log_prob(logits: Float[Array, "B V"], token: Int[Array, "B"]) -> Float[Array, "B"]:
    return jnp.take_along_axis(log_probs(logits), token[:, None], axis=-1)[:, 0]
