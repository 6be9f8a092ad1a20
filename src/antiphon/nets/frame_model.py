"""An autoregressive model of frames of tokens: a transformer over frames, per-level heads inside a frame.

Each frame holds ``L`` tokens, coarse to fine. The transformer runs once a frame; inside the frame each level
has a two-layer head over the frame's state plus the embeddings of the levels already drawn. That has the
conditioning set of a depth transformer (RQ-Transformer, arXiv 2203.01941) at a fraction of its cost.

Side information (position in the beat, say) enters as categories that are known for every frame in advance;
the caption enters every frame as one added vector.
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from antiphon.core.errors import UserError
from antiphon.nets.layers import Dense, rms_norm, stack
from antiphon.nets.text_encoder import TextEncoder, TextParams
from antiphon.nets.transformer import Block, BlockConfig, blocks_forward


class FrameContext(NamedTuple):
    """What a clip is conditioned on.

    Attributes:
        words: hashed caption, ``[B, W, P]`` int.
        side: categories of every frame, ``[B, F, S]`` int.
        present: ``[B]``, False where the caption is to be ignored (classifier-free guidance).
    """

    words: Array
    side: Array
    present: Array


class LevelHead(NamedTuple):
    """One level's way from frame state to logits: ``logits(rms_norm(x + back(silu(hidden(x))), gain))``."""

    hidden: Dense
    back: Dense
    gain: Array
    logits: Dense


class FrameParams(NamedTuple):
    """Weights.

    Attributes:
        tokens: what a frame's tokens say to the next frame, ``[L, V, d]``.
        drawn: what they say to the levels below in the same frame, ``[L, V, d]``.
        side: one table per kind of side information, ``[categories, d]`` each.
        start: stands for the frame before the first, ``[d]``.
        no_caption: stands for a caption left out, ``[d]``.
        text: of the caption encoder.
        blocks: stacked transformer blocks.
        gain: of the norm after them, ``[d]``.
        heads: of the levels, stacked.
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
    """A :class:`~antiphon.nets.sequence_model.SequenceModel` over ``T = F · levels`` tokens, frame by frame.

    Attributes:
        levels: tokens of a frame, L.
        codes: values of a token, V.
        width: features of the transformer, d.
        heads: its attention heads.
        layers: its blocks.
        hidden: units of a block's gated MLP.
        depth_hidden: units of a level's head.
        side_sizes: number of categories of each kind of side information.
        text_width: features of the caption encoder.
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

        def head(key: PRNGKeyArray) -> LevelHead:
            key_hidden, key_back, key_logits = jax.random.split(key, 3)
            return LevelHead(
                Dense.init(key_hidden, d, self.depth_hidden),
                Dense.init(key_back, self.depth_hidden, d),
                jnp.ones(d),
                Dense.init(key_logits, d, self.codes, scale=0.5),
            )

        def table(key: PRNGKeyArray, *shape: int) -> Array:
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

    def logits(
        self, params: FrameParams, tokens: Int[Array, "B T"], context: FrameContext
    ) -> Float[Array, "B T V"]:
        """As a SequenceModel has them; T may be shorter than the context's F · L.

        Raises:
            UserError: the tokens are no whole number of frames.
        """
        return self.head_outputs(params, tokens, context).reshape(*tokens.shape, self.codes)

    def sample(
        self,
        params: FrameParams,
        key: PRNGKeyArray,
        context: FrameContext,
        *,
        temperature: float | Float[Array, ""] = 0.99,
        guidance: float | None = None,
        prefix: Int[Array, "B P"] | None = None,
        prefix_frames: int | Int[Array, ""] = 0,
    ) -> Int[Array, "B T"]:
        """Draw the F frames of ``context.side``; see :func:`antiphon.nets.frame_decoding.sample_frames`."""
        # Decoding knows the model's parts, and only here does the model know of decoding.
        from antiphon.nets.frame_decoding import sample_frames

        return sample_frames(self, params, key, context, temperature, guidance, prefix, prefix_frames)

    def head_outputs(
        self, params: FrameParams, tokens: Int[Array, "B T"], context: FrameContext
    ) -> Float[Array, "B F L n"]:
        """What the head of every level says before its token is drawn; n numbers, V for a policy."""
        frames = self.frames(tokens)
        state = self.states(params, tokens, context)
        outputs = []
        for level in range(self.levels):
            outputs.append(self.level_logits(params, state, level))
            if level + 1 < self.levels:
                state = state + params.drawn[level][frames[..., level]]
        return jnp.stack(outputs, axis=2)

    def states(
        self, params: FrameParams, tokens: Int[Array, "B T"], context: FrameContext
    ) -> Float[Array, "B F d"]:
        """What the transformer knows before each frame is drawn."""
        frames = self.frames(tokens)
        summed = jnp.zeros((*frames.shape[:2], self.width))
        for level in range(self.levels):
            summed = summed + params.tokens[level][frames[..., level]]
        start = jnp.broadcast_to(params.start, (frames.shape[0], 1, self.width))
        x = jnp.concatenate([start, summed[:, :-1]], axis=1)
        x = x + self.side_vector(params, context.side[:, : frames.shape[1]])
        x = x + self.caption_vector(params, context.words, context.present)[:, None]
        x = blocks_forward(params.blocks, self.block, x, jnp.tril(jnp.ones((x.shape[1],) * 2, bool)))
        return rms_norm(x, params.gain)

    def caption_vector(
        self, params: FrameParams, words: Int[Array, "B W P"], present: Bool[Array, "B"]
    ) -> Float[Array, "B d"]:
        """The vector added to every frame."""
        return jnp.where(present[:, None], self.text(params.text, words), params.no_caption)

    def side_vector(self, params: FrameParams, side: Int[Array, "B F S"]) -> Float[Array, "B F d"]:
        """Sum of the side categories' embeddings."""
        total = jnp.zeros((*side.shape[:2], self.width))
        for i, table in enumerate(params.side):
            total = total + table[side[..., i]]
        return total

    def level_logits(
        self, params: FrameParams, state: Float[Array, "*B d"], level: int
    ) -> Float[Array, "*B n"]:
        """The head of one level, on the frame state plus the embeddings of the levels already drawn."""
        head = jax.tree.map(lambda leaf: leaf[level], params.heads)
        x = state + head.back(jax.nn.silu(head.hidden(state)))
        return head.logits(rms_norm(x, head.gain))

    def frames(self, tokens: Int[Array, "B T"]) -> Int[Array, "B F L"]:
        """Tokens frame by frame.

        Raises:
            UserError: they are no whole number of frames.
        """
        if tokens.shape[1] % self.levels:
            raise UserError(
                "tokens",
                f"{tokens.shape[1]} tokens are no whole number of frames of {self.levels}",
                "cut the sequence at a frame",
            )
        return tokens.reshape(tokens.shape[0], -1, self.levels)
