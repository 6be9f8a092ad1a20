"""The Llama family of decoders: sizes and switches, weights, and the forward pass over whole sequences.

One architecture with switches covers Llama, SmolLM, Mistral (a window), Qwen2 (bias on queries, keys and
values) and Qwen3 (norms on queries and keys). Weights are plain pytrees with layers stacked on a leading
axis; a matrix may be replaced by a :class:`~antiphon.nets.lora.LowRank` sum.
"""

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias, TypeVar

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, Shaped

from antiphon.core.errors import UserError
from antiphon.nets.layers import rms_norm
from antiphon.nets.llama_rotary import Scaling, turns
from antiphon.nets.lora import LowRank, linear, plain
from antiphon.nets.precision import matmul
from antiphon.nets.transformer import rotate

_UNROLLED_LAYERS = 8
"""Stacks up to this depth are unrolled: a rolled scan copies residuals into stacked buffers, a third of the
step on CPUs, while unrolling a deep stack costs minutes of compilation."""

Matrix: TypeAlias = Array | LowRank
Layers = TypeVar("Layers")


@dataclass(frozen=True)
class Llama:
    """Sizes and switches of a decoder.

    Attributes:
        vocabulary: tokens, V.
        width: features of the residual stream, d.
        layers: blocks, L.
        heads: query heads, H.
        kv_heads: heads of keys and values, K; each serves H / K query heads.
        head_width: features of a head, w.
        hidden: units of the gated MLP, h.
        context: positions the model was trained for.
        rope_base: of the rotary frequencies.
        rope_scaling: how they are stretched.
        epsilon: of the norms.
        qkv_bias: whether queries, keys and values have a bias.
        qk_norm: whether the heads of queries and keys are normalised.
        tied: whether the output head is the embedding transposed.
        windows: how many positions a token of each layer sees, itself included, 0 for all; ``()`` for all in
            every layer.

    Raises:
        UserError: sizes that do not fit together.
    """

    vocabulary: int
    width: int
    layers: int
    heads: int
    kv_heads: int
    head_width: int
    hidden: int
    context: int = 2048
    rope_base: float = 10_000.0
    rope_scaling: Scaling | None = None
    epsilon: float = 1e-5
    qkv_bias: bool = False
    qk_norm: bool = False
    tied: bool = True
    windows: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for name in ("vocabulary", "width", "layers", "heads", "kv_heads", "head_width", "hidden", "context"):
            if getattr(self, name) < 1:
                raise UserError("config", f"a decoder with {name}={getattr(self, name)}", "give at least 1")
        if self.heads % self.kv_heads:
            raise UserError(
                "config",
                f"{self.heads} query heads cannot share {self.kv_heads} heads of keys and values",
                "make heads a multiple of kv_heads",
            )
        if self.head_width % 2:
            raise UserError("config", f"heads of odd width {self.head_width}", "rotary positions need pairs")
        if self.windows and len(self.windows) != self.layers:
            raise UserError(
                "config", f"{len(self.windows)} windows for {self.layers} layers", "give one for each layer"
            )

    @property
    def shapes(self) -> dict[str, tuple[int, int]]:
        """``(d_in, d_out)`` of the matrices of a layer."""
        d, q, kv, h = self.width, self.heads * self.head_width, self.kv_heads * self.head_width, self.hidden
        return {
            "q": (d, q), "k": (d, kv), "v": (d, kv), "o": (q, d),
            "gate": (d, h), "up": (d, h), "down": (h, d),
        }  # fmt: skip

    def init(self, key: PRNGKeyArray, dtype: DTypeLike = jnp.float32) -> "LlamaParams":
        """Random weights: normal of deviation 0.02, those that feed the residual stream less with depth."""
        count = self.layers
        names = {name: i for i, name in enumerate(self.shapes)}
        keys = jax.random.split(key, len(names) + 2)

        def normal(key: PRNGKeyArray, shape: tuple[int, ...], scale: float = 0.02) -> Array:
            return (jax.random.normal(key, shape) * scale).astype(dtype)

        back = 0.02 * (2 * count) ** -0.5
        matrices = {
            name: normal(keys[i], (count, *self.shapes[name]), back if name in ("o", "down") else 0.02)
            for name, i in names.items()
        }
        bias = {f"{n}_bias": jnp.zeros((count, self.shapes[n][1]), dtype) for n in "qkv" if self.qkv_bias}

        def gain(width: int) -> Array:
            # An array of its own for every leaf: the state of a training may be donated.
            return jnp.ones((count, width), dtype)

        turned = {f"{n}_gain": gain(self.head_width) for n in "qk" if self.qk_norm}
        return LlamaParams(
            embedding=normal(keys[-2], (self.vocabulary, self.width)),
            layers=LlamaLayer(
                attention_gain=gain(self.width), mlp_gain=gain(self.width), **turned, **matrices, **bias
            ),
            gain=jnp.ones(self.width, dtype),
            head=None if self.tied else normal(keys[-1], (self.width, self.vocabulary)),
        )


