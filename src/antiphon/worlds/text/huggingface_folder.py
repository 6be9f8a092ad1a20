"""Hugging Face folders in and out: ``config.json`` and safetensors, sharded or not."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from antiphon.core.errors import UserError
from antiphon.core.files import whole_file
from antiphon.nets.llama import Llama, LlamaLayer, LlamaParams, merged
from antiphon.nets.llama_names import EMBEDDING, FINAL_GAIN, HEAD, MODULES, layer_prefix, layer_tensors
from antiphon.nets.weights import save_arrays
from antiphon.worlds.text.huggingface_config import config_from, llama_from
from antiphon.worlds.text.tensor_file import TensorFile

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object.

    Raises:
        UserError: the file cannot be read, or holds something else.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(
            "file", f"{path} cannot be read ({error.strerror or error})", "check the path"
        ) from error
    except ValueError as error:
        raise UserError("file", f"{path} is no JSON ({error})", "copy or fetch it again") from error
    if not isinstance(value, dict):
        raise UserError("file", f"{path} holds a {type(value).__name__}", "a JSON object is needed there")
    return value


def load_folder(folder: Path, dtype: DTypeLike | None = None) -> tuple[Llama, LlamaParams]:
    """A decoder from a Hugging Face folder.

    Args:
        folder: with ``config.json`` and ``*.safetensors``.
        dtype: of the weights; ``None`` keeps what is stored.

    Raises:
        UserError: no model folder, an architecture that is not known here, or a tensor that is missing, of
            another shape, or left over.
    """
    if not (folder / "config.json").is_file():
        raise UserError(
            "file", f"{folder} has no config.json, so it is no model folder", "give a Hugging Face folder"
        )
    config = llama_from(read_json(folder / "config.json"), str(folder / "config.json"))
    homes = _homes(folder)
    names = layer_tensors(config)
    wanted = {EMBEDDING, FINAL_GAIN} | ({HEAD} if not config.tied else set())
    wanted |= {layer_prefix(i) + name for i in range(config.layers) for name in names.values()}
    _compare_names(folder, wanted, homes, config)

    def tensor(name: str, shape: tuple[int, ...], transposed: bool = False) -> np.ndarray:
        found = homes[name].read(name)
        stored = shape[::-1] if transposed else shape
        if found.shape != stored:
            raise UserError(
                "shape",
                f"{homes[name].path} has tensor {name} of shape {found.shape} but {stored} is wanted",
                "make config.json agree with the weights",
            )
        return found.T if transposed else found

    def stacked(field: str) -> jnp.ndarray:
        shape = field_shape(config, field)
        parts = [
            tensor(layer_prefix(i) + names[field], shape, field in MODULES) for i in range(config.layers)
        ]
        whole = np.empty((config.layers, *shape), dtype or parts[0].dtype)
        for i, part in enumerate(parts):
            whole[i] = part
        return jnp.asarray(whole)

    def single(name: str, shape: tuple[int, ...], transposed: bool = False) -> jnp.ndarray:
        found = tensor(name, shape, transposed)
        return jnp.asarray(np.array(found, dtype or found.dtype, order="C"))

    d, v = config.width, config.vocabulary
    return config, LlamaParams(
        embedding=single(EMBEDDING, (v, d)),
        layers=LlamaLayer(**{field: stacked(field) for field in names}),
        gain=single(FINAL_GAIN, (d,)),
        head=None if config.tied else single(HEAD, (d, v), transposed=True),
    )


def export_folder(
    folder: Path,
    config: Llama,
    params: LlamaParams,
    *,
    extra: Mapping[str, Any] | None = None,
    shard_bytes: int = 5_000_000_000,
) -> list[Path]:
    """Write a decoder as a Hugging Face folder that transformers loads.

    Adapters are merged. ``config.json`` comes last, so that a folder that was cut short is no model folder.

    Args:
        folder: made if need be.
        config: sizes.
        params: weights, in the dtype they are to be stored in.
        extra: further fields of ``config.json``, such as ``eos_token_id``.
        shard_bytes: tensors of one file at most (a larger tensor has a file of its own).

    Returns:
        The files.

    Raises:
        UserError: no class of transformers has these switches.
        OSError: the disk refused.
    """
    dtype = np.dtype(params.embedding.dtype).name
    described = config_from(config, dtype) | dict(extra or {})
    folder.mkdir(parents=True, exist_ok=True)
    tensors = named_tensors(config, merged(params))
    shards: list[dict[str, np.ndarray]] = [{}]
    room = shard_bytes
    for name, array in tensors.items():
        if shards[-1] and array.nbytes > room:
            shards.append({})
            room = shard_bytes
        shards[-1][name] = array
        room -= array.nbytes
    files = []
    count = len(shards)
    for i, shard in enumerate(shards):
        path = folder / (WEIGHTS if count == 1 else f"model-{i + 1:05d}-of-{count:05d}.safetensors")
        save_arrays(path, shard)
        files.append(path)
    if count > 1:
        total = sum(array.nbytes for array in tensors.values())
        places = {name: path.name for path, shard in zip(files, shards, strict=True) for name in shard}
        files.append(_write_json(folder / INDEX, {"metadata": {"total_size": total}, "weight_map": places}))
    return [*files, _write_json(folder / "config.json", described)]


def named_tensors(config: Llama, params: LlamaParams) -> dict[str, np.ndarray]:
    """Weights by the names and in the layout of Hugging Face."""
    tensors = {EMBEDDING: np.asarray(params.embedding)}
    for field, name in layer_tensors(config).items():
        whole = np.asarray(getattr(params.layers, field))
        for i in range(config.layers):
            tensors[layer_prefix(i) + name] = whole[i].T if field in MODULES else whole[i]
    tensors[FINAL_GAIN] = np.asarray(params.gain)
    if params.head is not None:
        tensors[HEAD] = np.asarray(params.head).T
    return tensors


def field_shape(config: Llama, field: str) -> tuple[int, ...]:
    """Shape of a field of one layer."""
    if field in MODULES:
        return config.shapes[field]
    if field.endswith("_bias"):
        return config.shapes[field[0]][1:]
    return (config.head_width,) if field in ("q_gain", "k_gain") else (config.width,)


def _homes(folder: Path) -> dict[str, TensorFile]:
    """The file of each tensor."""
    if (folder / INDEX).is_file():
        places = read_json(folder / INDEX).get("weight_map")
        if not isinstance(places, dict):
            raise UserError("file", f"{folder / INDEX} has no weight_map", "copy or fetch it again")
        files = {name: TensorFile.open(folder / name) for name in sorted(set(places.values()))}
        for name, place in places.items():
            if name not in files[place].entries:
                raise UserError("file", f"{folder / place} lacks tensor {name}", "copy or fetch it again")
        return {name: files[place] for name, place in places.items()}
    if (folder / WEIGHTS).is_file():
        file = TensorFile.open(folder / WEIGHTS)
        return dict.fromkeys(file.entries, file)
    other = next((path.name for path in sorted(folder.glob("*.bin"))), None)
    raise UserError(
        "file",
        f"{folder} has no {WEIGHTS}" + (f", only {other}" if other else ""),
        "save the model as safetensors",
    )


def _compare_names(folder: Path, wanted: set[str], found: Mapping[str, Any], config: Llama) -> None:
    missing = sorted(wanted - set(found))
    if missing:
        raise UserError(
            "missing-tensor",
            f"{folder} lacks tensor {missing[0]}" + (f" and {len(missing) - 1} more" * (len(missing) > 1)),
            "copy or fetch every shard",
        )
    # A head beside a tied embedding and the frequencies that old exporters wrote are known to be harmless.
    harmless = {HEAD} if config.tied else set()
    left = sorted(n for n in set(found) - wanted - harmless if not n.endswith("rotary_emb.inv_freq"))
    if left:
        raise UserError(
            "architecture",
            f"{folder} has tensor {left[0]}, which the architecture of config.json lacks",
            "check model_type and num_hidden_layers there",
        )


def _write_json(path: Path, value: Any) -> Path:
    with whole_file(path) as file:
        file.write(json.dumps(value, indent=2).encode())
    return path
