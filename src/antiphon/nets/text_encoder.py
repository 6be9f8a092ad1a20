"""A small bidirectional transformer over hashed words: a caption becomes one vector."""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from antiphon.nets.layers import Dense, rms_norm, stack
from antiphon.nets.transformer import Block, BlockConfig, blocks_forward


class TextParams(NamedTuple):
    """Weights.

    Attributes:
        buckets: embeddings of hashed word pieces, ``[K, d]``; row 0 is padding and never read.
        blocks: stacked transformer blocks.
        gain: of the last norm, ``[d]``.
        out: ``d`` to ``d_out``.
    """

    buckets: Array
    blocks: Block
    gain: Array
    out: Dense


@dataclass(frozen=True)
class TextEncoder:
    """Words of hashed pieces to one vector.

    Attributes:
        d_out: numbers in the vector.
        buckets: rows of the hash table.
        width: features of the transformer.
        heads: its attention heads.
        layers: its blocks.
    """

    d_out: int
    buckets: int = 2048
    width: int = 128
    heads: int = 4
    layers: int = 2

    @property
    def block(self) -> BlockConfig:
        """Sizes of a block."""
        return BlockConfig(self.width, self.heads, 2 * self.width)

    def init(self, key: PRNGKeyArray) -> TextParams:
        """Random weights."""
        key_table, key_blocks, key_out = jax.random.split(key, 3)
        return TextParams(
            jax.random.normal(key_table, (self.buckets, self.width)) * 0.5,
            stack(lambda k: Block.init(k, self.block, self.layers), key_blocks, self.layers),
            jnp.ones(self.width),
            Dense.init(key_out, self.width, self.d_out),
        )

    def __call__(self, params: TextParams, words: Int[Array, "B W P"]) -> Float[Array, "B d_out"]:
        """Encode.

        Args:
            params: weights.
            words: bucket numbers of the pieces of every word, 0 where there is none. A word without pieces
                is padding: neither its place nor its number changes the result of the words before it.
        """
        piece = (words > 0)[..., None]
        there = jnp.any(words > 0, axis=-1)
        x = jnp.sum(jnp.where(piece, params.buckets[words], 0.0), axis=2)
        x = x / jnp.sqrt(jnp.maximum(jnp.sum(piece, axis=2), 1))
        x = blocks_forward(params.blocks, self.block, x, there[:, None, :] & there[:, :, None])
        x = jnp.where(there[..., None], rms_norm(x, params.gain), 0.0)
        pooled = jnp.sum(x, axis=1) / jnp.maximum(jnp.sum(there, axis=1, keepdims=True), 1)
        return params.out(pooled)
