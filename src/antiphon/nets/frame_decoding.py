"""Sampling from a frame model: one scan over frames with key-value caches, guidance, and a forced prefix."""

import functools
import itertools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from antiphon.core.errors import UserError
from antiphon.nets.frame_model import FrameContext, FrameModel, FrameParams
from antiphon.nets.layers import rms_norm
from antiphon.nets.precision import matmul_dtype
from antiphon.nets.transformer import Block, Cache, block_step

_STAGES = 4
"""The scan is cut into stages whose attention looks at ever longer (static) prefixes of the cache: five
eighths of the reads of a full-length scan."""


def sample_frames(
    model: FrameModel,
    params: FrameParams,
    key: PRNGKeyArray,
    context: FrameContext,
    temperature: float | Float[Array, ""],
    guidance: float | None = None,
    prefix: Int[Array, "B P"] | None = None,
    prefix_frames: int | Int[Array, ""] = 0,
) -> Int[Array, "B T"]:
    """Draw the frames of ``context.side`` one after the other.

    With ``guidance`` g the logits are ``none + g (caption − none)`` (classifier-free guidance, arXiv
    2207.12598), at twice the cost.

    Args:
        model: sizes.
        params: weights.
        key: one for the whole batch.
        context: captions and side information; its F frames are the length of the result.
        temperature: > 0; the logits are divided by it.
        guidance: 1 or ``None`` follow the caption as trained, more exaggerates it.
        prefix: tokens to continue, at least ``prefix_frames`` whole frames.
        prefix_frames: so many first frames are taken from ``prefix`` instead of being drawn; may be traced.

    Returns:
        ``[B, F · L]`` int32.

    Raises:
        UserError: the prefix is missing, or shorter than ``prefix_frames``.
    """
    batch, frames = context.side.shape[:2]
    forced = _forced(model, batch, frames, prefix, prefix_frames)
    low = _round_matrices(params)
    caption = model.caption_vector(params, context.words, context.present)
    side = model.side_vector(params, context.side)
    if guidance is not None:
        nothing = jnp.broadcast_to(params.no_caption, caption.shape)
        caption, side = jnp.concatenate([caption, nothing]), jnp.concatenate([side, side])
    rows = caption.shape[0]

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
    for begin, end in itertools.pairwise(edges):
        items = (
            jnp.arange(begin, end),
            jnp.moveaxis(side[:, begin:end], 1, 0),
            jnp.moveaxis(forced[:, begin:end], 1, 0),
        )
        carry, drawn = jax.lax.scan(functools.partial(frame, seen=end), carry, items)
        pieces.append(drawn)
    tokens = jnp.concatenate(pieces)
    return jnp.moveaxis(tokens, 0, 1).reshape(batch, frames * model.levels)


def _forced(
    model: FrameModel,
    batch: int,
    frames: int,
    prefix: Int[Array, "B P"] | None,
    prefix_frames: int | Int[Array, ""],
) -> Int[Array, "B F L"]:
    """The prefix at its place, zeros after it."""
    forced = jnp.zeros((batch, frames, model.levels), jnp.int32)
    given = forced[:, :0] if prefix is None else model.frames(prefix)[:, :frames]
    if isinstance(prefix_frames, int) and given.shape[1] < min(prefix_frames, frames):
        raise UserError(
            "prefix",
            f"{prefix_frames} frames are to be kept but the prefix has {given.shape[1]}",
            "give a longer prefix, or keep fewer frames",
        )
    return forced.at[:, : given.shape[1]].set(given)


def _round_matrices(params: FrameParams) -> FrameParams:
    """Round the matrices of blocks and heads once, instead of at every step of the scan."""
    dtype = matmul_dtype()

    def low(tree):
        return jax.tree.map(lambda leaf: leaf.astype(dtype) if leaf.ndim >= 3 else leaf, tree)

    return params._replace(blocks=low(params.blocks), heads=low(params.heads))
