"""``config.json`` of a Hugging Face folder, to and from a decoder's sizes."""

from collections.abc import Mapping
from typing import Any

from antiphon.core.errors import UserError
from antiphon.nets.llama import Llama
from antiphon.nets.llama_rotary import (
    LinearScaling,
    Llama3Scaling,
    Scaling,
    TableScaling,
    YarnScaling,
    yarn_gain,
)

ARCHITECTURES = {
    "llama": "LlamaForCausalLM",
    "mistral": "MistralForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
}
"""Model types that are read, and the class that transformers makes of each. SmolLM and SmolLM2 are llama."""


def llama_from(config: Mapping[str, Any], where: str) -> Llama:
    """Sizes of the decoder that a ``config.json`` describes.

    Args:
        config: its content.
        where: its path, for errors.

    Raises:
        UserError: another architecture, a missing field, or a switch that is not known here.
    """
    kind = config.get("model_type")
    if kind not in ARCHITECTURES:
        raise UserError(
            "architecture",
            f"{where} describes the architecture {kind!r}, which is not known here",
            f"use one of: {', '.join(ARCHITECTURES)}",
        )
    _refuse_unknown_switches(config, where)

    def size(name: str) -> int:
        value = config.get(name)
        if not isinstance(value, int):
            raise UserError("field", f"{where} has {name}={value!r}", "give a whole number there")
        return value

    heads, width, layers = size("num_attention_heads"), size("hidden_size"), size("num_hidden_layers")
    rope = dict(config.get("rope_scaling") or {}) | dict(config.get("rope_parameters") or {})
    context = size("max_position_embeddings")
    # Left out of the file, these have the defaults of the classes in transformers.
    return Llama(
        vocabulary=size("vocab_size"),
        width=width,
        layers=layers,
        heads=heads,
        kv_heads=config.get("num_key_value_heads") or heads,
        head_width=config.get("head_dim") or (128 if kind == "qwen3" else width // heads),
        hidden=size("intermediate_size"),
        context=context,
        rope_base=float(rope.get("rope_theta") or config.get("rope_theta") or 10_000.0),
        rope_scaling=_scaling_from(rope, context, where),
        epsilon=float(config.get("rms_norm_eps", 1e-6)),
        qkv_bias=kind == "qwen2" or bool(config.get("attention_bias")),
        qk_norm=kind == "qwen3",
        tied=bool(config.get("tie_word_embeddings", False)),
        windows=_windows_from(config, kind, layers),
    )


def config_from(model: Llama, dtype: str) -> dict[str, Any]:
    """The ``config.json`` that describes a decoder.

    Args:
        model: sizes.
        dtype: of the weights, such as "float32".

    Raises:
        UserError: a combination of switches that no class of transformers has.
    """
    kind = _kind_of(model)
    rope: dict[str, Any] = {"rope_theta": model.rope_base, **_scaling_fields(model.rope_scaling)}
    config: dict[str, Any] = {
        "architectures": [ARCHITECTURES[kind]],
        "model_type": kind,
        "vocab_size": model.vocabulary,
        "hidden_size": model.width,
        "num_hidden_layers": model.layers,
        "num_attention_heads": model.heads,
        "num_key_value_heads": model.kv_heads,
        "head_dim": model.head_width,
        "intermediate_size": model.hidden,
        "hidden_act": "silu",
        "max_position_embeddings": model.context,
        "rms_norm_eps": model.epsilon,
        "rope_parameters": rope,
        # Readers before transformers 5 look for these two.
        "rope_theta": model.rope_base,
        "rope_scaling": None if model.rope_scaling is None else _scaling_fields(model.rope_scaling),
        "tie_word_embeddings": model.tied,
        "attention_bias": False,
        "dtype": dtype,
        "torch_dtype": dtype,
    }
    if kind == "mistral":
        config["sliding_window"] = model.windows[0]
    elif any(model.windows):
        config["use_sliding_window"] = True
        config["sliding_window"] = max(model.windows)
        first = next(i for i, window in enumerate(model.windows) if window)
        config["max_window_layers"] = first
        config["layer_types"] = [
            "sliding_attention" if window else "full_attention" for window in model.windows
        ]
    return config


def _kind_of(model: Llama) -> str:
    windows = set(model.windows) or {0}
    if model.qkv_bias and model.qk_norm:
        raise UserError("architecture", "no known class has qkv_bias and qk_norm", "switch one of them off")
    if len(windows - {0}) > 1:
        raise UserError("architecture", f"windows of sizes {windows - {0}}", "use one size")
    if model.qk_norm:
        return "qwen3"
    if model.qkv_bias:
        return "qwen2"
    if windows == {0}:
        return "llama"
    if len(windows) == 1:
        return "mistral"
    raise UserError(
        "architecture", "no known class has windows in some layers without bias or norms", "use one for all"
    )


def _refuse_unknown_switches(config: Mapping[str, Any], where: str) -> None:
    wanted = {"hidden_act": ("silu", "swish"), "mlp_bias": (False,), "partial_rotary_factor": (1, 1.0)}
    for name, known in wanted.items():
        if config.get(name) is not None and config[name] not in known:
            raise UserError(
                "architecture", f"{where} has {name}={config[name]!r}", f"only {known[0]!r} is known here"
            )
    if config.get("model_type") == "llama" and config.get("attention_bias"):
        # Llama's own switch puts a bias on the output of attention as well.
        raise UserError("architecture", f"{where} has attention_bias=True", "only qwen2's bias is known here")
    if config.get("quantization_config"):
        raise UserError(
            "quantisation",
            f"{where} describes quantised weights",
            "use plain weights, or the model as a GGUF file",
        )


def _windows_from(config: Mapping[str, Any], kind: str, layers: int) -> tuple[int, ...]:
    window = config.get("sliding_window")
    if not window or kind == "llama" or (kind != "mistral" and not config.get("use_sliding_window")):
        return ()
    types = config.get("layer_types")
    if types:
        return tuple(window if kind_of == "sliding_attention" else 0 for kind_of in types)
    first = 0 if kind == "mistral" else config.get("max_window_layers", layers)
    return tuple(window if i >= first else 0 for i in range(layers))


def _scaling_from(rope: Mapping[str, Any], context: int, where: str) -> Scaling | None:
    kind = rope.get("rope_type") or rope.get("type") or "default"
    try:
        factor = float(rope.get("factor") or 1.0)
        original = int(rope.get("original_max_position_embeddings") or context)
        # "dynamic" stretches beyond the context only, where nothing is decoded here.
        if kind in ("default", "dynamic"):
            return None
        if kind == "linear":
            return LinearScaling(factor)
        if kind == "llama3":
            return Llama3Scaling(
                factor, float(rope["low_freq_factor"]), float(rope["high_freq_factor"]), original
            )
        if kind == "yarn":
            return YarnScaling(
                factor,
                original,
                _yarn_gain_from(rope, factor),
                float(rope.get("beta_fast") or 32.0),
                float(rope.get("beta_slow") or 1.0),
                bool(rope.get("truncate", True)),
            )
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            "field", f"{where} has a rope scaling {kind!r} without a usable {error}", "add the field"
        ) from error
    raise UserError(
        "architecture", f"{where} has the rope scaling {kind!r}", "default, linear, llama3 and yarn are known"
    )


