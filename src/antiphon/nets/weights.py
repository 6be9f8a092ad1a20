"""Pytrees to and from safetensors files: named leaves, checksums, small differences.

A leaf is named by its dotted path (``layers.attention.query``), whatever holds it: dataclass, dict, list,
tuple or named tuple. Files are written beside their destination and renamed, so a reader never meets half a
file.
"""

import contextlib
import hashlib
import json
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import safetensors
from jax.typing import DTypeLike
from jaxtyping import PyTree

from antiphon.core.errors import UserError

Tree = TypeVar("Tree")

_FORMAT_NAMES = {
    "float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16",
    "float8_e4m3fn": "F8_E4M3", "float8_e5m2": "F8_E5M2", "complex64": "C64",
    "int64": "I64", "int32": "I32", "int16": "I16", "int8": "I8",
    "uint64": "U64", "uint32": "U32", "uint16": "U16", "uint8": "U8", "bool": "BOOL",
}  # fmt: skip
_DTYPES = {code: np.dtype(getattr(ml_dtypes, name, name)) for name, code in _FORMAT_NAMES.items()}
_METADATA_KEY = "antiphon"


class WeightsError(UserError):
    """A weights file or tree that cannot be used; ``message`` says why and ``mend`` what to do."""

    def __init__(self, message: str, mend: str):
        super().__init__("weights", message, mend)

    def __reduce__(self) -> Any:
        return WeightsError, (self.message, self.mend)


def named_leaves(tree: PyTree) -> dict[str, Any]:
    """Leaves of a pytree by dotted path, in flattening order.

    Args:
        tree: Any pytree. A tree that is one leaf has the single name ``value``.

    Returns:
        ``{name: leaf}``.

    Raises:
        WeightsError: Two leaves would share a name (a dict key contains a dot).
    """
    named: dict[str, Any] = {}
    for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
        name = jax.tree_util.keystr(path, simple=True, separator=".") or "value"
        if name in named:
            raise WeightsError(f"Two leaves are named {name!r}", "use dict keys without dots")
        named[name] = leaf
    return named


