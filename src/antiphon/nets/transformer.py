"""Pre-norm transformer blocks: RMSNorm, rotary positions, SwiGLU; causal or bidirectional; one step with a key-value cache."""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from antiphon.nets.layers import rms_norm
from antiphon.nets.precision import matmul, matmul_dtype


@dataclass(frozen=True)
class BlockConfig:
    """Sizes of a block: ``width`` features, ``heads`` attention heads, ``hidden`` units of the gated MLP."""

    width: int
    heads: int
    hidden: int

    def __post_init__(self):
        """Heads must divide the width into even parts, because rotary positions turn pairs."""
        if self.width % (2 * self.heads):
            raise ValueError(
                f"BlockConfig.width {self.width} must be a multiple of twice the {self.heads} heads; "
                "change one of them"
            )


class Block(NamedTuple):
    """Weights of one block. ``qkv`` ``[d, 3 d]``, ``out`` ``[d, d]``, ``gate_up`` ``[d, 2 h]``, ``down`` ``[h, d]``."""

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

        def normal(key, rows, columns, scale=1.0):
            return jax.random.normal(key, (rows, columns)) * (scale * rows**-0.5)

        return Block(
            jnp.ones(d), normal(k[0], d, 3 * d), normal(k[1], d, d, back),
            jnp.ones(d), normal(k[2], d, 2 * h), normal(k[3], h, d, back),
        )  # fmt: skip


def rotary(positions: Float[Array, "*batch T"], width: int, base: float = 10_000.0) -> Float[Array, "*batch T w"]:
    """Cosines and sines of rotary positions (arXiv 2104.09864), ``w = width`` numbers: half cosines, half sines."""
    frequency = base ** (-np.arange(0, width, 2) / width)
    angle = positions[..., None] * frequency
    return jnp.concatenate([jnp.cos(angle), jnp.sin(angle)], axis=-1)


def _rotate(x, turn):
    """Turn the pairs (i, i + half) of the last axis of ``x`` ``[B, T, H, w]`` by ``turn`` ``[T, w]`` or ``[B, T, w]``."""
    cosine, sine = jnp.split(turn[..., None, :], 2, axis=-1)
    a, b = jnp.split(x, 2, axis=-1)
    return jnp.concatenate([a * cosine - b * sine, a * sine + b * cosine], axis=-1)


def block_forward(
    block: Block, config: BlockConfig, x: Float[Array, "B T d"], turn: Array, mask: Bool[Array, "*B T T"]
) -> Float[Array, "B T d"]:
    """One block over whole sequences. ``mask`` ``[T, T]`` or ``[B, T, T]``: may query (row) see key (column)."""
    h, head = config.heads, config.width // config.heads
    qkv = matmul(rms_norm(x, block.attention_gain), block.qkv)
    q, k, v = (part.reshape(*x.shape[:2], h, head) for part in jnp.split(qkv, 3, axis=-1))
    q, k = _rotate(q, turn), _rotate(k, turn)
    score = jnp.einsum("bqhw,bkhw->bhqk", q, k) * head**-0.5
    allowed = mask[None, None] if mask.ndim == 2 else mask[:, None]
    weight = jax.nn.softmax(jnp.where(allowed, score, -1e9), axis=-1)
    mixed = jnp.einsum("bhqk,bkhw->bqhw", weight, v).reshape(x.shape)
    x = x + matmul(mixed, block.out)
    return x + gated_mlp(block, rms_norm(x, block.mlp_gain))


def gated_mlp(block: Block, x: Float[Array, "*batch d"]) -> Float[Array, "*batch d"]:
    """SwiGLU (arXiv 2002.05202)."""
    gate, up = jnp.split(matmul(x, block.gate_up), 2, axis=-1)
    return matmul(jax.nn.silu(gate) * up, block.down)


def blocks_forward(blocks: Block, config: BlockConfig, x: Float[Array, "B T d"], mask: Array) -> Float[Array, "B T d"]:
    """Stacked blocks one after the other."""
    turn = rotary(jnp.arange(x.shape[1]), config.width // config.heads)

    def layer(h, block):
        return block_forward(block, config, h, turn, mask), None

    # Unrolled: residuals of a rolled scan are copied into stacked buffers, which costs a third of the step on CPUs.
    return jax.lax.scan(layer, x, blocks, unroll=True)[0]


class Cache(NamedTuple):
    """Keys and values of one block seen so far, ``[B, H, S, w]`` each, in the machine's matmul format."""

    keys: Array
    values: Array

    @staticmethod
    def empty(batch: int, length: int, config: BlockConfig) -> "Cache":
        """Room for ``length`` positions."""
        shape = (batch, config.heads, length, config.width // config.heads)
        return Cache(jnp.zeros(shape, matmul_dtype()), jnp.zeros(shape, matmul_dtype()))


def block_step(
    block: Block, config: BlockConfig, x: Float[Array, "B d"], cache: Cache, position: Array, seen: int
) -> tuple[Float[Array, "B d"], Cache]:
    """One block for one new position; looks at the first ``seen`` (static) cache entries up to ``position``."""
    h, head = config.heads, config.width // config.heads
    turn = rotary(jnp.asarray(position)[None], head)
    q, k, v = jnp.split(matmul(rms_norm(x, block.attention_gain), block.qkv), 3, axis=-1)
    q, k = (_rotate(part.reshape(-1, 1, h, head), turn)[:, 0] for part in (q, k))
    v = v.reshape(-1, h, head)

    def put(store, new):
        return jax.lax.dynamic_update_slice(store, new[:, :, None].astype(store.dtype), (0, 0, position, 0))

    cache = Cache(put(cache.keys, k), put(cache.values, v))
    keys, values = cache.keys[:, :, :seen], cache.values[:, :, :seen]
    score = jnp.einsum("bhw,bhsw->bhs", q.astype(keys.dtype), keys, preferred_element_type=jnp.float32)
    score = jnp.where(jnp.arange(seen) <= position, score * head**-0.5, -1e9)
    weight = jax.nn.softmax(score, axis=-1).astype(values.dtype)
    mixed = jnp.einsum("bhs,bhsw->bhw", weight, values, preferred_element_type=jnp.float32)
    x = x + matmul(mixed.reshape(x.shape), block.out)
    return x + gated_mlp(block, rms_norm(x, block.mlp_gain)), cache
