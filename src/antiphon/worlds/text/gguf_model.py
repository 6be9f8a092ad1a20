"""A decoder from a GGUF file: sizes from its metadata, weights under our names."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from antiphon.core.errors import UserError
from antiphon.nets.llama import Llama, LlamaLayer, LlamaParams
from antiphon.nets.llama_names import MODULES
from antiphon.nets.llama_rotary import LinearScaling, Scaling, TableScaling, YarnScaling, yarn_gain
from antiphon.worlds.text.gguf import GGUF
from antiphon.worlds.text.huggingface_folder import field_shape

ARCHITECTURES = ("llama", "qwen2", "qwen3")
"""Values of ``general.architecture`` that are read; SmolLM and Mistral files say llama."""

_TENSORS = {
    "attention_gain": "attn_norm.weight", "mlp_gain": "ffn_norm.weight",
    "q": "attn_q.weight", "k": "attn_k.weight", "v": "attn_v.weight", "o": "attn_output.weight",
    "gate": "ffn_gate.weight", "up": "ffn_up.weight", "down": "ffn_down.weight",
    "q_bias": "attn_q.bias", "k_bias": "attn_k.bias", "v_bias": "attn_v.bias",
    "q_gain": "attn_q_norm.weight", "k_gain": "attn_k_norm.weight",
}  # fmt: skip
_REQUIRED = ("attention_gain", "mlp_gain", *MODULES)


def load_gguf(file: GGUF, dtype: DTypeLike = jnp.float32) -> tuple[Llama, LlamaParams]:
    """A decoder, its weights dequantised.

    Args:
        file: opened.
        dtype: of the weights.

    Raises:
        UserError: an architecture or quantisation that is not known here, or a tensor that is missing or of
            another shape.
    """
    config = llama_of(file)
    # Converters write the rows of queries and keys of this architecture for pairs (2i, 2i + 1).
    turned = {"q": config.heads, "k": config.kv_heads} if _architecture(file) == "llama" else {}

    def tensor(name: str, shape: tuple[int, ...]) -> np.ndarray:
        found = file.read(name)
        if found.shape != shape:
            raise UserError(
                "shape",
                f"{file.path} has tensor {name} of shape {found.shape} but {shape} is wanted",
                "make the file again from the original model",
            )
        return found

    def stacked(field: str) -> jnp.ndarray:
        shape = field_shape(config, field)
        whole = np.empty((config.layers, *shape), dtype)
        for i in range(config.layers):
            name = f"blk.{i}.{_TENSORS[field]}"
            if field in MODULES:
                rows = tensor(name, shape[::-1])
                whole[i] = (_unpaired(rows, turned[field]) if field in turned else rows).T
            else:
                whole[i] = tensor(name, shape)
        return jnp.asarray(whole)

    present = [field for field, name in _TENSORS.items() if f"blk.0.{name}" in file.entries]
    fields = [field for field in _TENSORS if field in _REQUIRED or field in present]
    d, v = config.width, config.vocabulary
    head = None if config.tied else jnp.asarray(tensor("output.weight", (v, d)).T.astype(dtype, order="C"))
    return config, LlamaParams(
        embedding=jnp.asarray(tensor("token_embd.weight", (v, d)).astype(dtype)),
        layers=LlamaLayer(**{field: stacked(field) for field in fields}),
        gain=jnp.asarray(tensor("output_norm.weight", (d,)).astype(dtype)),
        head=head,
    )


def llama_of(file: GGUF) -> Llama:
    """Sizes of the decoder in a file.

    Raises:
        UserError: another architecture, or a size that is not there.
    """
    kind = _architecture(file)

    def optional(name: str, default: Any) -> Any:
        return file.metadata.get(f"{kind}.{name}", default)

    def size(name: str) -> int:
        return int(file.value(f"{kind}.{name}"))

    width, heads, layers = size("embedding_length"), size("attention.head_count"), size("block_count")
    head_width = int(optional("attention.key_length", width // heads))
    if int(optional("rope.dimension_count", head_width)) != head_width:
        raise UserError(
            "architecture",
            f"{file.path} turns {optional('rope.dimension_count', 0)} of {head_width} features of a head",
            "only models that turn all of them are known here",
        )
    if "token_embd.weight" not in file.entries:
        raise UserError("missing-tensor", f"{file.path} lacks tensor token_embd.weight", "fetch it again")
    window = int(optional("attention.sliding_window", 0))
    return Llama(
        vocabulary=file.entries["token_embd.weight"].shape[0],
        width=width,
        layers=layers,
        heads=heads,
        kv_heads=int(optional("attention.head_count_kv", heads)),
        head_width=head_width,
        hidden=size("feed_forward_length"),
        context=size("context_length"),
        rope_base=_short(optional("rope.freq_base", 10_000.0)),
        rope_scaling=_scaling_of(file, kind),
        epsilon=_short(optional("attention.layer_norm_rms_epsilon", 1e-5)),
        qkv_bias="blk.0.attn_q.bias" in file.entries,
        qk_norm="blk.0.attn_q_norm.weight" in file.entries,
        tied="output.weight" not in file.entries,
        windows=(window,) * layers if window else (),
    )


def _architecture(file: GGUF) -> str:
    kind = file.value("general.architecture")
    if kind not in ARCHITECTURES:
        raise UserError(
            "architecture",
            f"{file.path} holds the architecture {kind!r}, which is not known here",
            f"use one of: {', '.join(ARCHITECTURES)}",
        )
    return kind


def _short(number: float) -> float:
    """The shortest decimal that rounds to a float32: 1e-5 instead of 9.99999974e-6."""
    return float(str(np.float32(number)))


def _unpaired(rows: np.ndarray, heads: int) -> np.ndarray:
    """Rows of each head from the order of pairs (2i, 2i + 1) to that of (i, i + w/2)."""
    return rows.reshape(heads, -1, 2, rows.shape[-1]).swapaxes(1, 2).reshape(rows.shape)


def _scaling_of(file: GGUF, kind: str) -> Scaling | None:
    if "rope_freqs.weight" in file.entries:
        return TableScaling(tuple(map(float, file.read("rope_freqs.weight"))))
    scaling = file.metadata.get(f"{kind}.rope.scaling.type", "none")
    factor = float(file.metadata.get(f"{kind}.rope.scaling.factor", 1.0))
    if scaling == "none" or factor == 1.0:
        return None
    if scaling == "linear":
        return LinearScaling(factor)
    if scaling == "yarn":
        original = int(file.value(f"{kind}.rope.scaling.original_context_length"))
        gain = float(file.metadata.get(f"{kind}.rope.scaling.attn_factor", 1.0)) * yarn_gain(factor)
        return YarnScaling(factor, original, gain)
    raise UserError(
        "architecture", f"{file.path} has the rope scaling {scaling!r}", "linear and yarn are known here"
    )