def save_tree(
    path: str | os.PathLike[str],
    tree: PyTree,
    *,
    storage_dtype: DTypeLike | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> str:
    """Write a pytree as one safetensors file, atomically.

    Args:
        path: Destination; its folder must exist.
        tree: Arrays, PRNG keys, Python numbers or booleans, in any pytree.
        storage_dtype: Floating leaves are stored in this dtype (say ``float16``); ``None`` stores every bit.
        metadata: Any JSON value kept in the header, read back by ``load_metadata``.

    Returns:
        SHA-256 of the file, in hexadecimal.

    Raises:
        WeightsError: A leaf cannot be stored, or is too large for ``storage_dtype``.
        OSError: The disk refused (full, read-only); the destination is then untouched.
    """
    arrays = {name: _stored(name, leaf, storage_dtype) for name, leaf in named_leaves(tree).items()}
    return _write_file(Path(path), arrays, metadata)


def load_arrays(path: str | os.PathLike[str], *, sha256: str | None = None) -> dict[str, np.ndarray]:
    """Every array of a safetensors file by name, in the dtype it was stored in.

    Args:
        path: A safetensors file, ours or anybody's.
        sha256: If given, the file must have this checksum.

    Returns:
        ``{name: array}`` on the host.

    Raises:
        WeightsError: The file is missing, truncated, corrupt, or has another checksum.
    """
    return _parse(Path(path), _read_file(Path(path), sha256))


def load_tree(
    path: str | os.PathLike[str], like: Tree, *, sha256: str | None = None, exact_dtype: bool = False
) -> Tree:
    """Read a pytree with the structure, shapes, dtypes and placement of ``like``.

    Args:
        path: File written by ``save_tree``.
        like: Pytree of arrays or ``jax.ShapeDtypeStruct``; NumPy leaves come back as NumPy, numbers as
            numbers, the rest as jax arrays, sharded as ``like`` is.
        sha256: If given, the file must have this checksum.
        exact_dtype: Refuse a stored dtype that differs; otherwise floating leaves are cast.

    Returns:
        The tree.

    Raises:
        WeightsError: The file is damaged, or a leaf (the first is named) is missing, unexpected or of
            another shape.
    """
    arrays = load_arrays(path, sha256=sha256)
    wanted = named_leaves(like)
    _check_names(Path(path), wanted, arrays)
    leaves = [_restored(Path(path), name, leaf, arrays[name], exact_dtype) for name, leaf in wanted.items()]
    return jax.tree.unflatten(jax.tree.structure(like), leaves)


def load_metadata(path: str | os.PathLike[str]) -> Any:
    """The metadata given to ``save_tree``, without reading the arrays; ``None`` if there is none."""
    path = Path(path)
    _require_file(path)
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            stored = file.metadata() or {}
    except (safetensors.SafetensorError, OSError) as error:
        raise _damaged(path, str(error)) from error
    return json.loads(stored[_METADATA_KEY]) if _METADATA_KEY in stored else None


def file_sha256(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verify(path: str | os.PathLike[str], sha256: str) -> None:
    """Check a file against its expected SHA-256.

    Raises:
        WeightsError: The file is missing, or its checksum differs (both are named).
    """
    _require_file(Path(path))
    _compare_checksums(Path(path), file_sha256(path), sha256)


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
    _check_names(path, old, new)
    arrays: dict[str, np.ndarray] = {}
    shapes: dict[str, list[int]] = {}
    largest, worst, squared_error, squared_difference = 0.0, "", 0.0, 0.0
    for name, leaf in new.items():
        after, before = _stored(name, leaf, None), _stored(name, old[name], None)
        if after.shape != before.shape:
            raise WeightsError(
                f"Leaf {name!r} has shape {after.shape} but the reference has {before.shape}",
                "give the weights the tree was fine-tuned from",
            )
        if not _is_floating(after.dtype):
            if not np.array_equal(after, before):
                raise WeightsError(
                    f"Leaf {name!r} is {after.dtype} and differs from the reference",
                    "a difference holds floating weights only, so use save_tree",
                )
            continue
        difference = after.astype(np.float32) - before.astype(np.float32)
        if not np.isfinite(difference).all():
            raise WeightsError(
                f"Leaf {name!r} has a difference that is not finite", "save a finite checkpoint"
            )
        shapes[name] = list(difference.shape)
        arrays |= _quantised(name, difference, bits)
        restored = _dequantised(name, arrays, difference.shape, bits)
        error = np.abs((before.astype(np.float32) + restored).astype(before.dtype).astype(np.float32)
                       - after.astype(np.float32))  # fmt: skip
        if error.size and float(error.max()) >= largest:
            largest, worst = float(error.max()), name
        squared_error += float(np.sum(np.square(error, dtype=np.float64)))
        squared_difference += float(np.sum(np.square(difference, dtype=np.float64)))
    header = {"bits": bits, "shapes": shapes, "reference": tree_sha256(reference), "user": metadata}
    sha256 = _write_file(path, arrays, header)
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
        stored = _stored(name, leaf, None)
        if name in header["shapes"]:
            change = _dequantised(name, arrays, tuple(header["shapes"][name]), header["bits"])
            stored = (stored.astype(np.float32) + change).astype(stored.dtype)
        leaves.append(_restored(path, name, leaf, stored, exact_dtype=True))
    return jax.tree.unflatten(jax.tree.structure(reference), leaves)


def tree_sha256(tree: PyTree) -> str:
    """SHA-256 over the names, dtypes, shapes and bits of a pytree, independent of how it was stored."""
    digest = hashlib.sha256()
    for name, leaf in sorted(named_leaves(tree).items()):
        array = _stored(name, leaf, None)
        digest.update(f"{name}|{array.dtype.name}|{array.shape}|".encode())
        digest.update(_bytes_of(array))
    return digest.hexdigest()


# --- one leaf ---


def _is_key(leaf: Any) -> bool:
    return hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _is_floating(dtype: DTypeLike) -> bool:
    return bool(jnp.issubdtype(dtype, jnp.floating))


def _stored(name: str, leaf: Any, storage_dtype: DTypeLike | None) -> np.ndarray:
    array = np.asarray(jax.random.key_data(leaf) if _is_key(leaf) else leaf)
    if array.dtype.name not in _FORMAT_NAMES:
        raise WeightsError(
            f"Leaf {name!r} is a {type(leaf).__name__} of dtype {array.dtype}, which safetensors cannot hold",
            "keep only numbers in the tree",
        )
    if storage_dtype is None or not _is_floating(array.dtype):
        return array
    with np.errstate(over="ignore"):
        cast = array.astype(storage_dtype)
    if np.isfinite(array.astype(np.float32)).all() and not np.isfinite(cast.astype(np.float32)).all():
        raise WeightsError(
            f"Leaf {name!r} has values too large for {np.dtype(storage_dtype).name}", "store it as float32"
        )
    return cast


def _restored(path: Path, name: str, like: Any, array: np.ndarray, exact_dtype: bool) -> Any:
    is_key = _is_key(like)
    template = jax.eval_shape(jax.random.key_data, like) if is_key else like
    shape = tuple(np.shape(template))
    dtype = np.dtype(getattr(template, "dtype", None) or np.asarray(template).dtype)
    if array.shape != shape:
        raise WeightsError(
            f"Weights file {path} has leaf {name!r} of shape {array.shape} but {shape} is wanted",
            "build the network with the configuration the file was made with",
        )
    castable = not exact_dtype and _is_floating(array.dtype) and _is_floating(dtype)
    if array.dtype != dtype and not castable:
        raise WeightsError(
            f"Weights file {path} has leaf {name!r} of dtype {array.dtype} but {dtype} is wanted",
            "build the network with the configuration the file was made with",
        )
    array = array.astype(dtype)
    if isinstance(like, bool | int | float | complex):
        return type(like)(array.item())
    if isinstance(like, np.ndarray | np.generic):
        return array
    sharding = getattr(like, "sharding", None)
    if is_key:
        implementation = jax.random.key_impl(like) if isinstance(like, jax.Array) else None
        value = jax.random.wrap_key_data(jnp.asarray(array), impl=implementation)
    else:
        value = jnp.asarray(array)
    # An uncommitted array must stay so, or jit would refuse to mix it with arrays on other devices.
    is_placed = sharding is not None and (len(sharding.device_set) > 1 or getattr(like, "_committed", False))
    return jax.device_put(value, sharding) if is_placed else value


def _check_names(path: Path, wanted: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    missing = next((name for name in wanted if name not in found), None)
    if missing is not None:
        raise WeightsError(
            f"Weights file {path} lacks leaf {missing!r} of shape {tuple(np.shape(wanted[missing]))}",
            "build the network with the configuration the file was made with",
        )
    unexpected = next((name for name in found if name not in wanted), None)
    if unexpected is not None:
        raise WeightsError(
            f"Weights file {path} has leaf {unexpected!r} of shape {tuple(np.shape(found[unexpected]))}, "
            "which the network lacks",
            "build the network with the configuration the file was made with",
        )


# --- quantisation ---


def _quantised(name: str, difference: np.ndarray, bits: int) -> dict[str, np.ndarray]:
    if difference.ndim < 2:
        return {f"{name}.exact": difference}
    top = 2 ** (bits - 1) - 1
    scale = np.max(np.abs(difference), axis=-2, keepdims=True, initial=0.0) / np.float32(top)
    # A scale below the smallest normal float32 would divide into noise; such a difference is nothing.
    scale = np.where(scale < np.finfo(np.float32).tiny, np.float32(0), scale).astype(np.float32)
    levels = np.rint(np.divide(difference, scale, out=np.zeros_like(difference), where=scale > 0))
    integers = np.clip(levels, -top, top).astype(np.int8)
    return {f"{name}.integers": integers if bits == 8 else _pack(integers), f"{name}.scale": scale}


def _dequantised(
    name: str, arrays: Mapping[str, np.ndarray], shape: tuple[int, ...], bits: int
) -> np.ndarray:
    if len(shape) < 2:
        return arrays[f"{name}.exact"]
    integers = arrays[f"{name}.integers"]
    integers = integers if bits == 8 else _unpack(integers, shape)
    return integers.astype(np.float32) * arrays[f"{name}.scale"]


def _pack(integers: np.ndarray) -> np.ndarray:
    flat = integers.reshape(-1).view(np.uint8) & 0xF
    flat = np.concatenate([flat, np.zeros(flat.size % 2, np.uint8)])
    return flat[0::2] | (flat[1::2] << 4)


def _unpack(packed: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    nibbles = np.stack([packed & 0xF, packed >> 4], axis=-1).reshape(-1)[: int(np.prod(shape))]
    return (nibbles.astype(np.int8) ^ 8).astype(np.int8).reshape(shape) - np.int8(8)  # sign of four bits


# --- files ---


def _bytes_of(array: np.ndarray) -> Any:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)  # itself a buffer, so nothing is copied


def _write_file(path: Path, arrays: Mapping[str, np.ndarray], metadata: Any) -> str:
    # Written here rather than by the safetensors package so that arrays are streamed without a second copy,
    # are hashed on the way, and a full disk arrives as an OSError with its errno.
    header: dict[str, Any] = {}
    if metadata is not None:
        header["__metadata__"] = {_METADATA_KEY: json.dumps(metadata)}
    offset = 0
    for name, array in arrays.items():
        end = offset + array.nbytes
        code = _FORMAT_NAMES[array.dtype.name]
        header[name] = {"dtype": code, "shape": list(array.shape), "data_offsets": [offset, end]}
        offset = end
    encoded = json.dumps(header, separators=(",", ":")).encode()
    encoded += b" " * (-len(encoded) % 8)
    digest = hashlib.sha256()
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            for part in (struct.pack("<Q", len(encoded)), encoded, *map(_bytes_of, arrays.values())):
                digest.update(part)
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    return digest.hexdigest()


def _require_file(path: Path) -> None:
    if not path.is_file():
        raise WeightsError(f"Weights file {path} does not exist", "check the path, or make the weights first")


def _read_file(path: Path, sha256: str | None) -> bytes:
    _require_file(path)
    data = path.read_bytes()
    if sha256 is not None:
        _compare_checksums(path, hashlib.sha256(data).hexdigest(), sha256)
    return data


def _compare_checksums(path: Path, found: str, expected: str) -> None:
    if found != expected.lower():
        raise WeightsError(
            f"Weights file {path} has SHA-256 {found} where {expected.lower()} is expected",
            "it is damaged or of another version, so fetch or make it again",
        )


def _parse(path: Path, data: bytes) -> dict[str, np.ndarray]:
    try:
        entries = safetensors.deserialize(data)
    except safetensors.SafetensorError as error:
        raise _damaged(path, f"{error}, {len(data)} bytes") from error
    arrays = {}
    for name, entry in entries:
        if entry["dtype"] not in _DTYPES:
            raise WeightsError(
                f"Weights file {path} has leaf {name!r} of dtype {entry['dtype']}, which cannot be read here",
                "convert it to float32",
            )
        arrays[name] = np.frombuffer(entry["data"], _DTYPES[entry["dtype"]]).reshape(entry["shape"])
    return arrays


def _damaged(path: Path, reason: str) -> WeightsError:
    return WeightsError(
        f"Weights file {path} is truncated or corrupt ({reason})", "fetch it again, or make it again"
    )