class LlamaLayer(NamedTuple):
    """Weights of one layer, or of all with a leading axis L; sizes as in :class:`Llama`.

    Attributes:
        attention_gain: ``[d]``.
        q: ``[d, H w]``.
        k: ``[d, K w]``.
        v: ``[d, K w]``.
        o: ``[H w, d]``.
        mlp_gain: ``[d]``.
        gate: ``[d, h]``.
        up: ``[d, h]``.
        down: ``[h, d]``.
        q_bias: ``[H w]``, with ``qkv_bias``.
        k_bias: ``[K w]``, likewise.
        v_bias: ``[K w]``, likewise.
        q_gain: ``[w]``, with ``qk_norm``.
        k_gain: ``[w]``, likewise.
    """

    attention_gain: Array
    q: Matrix
    k: Matrix
    v: Matrix
    o: Matrix
    mlp_gain: Array
    gate: Matrix
    up: Matrix
    down: Matrix
    q_bias: Array | None = None
    k_bias: Array | None = None
    v_bias: Array | None = None
    q_gain: Array | None = None
    k_gain: Array | None = None


class LlamaParams(NamedTuple):
    """All weights.

    Attributes:
        embedding: ``[V, d]``.
        layers: stacked.
        gain: of the last norm, ``[d]``.
        head: ``[d, V]``, or ``None`` where it is the embedding transposed.
    """

    embedding: Array
    layers: LlamaLayer
    gain: Array
    head: Matrix | None


def hidden_states(
    params: LlamaParams,
    config: Llama,
    tokens: Int[Array, "B S"],
    positions: Int[Array, "B S"],
    present: Bool[Array, "B S"],
    *,
    remat: bool = False,
    asked: Int[Array, "B A"] | None = None,
) -> Float[Array, "B A d"]:
    """Normalised states after the last layer, each of what stands at its slot and before it.

    Args:
        params: weights.
        config: their sizes.
        tokens: slots in the order of their positions; absent ones may hold anything.
        positions: of each slot, rising over the present ones.
        present: False on padding, which nobody sees; the first slot of a row is always present.
        remat: keep only the states between layers for the backward pass, and compute the rest again.
        asked: slots whose states are wanted, all if not given; the last layer then only reads the others.
    """
    x = embed(params, tokens)
    turn = turns(positions, config.head_width, config.rope_base, config.rope_scaling)
    mask = visible(present)

    def layer(h: Array, item: tuple[LlamaLayer, Array | None], asked: Array | None = None) -> Array:
        weights, window = item
        return layer_forward(weights, config, h, turn, within_window(mask, positions, window), asked)[0]

    def body(h: Array, item: tuple[LlamaLayer, Array | None]) -> tuple[Array, None]:
        return (jax.checkpoint(layer) if remat else layer)(h, item), None

    items = params.layers, window_sizes(config)
    if asked is None:
        x, _ = jax.lax.scan(body, x, items, unroll=unrolled(config))
    elif unrolled(config):
        x, _ = jax.lax.scan(body, x, jax.tree.map(lambda leaf: leaf[:-1], items), unroll=True)
        x = layer(x, one_layer(items, -1), asked)
    else:
        # Parting the last layer from a deep stack would copy all the others, for a small share of the work.
        x, _ = jax.lax.scan(body, x, items)
        x = at_slots(x, asked)
    return rms_norm(x, params.gain, config.epsilon)


