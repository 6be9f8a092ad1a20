"""An autoregressive model of frames of tokens: a transformer over frames, per-level heads inside a frame.

Each frame holds ``L`` tokens, coarse to fine. The transformer runs once a frame; inside the frame each level has a two-layer head over the frame's state plus
the embeddings of the levels already drawn. That has the conditioning set of a depth transformer (RQ-Transformer, arXiv 2203.01941) at a fraction of its cost.

Side information (position in the beat, say) enters as categories that are known for every frame in advance; the caption enters every frame as one added vector.
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from antiphon.nets.embedding import embed
from antiphon.nets.layers import Dense, rms_norm, stack
from antiphon.nets.text_encoder import TextEncoder, TextParams
from antiphon.nets.transformer import Block, BlockConfig, blocks_forward


class FrameContext(NamedTuple):
    """What a clip is conditioned on.

    ``words`` ``[B, W, P]`` hashed caption; ``side`` ``[B, F, S]`` categories per frame; ``present`` ``[B]`` False where the caption is to be ignored (classifier-free guidance).
    """

    words: Array
    side: Array
    present: Array


class LevelHead(NamedTuple):
    """One level's way from frame state to logits."""

    hidden: Dense
    back: Dense
    gain: Array
    logits: Dense


class FrameParams(NamedTuple):
    """Weights. ``tokens`` ``[L, V, d]`` feed the next frame, ``drawn`` ``[L, V, d]`` the levels below in the same frame, ``side`` one table per side category.

    ``start`` ``[d]`` stands for the frame before the first, ``no_caption`` ``[d]`` for a caption left out. ``heads`` have a leading level axis.
    """

    tokens: Array
    drawn: Array
    side: tuple[Array, ...]
    start: Array
    no_caption: Array
    text: TextParams
    blocks: Block
    gain: Array
    heads: LevelHead


@dataclass(frozen=True)
class FrameModel:
    """A :class:`~antiphon.nets.sequence_model.SequenceModel` over ``frames x levels`` tokens of ``codes`` values.

    ``side_sizes`` are the numbers of categories of each kind of side information; ``depth_hidden`` is the width of the level heads.
    """

    levels: int = 3
    codes: int = 512
    width: int = 256
    heads: int = 4
    layers: int = 5
    hidden: int = 704
    depth_hidden: int = 384
    side_sizes: tuple[int, ...] = (24, 48)
    text_width: int = 128

    @property
    def block(self) -> BlockConfig:
        """Sizes of a block."""
        return BlockConfig(self.width, self.heads, self.hidden)

    @property
    def text(self) -> TextEncoder:
        """The caption encoder."""
        return TextEncoder(self.width, width=self.text_width)

    def init(self, key: PRNGKeyArray) -> FrameParams:
        """Random weights."""
        k = jax.random.split(key, 9)
        d = self.width

        def head(key):
            key_hidden, key_back, key_logits = jax.random.split(key, 3)
            return LevelHead(
                Dense.init(key_hidden, d, self.depth_hidden),
                Dense.init(key_back, self.depth_hidden, d),
                jnp.ones(d),
                Dense.init(key_logits, d, self.codes, scale=0.5),
            )

        def table(key, *shape):
            return jax.random.normal(key, shape) * 0.3

        side_keys = jax.random.split(k[2], max(1, len(self.side_sizes)))
        return FrameParams(
            tokens=table(k[0], self.levels, self.codes, d),
            drawn=table(k[1], self.levels, self.codes, d),
            side=tuple(table(key, n, d) for key, n in zip(side_keys, self.side_sizes, strict=False)),
            start=table(k[3], d),
            no_caption=table(k[4], d),
            text=self.text.init(k[5]),
            blocks=stack(lambda key: Block.init(key, self.block, self.layers), k[6], self.layers),
            gain=jnp.ones(d),
            heads=stack(head, k[7], self.levels),
        )

    def caption_vector(self, params: FrameParams, words: Array, present: Bool[Array, " B"]) -> Float[Array, "B d"]:
        """The vector added to every frame."""
        return jnp.where(present[:, None], self.text(params.text, words), params.no_caption)

    def side_vector(self, params: FrameParams, side: Int[Array, "B F S"]) -> Float[Array, "B F d"]:
        """Sum of the side categories' embeddings."""
        return sum(embed(table, side[..., i]) for i, table in enumerate(params.side))

    def states(self, params: FrameParams, tokens: Int[Array, "B T"], context: FrameContext) -> Float[Array, "B F d"]:
        """What the transformer knows before each frame is drawn."""
        frames = self._frames(tokens)
        summed = sum(embed(params.tokens[level], frames[..., level]) for level in range(self.levels))
        start = jnp.broadcast_to(params.start, (frames.shape[0], 1, self.width))
        x = jnp.concatenate([start, summed[:, :-1]], axis=1)
        x = x + self.side_vector(params, context.side[:, : frames.shape[1]])
        x = x + self.caption_vector(params, context.words, context.present)[:, None]
        x = blocks_forward(params.blocks, self.block, x, jnp.tril(jnp.ones((x.shape[1],) * 2, bool)))
        return rms_norm(x, params.gain)

    def logits(self, params: FrameParams, tokens: Int[Array, "B T"], context: FrameContext) -> Float[Array, "B T V"]:
        """See :class:`~antiphon.nets.sequence_model.SequenceModel`; ``T = F * levels``, frame after frame."""
        state = self.states(params, tokens, context)
        frames = self._frames(tokens)
        levels = []
        for level in range(self.levels):
            levels.append(self.level_logits(params, state, level))
            if level + 1 < self.levels:
                state = state + embed(params.drawn[level], frames[..., level])
        stacked = jnp.stack(levels, axis=2)
        return stacked.reshape(tokens.shape[0], tokens.shape[1], self.codes)

    def level_logits(self, params: FrameParams, state: Float[Array, "*batch d"], level: int) -> Float[Array, "*batch V"]:
        """Logits of one level from the frame state plus the embeddings of the levels already drawn."""
        head = jax.tree.map(lambda leaf: leaf[level], params.heads)
        x = state + head.back(jax.nn.silu(head.hidden(state)))
        return head.logits(rms_norm(x, head.gain))

    def sample(
        self,
        params: FrameParams,
        key: PRNGKeyArray,
        context: FrameContext,
        *,
        temperature: float = 0.99,
        guidance: float | None = None,
        prefix: Int[Array, "B T"] | None = None,
        prefix_frames: int | Array = 0,
    ) -> Int[Array, "B T"]:
        """Draw ``F`` frames, ``F`` from ``context.side``; see :func:`antiphon.nets.frame_decoding.sample_frames`."""
        from antiphon.nets.frame_decoding import sample_frames

        return sample_frames(self, params, key, context, temperature, guidance, prefix, prefix_frames)

    def _frames(self, tokens: Int[Array, "B T"]) -> Int[Array, "B F L"]:
        if tokens.shape[1] % self.levels:
            raise ValueError(
                f"{tokens.shape[1]} tokens are no whole number of frames of {self.levels}; cut the sequence at a frame"
            )
        return tokens.reshape(tokens.shape[0], -1, self.levels)
