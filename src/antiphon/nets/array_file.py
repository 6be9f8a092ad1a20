"""Named arrays as one safetensors file, checked when it is read.

Written here rather than by the safetensors package so that arrays are streamed without a second copy, are
hashed on the way, and a full disk arrives as an ``OSError`` with its errno.
"""

import hashlib
import json
import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import safetensors

from antiphon.core.errors import UserError
from antiphon.core.files import file_sha256, whole_file

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


def can_hold(dtype: np.dtype) -> bool:
    """Whether the format has a name for this dtype."""
    return dtype.name in _FORMAT_NAMES


def save_arrays(path: str | os.PathLike[str], arrays: Mapping[str, np.ndarray], metadata: Any = None) -> str:
    """Write arrays by name as one safetensors file, atomically.

    Args:
        path: Destination; its folder must exist.
        arrays: ``{name: array}``, of dtypes that :func:`can_hold` accepts.
        metadata: Any JSON value kept in the header, read back by :func:`load_metadata`.

    Returns:
        SHA-256 of the file, in hexadecimal.

    Raises:
        OSError: The disk refused (full, read-only); the destination is then untouched.
    """
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
    with whole_file(Path(path)) as file:
        for part in (struct.pack("<Q", len(encoded)), encoded, *map(bytes_of, arrays.values())):
            digest.update(part)
            file.write(part)
    return digest.hexdigest()


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
    path = Path(path)
    _require_file(path)
    data = path.read_bytes()
    if sha256 is not None:
        _compare_checksums(path, hashlib.sha256(data).hexdigest(), sha256)
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


def load_metadata(path: str | os.PathLike[str]) -> Any:
    """The metadata the file was saved with, without reading the arrays; ``None`` if there is none.

    Raises:
        WeightsError: The file is missing, truncated or corrupt.
    """
    path = Path(path)
    _require_file(path)
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            stored = file.metadata() or {}
    except (safetensors.SafetensorError, OSError) as error:
        raise _damaged(path, str(error)) from error
    return json.loads(stored[_METADATA_KEY]) if _METADATA_KEY in stored else None


def verify(path: str | os.PathLike[str], sha256: str) -> None:
    """Check a file against its expected SHA-256.

    Raises:
        WeightsError: The file is missing, or its checksum differs (both are named).
    """
    _require_file(Path(path))
    _compare_checksums(Path(path), file_sha256(path), sha256)


def bytes_of(array: np.ndarray) -> memoryview:
    """The bytes of an array in row order, as something that can be written or hashed without a copy."""
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def _require_file(path: Path) -> None:
    if not path.is_file():
        raise WeightsError(f"Weights file {path} does not exist", "check the path, or make the weights first")


def _compare_checksums(path: Path, found: str, expected: str) -> None:
    if found != expected.lower():
        raise WeightsError(
            f"Weights file {path} has SHA-256 {found} where {expected.lower()} is expected",
            "it is damaged or of another version, so fetch or make it again",
        )


def _damaged(path: Path, reason: str) -> WeightsError:
    return WeightsError(
        f"Weights file {path} is truncated or corrupt ({reason})", "fetch it again, or make it again"
    )
