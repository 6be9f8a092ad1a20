"""One token after another with key-value caches: the prompt in one pass, then a step for each new token.

Prompts of different lengths are padded on the right. New tokens go to the slots behind the longest prompt,
the same slot in every row, at positions that go on from each row's own prompt. So rows are written without
scattering, and padding is only masked, never moved.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from antiphon.nets.layers import rms_norm
from antiphon.nets.llama import (
    Llama,
    LlamaLayer,
    LlamaParams,
    at_slots,
    embed,
    layer_forward,
    merged,
    one_layer,
    unrolled,
    visible,
    window_sizes,
    within_window,
)
from antiphon.nets.llama_rotary import turns
from antiphon.nets.precision import matmul, matmul_dtype
from antiphon.nets.transformer import rotate


class Prompts(NamedTuple):
    """What a completion follows: the context of a text policy.

    Attributes:
        tokens: ``[B, P]`` int, padded on the right with anything.
        length: tokens of each row that count, 1 … P, ``[B]``.
    """

    tokens: Array
    length: Array


class Cache(NamedTuple):
    """Keys and values of one layer in the machine's matmul format, ``[B, K, S, w]`` each."""

    keys: Array
    values: Array


class StepLayer(NamedTuple):
    """One layer's weights for single steps: matrices side by side, in the machine's matmul format."""

    attention_gain: Array
    qkv: Array
    qkv_bias: Array | None
    q_gain: Array | None
    k_gain: Array | None
    o: Array
    mlp_gain: Array
    gate_up: Array
    down: Array


class StepWeights(NamedTuple):
    """All weights for single steps."""

    embedding: Array
    layers: tuple[StepLayer, ...]
    gain: Array
    head: Array


def positions_of(prompts: Prompts, new: int) -> tuple[Int[Array, "B S"], Bool[Array, "B S"]]:
    """Position of each slot of prompts and ``new`` tokens behind them, and whether anything stands there."""
    width = prompts.tokens.shape[1]
    slot = jnp.arange(width + new)
    behind = slot >= width
    position = jnp.where(behind, prompts.length[:, None] + slot - width, slot)
    return position, behind | (slot < prompts.length[:, None])


def step_weights(params: LlamaParams, config: Llama) -> StepWeights:
    """Weights rounded, merged and laid out once, instead of at every step of the loop."""
    params = merged(params)
    dtype, layers = matmul_dtype(), params.layers

    def beside(*names: str) -> Array:
        return jnp.concatenate([getattr(layers, name).astype(dtype) for name in names], axis=-1)

    biases = [part for part in (layers.q_bias, layers.k_bias, layers.v_bias) if part is not None]
    bias = jnp.concatenate(biases, axis=-1) if biases else None
    stacked = StepLayer(
        layers.attention_gain, beside("q", "k", "v"), bias, layers.q_gain, layers.k_gain,
        beside("o"), layers.mlp_gain, beside("gate", "up"), beside("down"),
    )  # fmt: skip
    each = tuple(one_layer(stacked, i) for i in range(config.layers))
    head = params.embedding.T if params.head is None else jnp.asarray(params.head)
    return StepWeights(params.embedding, each, params.gain, head.astype(dtype))


def prefill(
    params: LlamaParams, config: Llama, prompts: Prompts, new: int
) -> tuple[Float[Array, "B d"], tuple[Cache, ...]]:
    """Read the prompts.

    Returns:
        The normalised state of each row's last token, and caches with room for ``new`` tokens more.
    """
    position, present = positions_of(prompts, 0)
    x = embed(params, prompts.tokens)
    turn = turns(position, config.head_width, config.rope_base, config.rope_scaling)
    mask = visible(present)

    def layer(
        h: Array, item: tuple[LlamaLayer, Array | None], asked: Array | None = None
    ) -> tuple[Array, Cache]:
        weights, window = item
        h, seen = layer_forward(weights, config, h, turn, within_window(mask, position, window), asked)
        roomy = (jnp.pad(part, ((0, 0), (0, new), (0, 0), (0, 0))) for part in seen)
        return h, Cache(*(jnp.swapaxes(part, 1, 2).astype(matmul_dtype()) for part in roomy))

    items = params.layers, window_sizes(config)
    last = prompts.length[:, None] - 1
    if unrolled(config):
        # The last layer answers for each row's last token only.
        caches = []
        for i in range(config.layers):
            x, cache = layer(x, one_layer(items, i), last if i == config.layers - 1 else None)
            caches.append(cache)
    else:
        x, stacked = jax.lax.scan(layer, x, items)
        x, caches = at_slots(x, last), [one_layer(stacked, i) for i in range(config.layers)]
    return rms_norm(x[:, 0], params.gain, config.epsilon), tuple(caches)


