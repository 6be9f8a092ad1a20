"""Fine-tuned weights as a small file: the quantised difference from the weights they started at."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import jax
import numpy as np
from jaxtyping import PyTree

from antiphon.nets.array_file import WeightsError, load_arrays, load_metadata, save_arrays
from antiphon.nets.weights import (
    check_names,
    host_array,
    is_floating,
    named_leaves,
    restored_leaf,
    tree_sha256,
)

Tree = TypeVar("Tree")


@dataclass(frozen=True)
class DifferenceError:
    """What quantising a difference cost.

    Attributes:
        largest: max over all weights of ``|restored − tree|``.
        relative: ``‖restored − tree‖₂ / ‖tree − reference‖₂`` over all weights; 0 if nothing differs.
        worst_leaf: Name of the leaf where ``largest`` is met.
        file_bytes: Size of the file.
        sha256: Its checksum.
    """

    largest: float
    relative: float
    worst_leaf: str
    file_bytes: int
    sha256: str


def save_difference(
    path: str | os.PathLike[str],
    tree: PyTree,
    reference: PyTree,
    *,
    bits: Literal[4, 8] = 8,
    metadata: Mapping[str, Any] | None = None,
) -> DifferenceError:
    """Store fine-tuned weights as a quantised difference from those they started at.

    For a leaf ``[..., in, out]`` with d = tree − reference, each output unit has the scale
    ``s = max_in |d| / (2^(bits−1) − 1)`` and integers ``q = round(d / s)``, so that
    ``|s·q − d| ≤ s / 2`` but for float32 rounding. Leaves of fewer than two axes keep a float32 difference,
    and leaves that are not floating must equal the reference.

    Args:
        path: Destination, conventionally ``*.difference.safetensors``.
        tree: Fine-tuned weights.
        reference: The weights they started from, same structure; needed again to load.
        bits: 8 (a quarter of float32) or 4 (an eighth, two integers in a byte).
        metadata: Any JSON value, returned by ``load_metadata`` under ``user``.

    Returns:
        The error made, measured by restoring.

    Raises:
        WeightsError: The trees differ in structure, shape or an integer leaf, or a difference is not finite.
    """
    if bits not in (4, 8):
        raise WeightsError(f"A difference of {bits} bits is not known", "choose bits=8 or bits=4")
    path, new, old = Path(path), named_leaves(tree), named_leaves(reference)
    check_names(path, old, new)
    arrays: dict[str, np.ndarray] = {}
    shapes: dict[str, list[int]] = {}
    largest, worst, squared_error, squared_difference = 0.0, "", 0.0, 0.0
    for name, leaf in new.items():
        after, before = host_array(name, leaf), host_array(name, old[name])
        difference = _difference(name, after, before)
        if difference is None:
            continue
        shapes[name] = list(difference.shape)
        arrays |= _quantised(name, difference, bits)
        error = np.abs(
            _sum(before, _dequantised(name, arrays, difference.shape, bits)).astype(np.float32)
            - after.astype(np.float32)
        )
        if error.size and float(error.max()) >= largest:
            largest, worst = float(error.max()), name
        squared_error += float(np.sum(np.square(error, dtype=np.float64)))
        squared_difference += float(np.sum(np.square(difference, dtype=np.float64)))
    header = {"bits": bits, "shapes": shapes, "reference": tree_sha256(reference), "user": metadata}
    sha256 = save_arrays(path, arrays, header)
    relative = (squared_error / squared_difference) ** 0.5 if squared_difference else 0.0
    return DifferenceError(largest, relative, worst, path.stat().st_size, sha256)


def load_difference(path: str | os.PathLike[str], reference: Tree, *, sha256: str | None = None) -> Tree:
    """Weights restored from a difference and the reference it was taken from.

    Args:
        path: File written by ``save_difference``.
        reference: The same weights as when saving.
        sha256: If given, the file must have this checksum.

    Returns:
        ``reference + difference``, with the structure, dtypes and placement of ``reference``.

    Raises:
        WeightsError: The file is damaged, is no difference, or was taken from another reference.
    """
    path = Path(path)
    arrays = load_arrays(path, sha256=sha256)
    header = load_metadata(path)
    if not isinstance(header, dict) or not {"bits", "shapes", "reference"} <= header.keys():
        raise WeightsError(f"Weights file {path} is not a difference", "load it with load_tree")
    found = tree_sha256(reference)
    if found != header["reference"]:
        raise WeightsError(
            f"Difference {path} was taken from weights with checksum {header['reference']}, "
            f"these have {found}",
            "load the reference it was fine-tuned from",
        )
    leaves = []
    for name, leaf in named_leaves(reference).items():
        stored = host_array(name, leaf)
        if name in header["shapes"]:
            stored = _sum(stored, _dequantised(name, arrays, tuple(header["shapes"][name]), header["bits"]))
        leaves.append(restored_leaf(path, name, leaf, stored, exact_dtype=True))
    return jax.tree.unflatten(jax.tree.structure(reference), leaves)


def pack_nibbles(integers: np.ndarray) -> np.ndarray:
    """Integers in [-8, 7] of any shape as four bits each, two in a byte, the first in the low half."""
    flat = integers.astype(np.int8).reshape(-1).view(np.uint8) & 0xF
    flat = np.concatenate([flat, np.zeros(flat.size % 2, np.uint8)])
    return flat[0::2] | (flat[1::2] << 4)


def unpack_nibbles(packed: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The inverse of :func:`pack_nibbles`, int8."""
    nibbles = np.stack([packed & 0xF, packed >> 4], axis=-1).reshape(-1)[: int(np.prod(shape))]
    return (nibbles.astype(np.int8) ^ 8).astype(np.int8).reshape(shape) - np.int8(8)  # sign of four bits


