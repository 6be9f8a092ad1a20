"""Sampling from a frame model: one scan over frames with key-value caches, guidance, and a forced prefix."""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, PRNGKeyArray

from antiphon.nets.frame_model import FrameContext, FrameModel, FrameParams
from antiphon.nets.layers import rms_norm
from antiphon.nets.precision import matmul_dtype
from antiphon.nets.transformer import Block, Cache, block_step

_STAGES = 4
"""The scan is cut into stages whose attention looks at ever longer (static) prefixes of the cache: five eighths of the reads of a full-length scan."""


def sample_frames(
    model: FrameModel,
    params: FrameParams,
    key: PRNGKeyArray,
    context: FrameContext,
    temperature: float | Array,
    guidance: float | None,
    prefix: Int[Array, "B T"] | None,
    prefix_frames: int | Array,
) -> Int[Array, "B T"]:
    """Draw the frames of ``context.side`` one after the other.

    With ``guidance`` g the logits are ``none + g (caption - none)`` (classifier-free guidance, arXiv 2207.12598), at twice the cost. The first ``prefix_frames`` frames are
    taken from ``prefix`` instead of being drawn (continuation).

    Returns:
      ``[B, F * L]`` int32.
    """
    batch, frames = context.side.shape[:2]
    low = _round_matrices(params)
    caption = model.caption_vector(params, context.words, context.present)
    side = model.side_vector(params, context.side)
    if guidance is not None:
        nothing = jnp.broadcast_to(params.no_caption, caption.shape)
        caption, side = jnp.concatenate([caption, nothing]), jnp.concatenate([side, side])
    rows = caption.shape[0]
    forced = jnp.zeros((batch, frames, model.levels), jnp.int32)
    if prefix is not None:
        given = prefix.reshape(batch, -1, model.levels)[:, :frames]
        forced = forced.at[:, : given.shape[1]].set(given)

    def frame(carry, item, seen):
        caches, previous, key = carry
        f, side_f, forced_f = item
        x, updated = previous + side_f + caption, []
        for i in range(model.layers):
            block = Block(*(leaf[i] for leaf in low.blocks))
            x, cache = block_step(block, model.block, x, caches[i], f, seen)
            updated.append(cache)
        state = rms_norm(x, params.gain)
        tokens, total = [], jnp.zeros((rows, model.width))
        for level in range(model.levels):
            logits = model.level_logits(low, state, level)
            if guidance is not None:
                with_caption, without = jnp.split(logits, 2)
                logits = without + guidance * (with_caption - without)
            key, key_draw = jax.random.split(key)
            drawn = jax.random.categorical(key_draw, logits / temperature, axis=-1).astype(jnp.int32)
            token = jnp.where(f < prefix_frames, forced_f[:, level], drawn)
            tokens.append(token)
            both = token if guidance is None else jnp.concatenate([token, token])
            total = total + params.tokens[level][both]
            state = state + params.drawn[level][both]
        return (updated, total, key), jnp.stack(tokens, axis=-1)

    caches = [Cache.empty(rows, frames, model.block) for _ in range(model.layers)]
    carry = (caches, jnp.broadcast_to(params.start, (rows, model.width)), key)
    pieces = []
    edges = sorted({frames * s // _STAGES for s in range(_STAGES + 1)})
    for begin, end in zip(edges[:-1], edges[1:], strict=True):
        items = (
            jnp.arange(begin, end),
            jnp.moveaxis(side[:, begin:end], 1, 0),
            jnp.moveaxis(forced[:, begin:end], 1, 0),
        )
        carry, drawn = jax.lax.scan(functools.partial(frame, seen=end), carry, items)
        pieces.append(drawn)
    tokens = jnp.concatenate(pieces)
    return jnp.moveaxis(tokens, 0, 1).reshape(batch, frames * model.levels)


def _round_matrices(params: FrameParams) -> FrameParams:
    """Round the matrices of blocks and heads once, instead of at every step of the scan."""
    dtype = matmul_dtype()

    def low(tree):
        return jax.tree.map(lambda leaf: leaf.astype(dtype) if leaf.ndim >= 3 else leaf, tree)

    return params._replace(blocks=low(params.blocks), heads=low(params.heads))