def step(
    weights: StepWeights,
    config: Llama,
    prompts: Prompts,
    caches: tuple[Cache, ...],
    token: Int[Array, "B"],
    count: Int[Array, ""],
) -> tuple[Float[Array, "B V"], tuple[Cache, ...]]:
    """Read one new token a row.

    Args:
        weights: of the model.
        config: its sizes.
        prompts: that the caches began with.
        caches: with room for it.
        token: the new ones.
        count: how many new tokens came before.

    Returns:
        Scores of the next token, and the caches with this one.
    """
    width, room = prompts.tokens.shape[1], caches[0].keys.shape[2]
    key_position, present = positions_of(prompts, room - width)
    position = prompts.length + count
    mask = present & (jnp.arange(room) <= width + count)
    distance = position[:, None] - key_position
    turn = turns(position[:, None], config.head_width, config.rope_base, config.rope_scaling)
    x = weights.embedding[token].astype(jnp.float32)
    updated = []
    for i, layer in enumerate(weights.layers):
        window = config.windows[i] if config.windows else 0
        x, cache = _layer_step(
            layer, config, x, turn, caches[i], width + count, mask & (distance < window) if window else mask
        )
        updated.append(cache)
    return matmul(rms_norm(x, weights.gain, config.epsilon), weights.head), tuple(updated)


def _layer_step(
    layer: StepLayer,
    config: Llama,
    x: Float[Array, "B d"],
    turn: Float[Array, "B 1 w"],
    cache: Cache,
    slot: Int[Array, ""],
    mask: Bool[Array, "B S"],
) -> tuple[Float[Array, "B d"], Cache]:
    batch, w, kv = x.shape[0], config.head_width, config.kv_heads
    qkv = matmul(rms_norm(x, layer.attention_gain, config.epsilon), layer.qkv)
    if layer.qkv_bias is not None:
        qkv = qkv + layer.qkv_bias.astype(jnp.float32)
    heads = qkv.reshape(batch, 1, -1, w)
    q, k, v = jnp.split(heads, (config.heads, config.heads + kv), axis=2)
    if layer.q_gain is not None and layer.k_gain is not None:
        q, k = rms_norm(q, layer.q_gain, config.epsilon), rms_norm(k, layer.k_gain, config.epsilon)
    q, k = rotate(q, turn), rotate(k, turn)

    def put(store: Array, new: Array) -> Array:
        return jax.lax.dynamic_update_slice(
            store, jnp.swapaxes(new, 1, 2).astype(store.dtype), (0, 0, slot, 0)
        )

    cache = Cache(put(cache.keys, k), put(cache.values, v))
    grouped = q.reshape(batch, kv, -1, w).astype(cache.keys.dtype)
    score = jnp.einsum("bkgw,bksw->bkgs", grouped, cache.keys, preferred_element_type=jnp.float32)
    score = jnp.where(mask[:, None, None], score * w**-0.5, -1e9)
    weight = jax.nn.softmax(score, axis=-1).astype(cache.values.dtype)
    mixed = jnp.einsum("bkgs,bksw->bkgw", weight, cache.values, preferred_element_type=jnp.float32)
    x = x + matmul(mixed.reshape(batch, -1), layer.o)
    gate, up = jnp.split(matmul(rms_norm(x, layer.mlp_gain, config.epsilon), layer.gate_up), 2, axis=-1)
    return x + matmul(jax.nn.silu(gate) * up, layer.down), cache