def _difference(name: str, after: np.ndarray, before: np.ndarray) -> np.ndarray | None:
    """``after − before`` in float32; ``None`` for a leaf that is not floating and has not changed."""
    if after.shape != before.shape:
        raise WeightsError(
            f"Leaf {name!r} has shape {after.shape} but the reference has {before.shape}",
            "give the weights the tree was fine-tuned from",
        )
    if not is_floating(after.dtype):
        if not np.array_equal(after, before):
            raise WeightsError(
                f"Leaf {name!r} is {after.dtype} and differs from the reference",
                "a difference holds floating weights only, so use save_tree",
            )
        return None
    difference = after.astype(np.float32) - before.astype(np.float32)
    if not np.isfinite(difference).all():
        raise WeightsError(f"Leaf {name!r} has a difference that is not finite", "save a finite checkpoint")
    return difference


def _sum(before: np.ndarray, change: np.ndarray) -> np.ndarray:
    return (before.astype(np.float32) + change).astype(before.dtype)


def _quantised(name: str, difference: np.ndarray, bits: int) -> dict[str, np.ndarray]:
    if difference.ndim < 2:
        return {f"{name}.exact": difference}
    top = 2 ** (bits - 1) - 1
    scale = np.max(np.abs(difference), axis=-2, keepdims=True, initial=0.0) / np.float32(top)
    # A scale below the smallest normal float32 would divide into noise; such a difference is nothing.
    scale = np.where(scale < np.finfo(np.float32).tiny, np.float32(0), scale).astype(np.float32)
    levels = np.rint(np.divide(difference, scale, out=np.zeros_like(difference), where=scale > 0))
    integers = np.clip(levels, -top, top).astype(np.int8)
    return {f"{name}.integers": integers if bits == 8 else pack_nibbles(integers), f"{name}.scale": scale}


def _dequantised(
    name: str, arrays: Mapping[str, np.ndarray], shape: tuple[int, ...], bits: int
) -> np.ndarray:
    if len(shape) < 2:
        return arrays[f"{name}.exact"]
    integers = arrays[f"{name}.integers"]
    integers = integers if bits == 8 else unpack_nibbles(integers, shape)
    return integers.astype(np.float32) * arrays[f"{name}.scale"]
