"""Adapters in and out in the layout of PEFT: ``adapter_config.json`` and ``adapter_model.safetensors``."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from antiphon.core.errors import UserError
from antiphon.core.files import whole_file
from antiphon.nets.array_file import load_arrays, save_arrays
from antiphon.nets.llama import Llama
from antiphon.nets.llama_names import MODULES, layer_prefix
from antiphon.nets.lora import Factors, LoRA

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"

_ROOT = "base_model.model."
_NAME = re.compile(re.escape(_ROOT) + r"model\.layers\.(\d+)\.([\w.]+)\.lora_([AB])\.weight")


def save_adapter(
    folder: Path, lora: LoRA, adapter: Mapping[str, Factors], *, base: str | None = None
) -> list[Path]:
    """Write an adapter that PEFT loads.

    Args:
        folder: made if need be.
        lora: its settings.
        adapter: its factors.
        base: the model it belongs to, for the reader.

    Returns:
        The files.

    Raises:
        OSError: the disk refused.
    """
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {}
    for field, factors in adapter.items():
        for letter, stacked in zip("AB", factors, strict=True):
            for i, matrix in enumerate(np.asarray(stacked)):
                arrays[f"{_ROOT}{layer_prefix(i)}{MODULES[field]}.lora_{letter}.weight"] = matrix.T
    save_arrays(folder / WEIGHTS, arrays)
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "inference_mode": True,
        "r": lora.rank,
        "lora_alpha": lora.alpha,
        "lora_dropout": 0.0,
        "use_rslora": lora.rank_stabilised,
        "target_modules": [MODULES[field].rpartition(".")[2] for field in adapter],
        "bias": "none",
        "fan_in_fan_out": False,
    }
    with whole_file(folder / CONFIG) as file:
        file.write(json.dumps(config, indent=2).encode())
    return [folder / WEIGHTS, folder / CONFIG]


def load_adapter(folder: Path, config: Llama) -> tuple[LoRA, dict[str, Factors]]:
    """Read an adapter that PEFT or :func:`save_adapter` wrote.

    Args:
        folder: with its two files.
        config: sizes of the model it is for.

    Raises:
        UserError: no adapter folder, a kind of adapter that is not known here, or factors that do not fit
            the model.
    """
    settings = _settings(folder / CONFIG)
    path = folder / WEIGHTS
    found: dict[str, dict[tuple[int, str], np.ndarray]] = {}
    fields = {module: field for field, module in MODULES.items()}
    for name, array in load_arrays(path).items():
        match = _NAME.fullmatch(name)
        if match is None or match[2] not in fields or int(match[1]) >= config.layers:
            raise UserError(
                "lora",
                f"{path} has tensor {name}, which the model has no place for",
                "adapt the q, k, v, o, gate, up and down projections of this model only",
            )
        found.setdefault(fields[match[2]], {})[int(match[1]), match[3]] = array
    lora = LoRA(
        rank=int(settings["r"]),
        alpha=float(settings.get("lora_alpha", settings["r"])),
        targets=tuple(found),
        rank_stabilised=bool(settings.get("use_rslora")),
    )
    return lora, {field: _stacked(path, config, lora, field, parts) for field, parts in found.items()}


def _settings(path: Path) -> dict[str, Any]:
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(
            "file", f"{path} cannot be read ({error.strerror or error})", "give the folder of a PEFT adapter"
        ) from error
    except ValueError as error:
        raise UserError("file", f"{path} is no JSON ({error})", "copy it again") from error
    if not isinstance(settings, dict) or settings.get("peft_type") != "LORA" or "r" not in settings:
        raise UserError("lora", f"{path} describes no LoRA adapter", "give the folder of one")
    for name in ("use_dora", "rank_pattern", "alpha_pattern", "modules_to_save", "fan_in_fan_out"):
        if settings.get(name):
            raise UserError("lora", f"{path} has {name}={settings[name]!r}", "only plain LoRA is known here")
    if settings.get("bias", "none") != "none":
        raise UserError("lora", f"{path} has bias={settings['bias']!r}", "only plain LoRA is known here")
    return settings


def _stacked(
    path: Path, config: Llama, lora: LoRA, field: str, parts: Mapping[tuple[int, str], np.ndarray]
) -> Factors:
    """Factors of every layer; zero where the adapter leaves a layer alone."""
    rows, columns = config.shapes[field]
    shapes = {"A": (rows, lora.rank), "B": (lora.rank, columns)}
    whole = {letter: np.zeros((config.layers, *shape), np.float32) for letter, shape in shapes.items()}
    for (i, letter), array in parts.items():
        if array.T.shape != shapes[letter]:
            raise UserError(
                "lora",
                f"{path} has factor {letter} of {MODULES[field]} of shape {array.shape} but "
                f"{shapes[letter][::-1]} is wanted",
                "load the model that the adapter was trained on",
            )
        whole[letter][i] = array.T
    return Factors(jnp.asarray(whole["A"]), jnp.asarray(whole["B"]))
