"""GGUF files: metadata, and tensors mapped from the disk and dequantised when they are asked for.

Source: the GGUF specification of the ggml project, versions 2 and 3, little-endian.
"""

import math
import mmap
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from antiphon.core.errors import UserError
from antiphon.worlds.text.gguf_blocks import block_format, dequantise

_NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9


class TensorEntry(NamedTuple):
    """Where a tensor lies.

    Attributes:
        shape: as NumPy has it, slowest axis first.
        kind: number of its type.
        first: its first byte in the file.
    """

    shape: tuple[int, ...]
    kind: int
    first: int


@dataclass(frozen=True)
class GGUF:
    """The head of a file.

    Attributes:
        path: the file.
        metadata: values by key, such as ``general.architecture``.
        entries: tensors by name.
    """

    path: Path
    metadata: dict[str, Any]
    entries: dict[str, TensorEntry]

    @staticmethod
    def open(path: Path) -> "GGUF":
        """Reads the head of a file and checks that every tensor lies inside it.

        Raises:
            UserError: the file is missing, truncated, of another version, or no GGUF file.
        """
        try:
            with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _parse(path, data)
        except OSError as error:
            raise UserError(
                "file", f"{path} cannot be read ({error.strerror or error})", "check the path"
            ) from error
        except UserError:
            raise
        except (ValueError, struct.error, KeyError, OverflowError) as error:
            raise UserError(
                "file", f"{path} is truncated or no GGUF file ({error})", "copy or fetch it again"
            ) from error

    def read(self, name: str) -> np.ndarray:
        """One tensor as float32.

        Raises:
            UserError: it is missing, or of a type that is not known here.
        """
        if name not in self.entries:
            raise UserError("missing-tensor", f"{self.path} lacks tensor {name}", "copy or fetch it again")
        entry = self.entries[name]
        data = np.memmap(self.path, np.uint8, "r", entry.first, _bytes_of(entry, f"{self.path}: {name}"))
        return dequantise(entry.kind, np.asarray(data), f"{self.path}: {name}").reshape(entry.shape)

    def value(self, key: str) -> Any:
        """A value that has to be there.

        Raises:
            UserError: it is not.
        """
        if key not in self.metadata:
            raise UserError("field", f"{self.path} has no {key} in its metadata", "make the file again")
        return self.metadata[key]


class _Cursor:
    """Reads one value after another from bytes."""

    def __init__(self, data: mmap.mmap) -> None:
        self.data, self.place = data, 0

    def number(self, code: str) -> Any:
        value = struct.unpack_from(f"<{code}", self.data, self.place)[0]
        self.place += struct.calcsize(f"<{code}")
        return value

    def string(self) -> str:
        length = self.number("Q")
        if self.place + length > len(self.data):
            raise ValueError(f"a string at byte {self.place} has {length} bytes")
        text = self.data[self.place : self.place + length]
        self.place += length
        return text.decode("utf-8", errors="replace")

    def value(self, kind: int) -> Any:
        if kind == _STRING:
            return self.string()
        if kind != _ARRAY:
            return self.number(_NUMBERS[kind])
        kind, count = self.number("I"), self.number("Q")
        if count > len(self.data):
            raise ValueError(f"an array at byte {self.place} has {count} items")
        if kind in (_STRING, _ARRAY):
            return [self.value(kind) for _ in range(count)]
        values = struct.unpack_from(f"<{count}{_NUMBERS[kind]}", self.data, self.place)
        self.place += struct.calcsize(f"<{count}{_NUMBERS[kind]}")
        return list(values)


def _parse(path: Path, data: mmap.mmap) -> GGUF:
    if data[:4] != b"GGUF":
        raise ValueError("it does not begin with GGUF")
    cursor = _Cursor(data)
    cursor.place = 4
    version = cursor.number("I")
    if version not in (2, 3):
        raise ValueError(f"version {version}, where 2 and 3 are known")
    tensors, pairs = cursor.number("Q"), cursor.number("Q")
    metadata = {cursor.string(): cursor.value(cursor.number("I")) for _ in range(pairs)}
    found = []
    for _ in range(tensors):
        name = cursor.string()
        shape = tuple(cursor.number("Q") for _ in range(cursor.number("I")))[::-1]
        found.append((name, shape, cursor.number("I"), cursor.number("Q")))
    alignment = int(metadata.get("general.alignment", 32))
    start = math.ceil(cursor.place / alignment) * alignment
    entries = {name: TensorEntry(shape, kind, start + offset) for name, shape, kind, offset in found}
    for name, entry in entries.items():
        end = entry.first + _bytes_of(entry, f"{path}: {name}")
        if end > len(data):
            raise ValueError(f"tensor {name} ends behind byte {len(data)}, the last")
    return GGUF(path, metadata, entries)


def _bytes_of(entry: TensorEntry, where: str) -> int:
    layout = block_format(entry.kind, where)
    return math.prod(entry.shape) // layout.weights * layout.size
