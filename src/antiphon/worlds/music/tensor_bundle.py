"""Reads a TensorFlow checkpoint ("tensor bundle") into NumPy arrays, without TensorFlow.

A bundle is two files. ``PREFIX.index`` is a LevelDB table: sorted keys (variable names) with values that are
``BundleEntryProto`` messages (type, shape, place of the bytes). ``PREFIX.data-00000-of-00001`` holds the raw
little-endian arrays. Formats: ``leveldb/doc/table_format.md`` and
``tensorflow/core/protobuf/tensor_bundle.proto``.
"""

import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from antiphon.core.errors import UserError

_MAGIC = 0xDB4775248B80FB57
_FOOTER_BYTES = 48
# tensorflow/core/framework/types.proto
_DTYPES = {1: "<f4", 2: "<f8", 3: "<i4", 9: "<i8"}


def read_tensor_bundle(prefix: Path) -> dict[str, np.ndarray]:
    """All numeric variables of a single-shard TensorFlow checkpoint, by name.

    Args:
        prefix: path without ``.index``, or a directory whose files are called just ``.index`` and
            ``.data-00000-of-00001``.

    Returns:
        Variable name to array, in the shapes of the checkpoint. String variables are skipped.

    Raises:
        UserError: a file is missing, is no tensor bundle, or uses compression or several shards.
    """
    joiner = "/" if prefix.is_dir() else ""
    index_path, data_path = Path(f"{prefix}{joiner}.index"), Path(f"{prefix}{joiner}.data-00000-of-00001")
    for path in (index_path, data_path):
        if not path.is_file():
            raise UserError(
                "file",
                f"The checkpoint file {path.name} is missing in {path.parent}",
                "reinstall the package it belongs to",
            )
    index, data = index_path.read_bytes(), data_path.read_bytes()
    if len(index) < _FOOTER_BYTES or struct.unpack("<Q", index[-8:])[0] != _MAGIC:
        raise UserError(
            "file",
            f"{index_path} is not a TensorFlow checkpoint index",
            "reinstall the package it belongs to",
        )

    footer = index[-_FOOTER_BYTES:]
    _, at = _varint(footer, 0)  # the metaindex block's handle: offset and size, unused by TensorFlow
    _, at = _varint(footer, at)
    offset, at = _varint(footer, at)
    size, _ = _varint(footer, at)

    tensors = {}
    for _, handle in _entries(_block(index, offset, size, index_path)):
        block_offset, at = _varint(handle, 0)
        block_size, _ = _varint(handle, at)
        for key, value in _entries(_block(index, block_offset, block_size, index_path)):
            if key:  # the empty key holds the header
                array = _tensor(value, data, index_path)
                if array is not None:
                    tensors[key.decode()] = array
    return tensors


def _varint(buffer: bytes, at: int) -> tuple[int, int]:
    """A base-128 integer and the position after it."""
    value, shift = 0, 0
    while True:
        byte = buffer[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def _block(index: bytes, offset: int, size: int, path: Path) -> bytes:
    """The contents of one table block; one byte after it tells the compression."""
    if index[offset + size] != 0:
        raise UserError("file", f"{path} is compressed", "save the checkpoint index without compression")
    return index[offset : offset + size]


def _entries(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of a block; every key stores only what differs from the key before."""
    restarts = struct.unpack("<I", block[-4:])[0]
    end, at, key = len(block) - 4 * (restarts + 1), 0, b""
    while at < end:
        shared, at = _varint(block, at)
        fresh, at = _varint(block, at)
        length, at = _varint(block, at)
        key = key[:shared] + block[at : at + fresh]
        at += fresh
        yield key, block[at : at + length]
        at += length


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Field numbers and values of a protocol-buffer message; 32-bit fields come as bytes."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, at = _varint(message, at)
            yield number, value
        else:
            length, at = (8, at) if wire == 1 else (4, at) if wire == 5 else _varint(message, at)
            yield number, message[at : at + length]
            at += length


def _tensor(entry: bytes, data: bytes, path: Path) -> np.ndarray | None:
    """The array of a ``BundleEntryProto``: dtype (1), shape (2), shard (3), offset (4), size (5)."""
    shape: list[int] = []
    numbers = {1: 0, 3: 0, 4: 0, 5: 0}
    for number, value in _fields(entry):
        if number == 2 and isinstance(value, bytes):
            for _, dimension in _fields(value):
                sizes = dict(_fields(dimension)) if isinstance(dimension, bytes) else {}
                extent = sizes.get(1, 0)
                shape.append(extent if isinstance(extent, int) else 0)
        elif number in numbers and isinstance(value, int):
            numbers[number] = value
    if numbers[3] != 0:
        raise UserError("file", f"{path} has more than one shard", "save the checkpoint as a single shard")
    if numbers[1] not in _DTYPES:
        return None
    raw = data[numbers[4] : numbers[4] + numbers[5]]
    return np.frombuffer(raw, dtype=_DTYPES[numbers[1]]).reshape(shape)
