"""Pre-norm transformer blocks: RMSNorm, rotary positions, SwiGLU; whole, or a step at a time."""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Num, PRNGKeyArray

from antiphon.core.errors import UserError
from antiphon.nets.layers import rms_norm
from antiphon.nets.precision import matmul, matmul_dtype


@dataclass(frozen=True)
class BlockConfig:
    """Sizes of a block.

    Attributes:
        width: features of the residual stream.
        heads: attention heads; each has ``width / heads`` features, an even number.
        hidden: units of the gated MLP.

    Raises:
        UserError: the heads do not divide the width into even parts, whose pairs rotary positions turn.
    """

    width: int
    heads: int
    hidden: int

    def __post_init__(self) -> None:
        if self.width % (2 * self.heads):
            raise UserError(
                "config",
                f"a width of {self.width} is no multiple of twice the {self.heads} heads",
                "change one of them",
            )

    @property
    def head_width(self) -> int:
        """Features of one head."""
        return self.width // self.heads


class Block(NamedTuple):
    """Weights of one block of width d with h hidden units.

    Attributes:
        attention_gain: ``[d]``.
        qkv: queries, keys and values side by side, ``[d, 3 d]``.
        out: ``[d, d]``.
        mlp_gain: ``[d]``.
        gate_up: gate and value of the MLP side by side, ``[d, 2 h]``.
        down: ``[h, d]``.
    """

    attention_gain: Array
    qkv: Array
    out: Array
    mlp_gain: Array
    gate_up: Array
    down: Array

    @staticmethod
    def init(key: PRNGKeyArray, config: BlockConfig, depth: int) -> "Block":
        """Random weights; the two maps back into the residual stream are smaller the deeper the stack."""
        k = jax.random.split(key, 4)
        d, h = config.width, config.hidden
        back = (2 * depth) ** -0.5

        def normal(key: PRNGKeyArray, rows: int, columns: int, scale: float = 1.0) -> Array:
            return jax.random.normal(key, (rows, columns)) * (scale * rows**-0.5)

        return Block(
            jnp.ones(d), normal(k[0], d, 3 * d), normal(k[1], d, d, back),
            jnp.ones(d), normal(k[2], d, 2 * h), normal(k[3], h, d, back),
        )  # fmt: skip


def rotary(positions: Num[Array, "*T"], width: int, base: float = 10_000.0) -> Float[Array, "*T w"]:
    """Cosines and sines of rotary positions, ``cos(p base^(−2i/w))``, i = 0 … w/2 − 1, then the sines.

    Source: arXiv 2104.09864, section 3.2.
    """
    frequency = base ** (-np.arange(0, width, 2) / width)
    angle = positions[..., None] * frequency
    return jnp.concatenate([jnp.cos(angle), jnp.sin(angle)], axis=-1)


def rotate(x: Float[Array, "B T H w"], turn: Float[Array, "*T w"]) -> Float[Array, "B T H w"]:
    """Turn the pairs (i, i + w/2) of the last axis by the angles of :func:`rotary`.

    Products of rotated queries and keys depend on the difference of their positions only.

    Args:
        x: queries or keys.
        turn: ``[T, w]``, or ``[B, T, w]`` where sequences have positions of their own.
    """
    cosine, sine = jnp.split(turn[..., None, :], 2, axis=-1)
    a, b = jnp.split(x, 2, axis=-1)
    return jnp.concatenate([a * cosine - b * sine, a * sine + b * cosine], axis=-1)


def block_forward(
    block: Block,
    config: BlockConfig,
    x: Float[Array, "B T d"],
    turn: Float[Array, "*T w"],
    mask: Bool[Array, "*B T T"],
) -> Float[Array, "B T d"]:
    """One block over whole sequences.

    Args:
        block: weights.
        config: their sizes.
        x: residual stream.
        turn: angles from :func:`rotary`.
        mask: may the query (row) see the key (column); ``[T, T]``, or ``[B, T, T]`` one for each sequence.
    """
    h, head = config.heads, config.head_width
    qkv = matmul(rms_norm(x, block.attention_gain), block.qkv)
    q, k, v = (part.reshape(*x.shape[:2], h, head) for part in jnp.split(qkv, 3, axis=-1))
    q, k = rotate(q, turn), rotate(k, turn)
    score = jnp.einsum("bqhw,bkhw->bhqk", q, k) * head**-0.5
    allowed = mask[None, None] if mask.ndim == 2 else mask[:, None]
    weight = jax.nn.softmax(jnp.where(allowed, score, -1e9), axis=-1)
    mixed = jnp.einsum("bhqk,bkhw->bqhw", weight, v).reshape(x.shape)
    x = x + matmul(mixed, block.out)
    return x + gated_mlp(block, rms_norm(x, block.mlp_gain))


