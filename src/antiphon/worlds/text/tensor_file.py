"""Tensors of a safetensors file, read from the disk one at a time and only when they are asked for."""

import json
import struct
from dataclasses import dataclass
from pathlib import Path

import ml_dtypes
import numpy as np

from antiphon.core.errors import UserError

_DTYPES = {
    "F64": np.dtype(np.float64),
    "F32": np.dtype(np.float32),
    "F16": np.dtype(np.float16),
    "BF16": np.dtype(ml_dtypes.bfloat16),
}


@dataclass(frozen=True)
class TensorFile:
    """The table of contents of a safetensors file.

    Attributes:
        path: the file.
        entries: ``{name: (dtype, shape, first byte in the file)}``.
    """

    path: Path
    entries: dict[str, tuple[str, tuple[int, ...], int]]

    @staticmethod
    def open(path: Path) -> "TensorFile":
        """Reads and checks the header.

        Raises:
            UserError: the file is missing, truncated, or no safetensors file.
        """
        try:
            size = path.stat().st_size
            with path.open("rb") as file:
                length = struct.unpack("<Q", file.read(8))[0]
                if length > size:
                    raise ValueError(f"its header should have {length} bytes")
                header = json.loads(file.read(length))
            header.pop("__metadata__", None)
            entries = {}
            for name, entry in header.items():
                first, end = entry["data_offsets"]
                if 8 + length + end > size:
                    raise ValueError(f"tensor {name} ends behind byte {size}, the last")
                entries[name] = entry["dtype"], tuple(entry["shape"]), 8 + length + first
        except OSError as error:
            raise UserError(
                "file", f"{path} cannot be read ({error.strerror or error})", "check the path"
            ) from error
        except (ValueError, KeyError, TypeError, AttributeError, struct.error) as error:
            raise UserError(
                "file", f"{path} is truncated or no safetensors file ({error})", "copy or fetch it again"
            ) from error
        return TensorFile(path, entries)

    def read(self, name: str) -> np.ndarray:
        """One tensor in the dtype it was stored in, mapped from the disk.

        Raises:
            UserError: its dtype holds no plain floating numbers.
        """
        code, shape, first = self.entries[name]
        if code not in _DTYPES:
            raise UserError(
                "file",
                f"{self.path} has tensor {name} of dtype {code}",
                "use weights in F32, F16 or BF16: quantised ones are read from GGUF files",
            )
        if 0 in shape:
            return np.zeros(shape, _DTYPES[code])
        return np.memmap(self.path, _DTYPES[code], "r", first, shape)