def _yarn_gain_from(rope: Mapping[str, Any], factor: float) -> float:
    if rope.get("attention_factor"):
        return float(rope["attention_factor"])
    strength, overall = rope.get("mscale"), rope.get("mscale_all_dim")
    if strength and overall:
        return yarn_gain(factor, float(strength)) / yarn_gain(factor, float(overall))
    return yarn_gain(factor)


def _scaling_fields(scaling: Scaling | None) -> dict[str, Any]:
    match scaling:
        case None:
            return {"rope_type": "default"}
        case LinearScaling():
            return {"rope_type": "linear", "factor": scaling.factor}
        case Llama3Scaling():
            return {
                "rope_type": "llama3", "factor": scaling.factor, "low_freq_factor": scaling.low,
                "high_freq_factor": scaling.high, "original_max_position_embeddings": scaling.original,
            }  # fmt: skip
        case YarnScaling():
            return {
                "rope_type": "yarn", "factor": scaling.factor, "attention_factor": scaling.gain,
                "original_max_position_embeddings": scaling.original, "beta_fast": scaling.fast,
                "beta_slow": scaling.slow, "truncate": scaling.truncate,
            }  # fmt: skip
        case TableScaling():
            raise UserError(
                "architecture",
                "rotary factors that a GGUF file lists one by one have no place in config.json",
                "export from the original Hugging Face folder",
            )
