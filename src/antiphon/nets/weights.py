"""Pytrees to and from safetensors files, leaf by leaf.

A leaf is named by its dotted path (``layers.attention.query``), whatever holds it: dataclass, dict, list,
tuple or named tuple. Files are written beside their destination and renamed, so a reader never meets half a
file.
"""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import PyTree

from antiphon.core import trees
from antiphon.nets.array_file import (
    WeightsError,
    bytes_of,
    can_hold,
    load_arrays,
    load_metadata,
    save_arrays,
    verify,
)

__all__ = [
    "WeightsError", "check_names", "host_array", "is_floating", "load_arrays", "load_metadata", "load_tree",
    "named_leaves", "restored_leaf", "save_tree", "tree_sha256", "verify",
]  # fmt: skip

Tree = TypeVar("Tree")


def named_leaves(tree: PyTree) -> dict[str, Any]:
    """Leaves of a pytree by dotted path, in flattening order.

    Args:
        tree: Any pytree. A tree that is one leaf has the single name ``value``.

    Returns:
        ``{name: leaf}``.

    Raises:
        UserError: Two leaves would share a name (a dict key contains a dot).
    """
    named = trees.named_leaves(tree)
    return {"value": named[""]} if list(named) == [""] else named


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
    arrays = {name: host_array(name, leaf, storage_dtype) for name, leaf in named_leaves(tree).items()}
    return save_arrays(path, arrays, metadata)


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
    check_names(Path(path), wanted, arrays)
    leaves = [
        restored_leaf(Path(path), name, leaf, arrays[name], exact_dtype) for name, leaf in wanted.items()
    ]
    return jax.tree.unflatten(jax.tree.structure(like), leaves)


def tree_sha256(tree: PyTree) -> str:
    """SHA-256 over the names, dtypes, shapes and bits of a pytree, independent of how it was stored."""
    digest = hashlib.sha256()
    for name, leaf in sorted(named_leaves(tree).items()):
        array = host_array(name, leaf)
        digest.update(f"{name}|{array.dtype.name}|{array.shape}|".encode())
        digest.update(bytes_of(array))
    return digest.hexdigest()


def is_floating(dtype: DTypeLike) -> bool:
    """Whether a dtype is of real floating numbers, the small formats of accelerators included."""
    return bool(jnp.issubdtype(dtype, jnp.floating))


def host_array(name: str, leaf: Any, storage_dtype: DTypeLike | None = None) -> np.ndarray:
    """A leaf as the array to store; a PRNG key becomes its words.

    Args:
        name: Of the leaf, for the error.
        leaf: Array, PRNG key, number or boolean.
        storage_dtype: Floating leaves are cast to it; ``None`` keeps every bit.

    Raises:
        WeightsError: The leaf is no number, or too large for ``storage_dtype``.
    """
    array = np.asarray(jax.random.key_data(leaf) if _is_key(leaf) else leaf)
    if not can_hold(array.dtype):
        raise WeightsError(
            f"Leaf {name!r} is a {type(leaf).__name__} of dtype {array.dtype}, which safetensors cannot hold",
            "keep only numbers in the tree",
        )
    if storage_dtype is None or not is_floating(array.dtype):
        return array
    with np.errstate(over="ignore"):
        cast = array.astype(storage_dtype)
    if np.isfinite(array.astype(np.float32)).all() and not np.isfinite(cast.astype(np.float32)).all():
        raise WeightsError(
            f"Leaf {name!r} has values too large for {np.dtype(storage_dtype).name}", "store it as float32"
        )
    return cast


def restored_leaf(path: Path, name: str, like: Any, array: np.ndarray, exact_dtype: bool = False) -> Any:
    """The inverse of :func:`host_array`: a stored array as the kind of leaf that ``like`` is.

    Args:
        path: Where the array came from, for the error.
        name: Of the leaf, for the error.
        like: Gives type, shape, dtype and placement.
        array: As stored.
        exact_dtype: Refuse another dtype; otherwise floating numbers are cast.

    Raises:
        WeightsError: Shape or dtype do not fit.
    """
    is_key = _is_key(like)
    template = jax.eval_shape(jax.random.key_data, like) if is_key else like
    shape = tuple(np.shape(template))
    dtype = np.dtype(getattr(template, "dtype", None) or np.asarray(template).dtype)
    if array.shape != shape:
        raise WeightsError(
            f"Weights file {path} has leaf {name!r} of shape {array.shape} but {shape} is wanted",
            "build the network with the configuration the file was made with",
        )
    castable = not exact_dtype and is_floating(array.dtype) and is_floating(dtype)
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


def check_names(path: Path, wanted: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """Compare leaves by name.

    Raises:
        WeightsError: One is missing or unexpected; the first is named with its shape.
    """
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


def _is_key(leaf: Any) -> bool:
    return hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