def gated_mlp(block: Block, x: Float[Array, "*B d"]) -> Float[Array, "*B d"]:
    """SwiGLU, ``(silu(x W_gate) · x W_up) W_down`` (arXiv 2002.05202)."""
    gate, up = jnp.split(matmul(x, block.gate_up), 2, axis=-1)
    return matmul(jax.nn.silu(gate) * up, block.down)


def blocks_forward(
    blocks: Block, config: BlockConfig, x: Float[Array, "B T d"], mask: Bool[Array, "*B T T"]
) -> Float[Array, "B T d"]:
    """Stacked blocks (a leading axis on every weight) one after the other; mask as in `block_forward`."""
    turn = rotary(jnp.arange(x.shape[1]), config.head_width)

    def layer(h: Array, block: Block) -> tuple[Array, None]:
        return block_forward(block, config, h, turn, mask), None

    # Unrolled: a rolled scan copies residuals into stacked buffers, a third of the step on CPUs.
    return jax.lax.scan(layer, x, blocks, unroll=True)[0]


class Cache(NamedTuple):
    """What one block has seen so far, in the machine's matmul format.

    Attributes:
        keys: rotated, ``[B, H, S, w]`` with room for S positions.
        values: ``[B, H, S, w]``.
    """

    keys: Array
    values: Array

    @staticmethod
    def empty(batch: int, length: int, config: BlockConfig) -> "Cache":
        """Room for ``length`` positions."""
        shape = (batch, config.heads, length, config.head_width)
        return Cache(jnp.zeros(shape, matmul_dtype()), jnp.zeros(shape, matmul_dtype()))


def block_step(
    block: Block,
    config: BlockConfig,
    x: Float[Array, "B d"],
    cache: Cache,
    position: int | Int[Array, ""],
    seen: int,
) -> tuple[Float[Array, "B d"], Cache]:
    """One block for one new position: row ``position`` of a causal :func:`block_forward`.

    Args:
        block: weights.
        config: their sizes.
        x: residual stream of the new position.
        cache: keys and values of the positions before.
        position: of the new one, from 0.
        seen: how many cache entries to read, more than any ``position`` it is called with; static.

    Returns:
        The residual stream, and the cache with the new position.
    """
    h, head = config.heads, config.head_width
    turn = rotary(jnp.asarray(position)[None], head)
    q, k, v = jnp.split(matmul(rms_norm(x, block.attention_gain), block.qkv), 3, axis=-1)
    q, k = (rotate(part.reshape(-1, 1, h, head), turn)[:, 0] for part in (q, k))
    v = v.reshape(-1, h, head)

    def put(store: Array, new: Array) -> Array:
        return jax.lax.dynamic_update_slice(store, new[:, :, None].astype(store.dtype), (0, 0, position, 0))

    cache = Cache(put(cache.keys, k), put(cache.values, v))
    keys, values = cache.keys[:, :, :seen], cache.values[:, :, :seen]
    score = jnp.einsum("bhw,bhsw->bhs", q.astype(keys.dtype), keys, preferred_element_type=jnp.float32)
    score = jnp.where(jnp.arange(seen) <= position, score * head**-0.5, -1e9)
    weight = jax.nn.softmax(score, axis=-1).astype(values.dtype)
    mixed = jnp.einsum("bhs,bhsw->bhw", weight, values, preferred_element_type=jnp.float32)
    x = x + matmul(mixed.reshape(x.shape), block.out)
    return x + gated_mlp(block, rms_norm(x, block.mlp_gain)), cache
