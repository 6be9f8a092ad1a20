"""What Hugging Face folders and PEFT adapters call the weights of a decoder, and which way they lie.

They keep matrices as ``[d_out, d_in]``, one tensor a layer; ours are ``[d_in, d_out]`` with layers stacked.
"""

from antiphon.nets.llama import Llama

MODULES = {
    "q": "self_attn.q_proj",
    "k": "self_attn.k_proj",
    "v": "self_attn.v_proj",
    "o": "self_attn.o_proj",
    "gate": "mlp.gate_proj",
    "up": "mlp.up_proj",
    "down": "mlp.down_proj",
}
"""Matrices of a layer by our name."""

EMBEDDING, FINAL_GAIN, HEAD = "model.embed_tokens.weight", "model.norm.weight", "lm_head.weight"

_GAINS = {"attention_gain": "input_layernorm", "mlp_gain": "post_attention_layernorm"}


def layer_tensors(config: Llama) -> dict[str, str]:
    """``{field of LlamaLayer: name of the tensor inside a layer}`` for what this architecture has."""
    names = {field: f"{module}.weight" for field, module in (_GAINS | MODULES).items()}
    if config.qkv_bias:
        names |= {f"{field}_bias": f"{MODULES[field]}.bias" for field in "qkv"}
    if config.qk_norm:
        names |= {f"{field}_gain": f"self_attn.{field}_norm.weight" for field in "qk"}
    return names


def layer_prefix(index: int) -> str:
    """What stands before the name of a layer's tensor."""
    return f"model.layers.{index}."