def layer_forward(
    layer: LlamaLayer,
    config: Llama,
    x: Float[Array, "B S d"],
    turn: Float[Array, "B S w"],
    mask: Bool[Array, "B S S"],
    asked: Int[Array, "B A"] | None = None,
) -> tuple[Float[Array, "B A d"], tuple[Float[Array, "B S K w"], Float[Array, "B S K w"]]]:
    """One layer over whole sequences.

    Args:
        layer: weights.
        config: their sizes.
        x: residual stream.
        turn: angles of the slots, see :func:`~antiphon.nets.llama_rotary.turns`.
        mask: may the slot (row) see the slot (column).
        asked: slots that go on, all if not given; the others are only seen.

    Returns:
        The residual stream, and the turned keys and the values, for a cache.
    """
    seen = rms_norm(x, layer.attention_gain, config.epsilon)
    if asked is None:
        q, k, v = queries_keys_values(layer, config, seen, turn)
    else:
        x, asking, mask = at_slots(x, asked), at_slots(seen, asked), at_slots(mask, asked)
        q, k, v = queries_keys_values(layer, config, seen, turn, asking, at_slots(turn, asked))
    batch, length = x.shape[:2]
    grouped = q.reshape(batch, length, config.kv_heads, -1, config.head_width)
    score = jnp.einsum("btkgw,bskw->bkgts", grouped, k) * config.head_width**-0.5
    weight = jax.nn.softmax(jnp.where(mask[:, None, None], score, -1e9), axis=-1)
    mixed = jnp.einsum("bkgts,bskw->btkgw", weight, v).reshape(batch, length, -1)
    x = x + linear(mixed, layer.o)
    return x + gated_mlp(layer, rms_norm(x, layer.mlp_gain, config.epsilon)), (k, v)


def queries_keys_values(
    layer: LlamaLayer,
    config: Llama,
    x: Float[Array, "B S d"],
    turn: Float[Array, "B S w"],
    asking: Float[Array, "B A d"] | None = None,
    asking_turn: Float[Array, "B A w"] | None = None,
) -> tuple[Float[Array, "B A H w"], Float[Array, "B S K w"], Float[Array, "B S K w"]]:
    """What attention works on, queries and keys turned; ``asking`` asks, everybody if not given."""

    def heads(matrix: Matrix, bias: Array | None, x: Array) -> Array:
        y = linear(x, matrix)
        y = y if bias is None else y + bias.astype(jnp.float32)
        return y.reshape(*x.shape[:2], -1, config.head_width)

    q = heads(layer.q, layer.q_bias, x if asking is None else asking)
    k, v = heads(layer.k, layer.k_bias, x), heads(layer.v, layer.v_bias, x)
    if layer.q_gain is not None and layer.k_gain is not None:
        q, k = rms_norm(q, layer.q_gain, config.epsilon), rms_norm(k, layer.k_gain, config.epsilon)
    return rotate(q, turn if asking_turn is None else asking_turn), rotate(k, turn), v


def gated_mlp(layer: LlamaLayer, x: Float[Array, "*B d"]) -> Float[Array, "*B d"]:
    """SwiGLU, ``(silu(x W_gate) · x W_up) W_down`` (arXiv 2002.05202)."""
    return linear(jax.nn.silu(linear(x, layer.gate)) * linear(x, layer.up), layer.down)


def embed(params: LlamaParams, tokens: Int[Array, "*B"]) -> Float[Array, "*B d"]:
    """The residual stream before the first layer, float32."""
    return params.embedding[tokens].astype(jnp.float32)


def head_logits(params: LlamaParams, states: Float[Array, "*B d"]) -> Float[Array, "*B V"]:
    """Scores of the next token, float32."""
    if params.head is None:
        return matmul(states, params.embedding.T)
    return linear(states, params.head)


def visible(present: Bool[Array, "B S"]) -> Bool[Array, "B S S"]:
    """May the slot (row) see the slot (column): present, and not later."""
    length = present.shape[1]
    return jnp.tril(jnp.ones((length, length), bool)) & present[:, None, :]


def window_sizes(config: Llama) -> Int[Array, "L"] | None:
    """Window of each layer with 0 replaced by more than any distance; ``None`` without windows."""
    if not any(config.windows):
        return None
    return jnp.asarray([size or jnp.iinfo(jnp.int32).max for size in config.windows], jnp.int32)


def unrolled(config: Llama) -> bool:
    """Whether loops over the layers are unrolled."""
    return config.layers <= _UNROLLED_LAYERS


def at_slots(values: Shaped[Array, "B S n"], slots: Int[Array, "B A"]) -> Shaped[Array, "B A n"]:
    """The values at some slots of each row."""
    return jnp.take_along_axis(values, slots[:, :, None], axis=1)


def one_layer(stacked: Layers, index: int) -> Layers:
    """One of a pytree of stacked layers."""
    return jax.tree.map(lambda leaf: leaf[index], stacked)


def merged(params: LlamaParams) -> LlamaParams:
    """The same network with every low-rank sum worked out into one matrix."""
    return jax.tree.map(plain, params, is_leaf=lambda leaf: isinstance(leaf, LowRank))


def within_window(
    mask: Bool[Array, "B S S"], positions: Int[Array, "B S"], window: Int[Array, ""] | None
) -> Bool[Array, "B S S"]:
    """The mask without what is ``window`` positions back or more; ``None`` leaves it as it is."""
    if window is None:
        return mask
    return mask & (positions[:, :, None] - positions[:, None, :] < window)
