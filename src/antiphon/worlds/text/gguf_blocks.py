"""Quantised blocks of GGUF files as float32: a scale (and an offset) for 32 weights, or for parts of 256.

Source: the layout that ggml defines in ``ggml-common.h``. ``d`` and ``m`` are half-precision numbers, nibbles
hold the first half of a block in the low halves of its bytes and the second half in the high ones.
"""

from collections.abc import Callable
from typing import NamedTuple

import ml_dtypes
import numpy as np

from antiphon.core.errors import UserError


class BlockFormat(NamedTuple):
    """How one tensor type is stored.

    Attributes:
        name: as people call it.
        weights: in a block.
        size: bytes of a block.
        decode: blocks ``[n, size]`` uint8 to ``[n, weights]``.
    """

    name: str
    weights: int
    size: int
    decode: Callable[[np.ndarray], np.ndarray]


def dequantise(kind: int, data: np.ndarray, where: str) -> np.ndarray:
    """Bytes as float32 weights, flat.

    Args:
        kind: number of the tensor type in the file.
        data: uint8, whole blocks.
        where: the file and tensor, for the error.

    Raises:
        UserError: a type that is not known here.
    """
    layout = block_format(kind, where)
    blocks = data.reshape(-1, layout.size)
    return layout.decode(blocks).astype(np.float32, copy=False).reshape(-1)


def block_format(kind: int, where: str) -> BlockFormat:
    """The layout of a tensor type.

    Raises:
        UserError: a type that is not known here.
    """
    if kind not in FORMATS:
        known = ", ".join(layout.name for layout in FORMATS.values())
        raise UserError(
            "quantisation",
            f"{where} is stored as tensor type {kind}, which is not known here",
            f"use {known}",
        )
    return FORMATS[kind]


def _half(blocks: np.ndarray, first: int) -> np.ndarray:
    """The half-precision number at a byte of every block, ``[n, 1]`` float32."""
    return np.ascontiguousarray(blocks[:, first : first + 2]).view(np.float16).astype(np.float32)


def _nibbles(packed: np.ndarray) -> np.ndarray:
    return np.concatenate([packed & 15, packed >> 4], axis=-1)


def _fifth_bits(blocks: np.ndarray, first: int) -> np.ndarray:
    """32 bits of every block, lowest first, each worth 16."""
    return np.unpackbits(blocks[:, first : first + 4], axis=-1, bitorder="little") << 4


def _q4_0(b: np.ndarray) -> np.ndarray:
    return _half(b, 0) * (_nibbles(b[:, 2:]).astype(np.float32) - 8)


def _q4_1(b: np.ndarray) -> np.ndarray:
    return _half(b, 0) * _nibbles(b[:, 4:]).astype(np.float32) + _half(b, 2)


def _q5_0(b: np.ndarray) -> np.ndarray:
    return _half(b, 0) * ((_nibbles(b[:, 6:]) | _fifth_bits(b, 2)).astype(np.float32) - 16)


def _q5_1(b: np.ndarray) -> np.ndarray:
    return _half(b, 0) * (_nibbles(b[:, 8:]) | _fifth_bits(b, 4)).astype(np.float32) + _half(b, 2)


def _q8_0(b: np.ndarray) -> np.ndarray:
    return _half(b, 0) * b[:, 2:].view(np.int8).astype(np.float32)


def _six_bits(b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scales and offsets of the 8 parts of a K block: 16 numbers of six bits in the bytes 4 … 15."""
    low, middle, high = b[:, 4:8], b[:, 8:12], b[:, 12:16]
    scale = np.concatenate([low & 63, (high & 15) | (low >> 6 << 4)], axis=-1)
    offset = np.concatenate([middle & 63, (high >> 4) | (middle >> 6 << 4)], axis=-1)
    return (_half(b, 0) * scale.astype(np.float32))[..., None], (_half(b, 2) * offset)[..., None]


def _q4_k(b: np.ndarray) -> np.ndarray:
    scale, offset = _six_bits(b)
    # 32 bytes hold two parts of 32 weights: low halves, then high halves.
    q = _nibbles(b[:, 16:].reshape(-1, 4, 32)).reshape(-1, 8, 32)
    return (scale * q.astype(np.float32) - offset).reshape(len(b), -1)


def _q5_k(b: np.ndarray) -> np.ndarray:
    scale, offset = _six_bits(b)
    q = _nibbles(b[:, 48:].reshape(-1, 4, 32)).reshape(-1, 8, 32)
    # Bit p of byte i belongs to weight i of part p.
    fifth = b[:, None, 16:48] >> np.arange(8, dtype=np.uint8)[:, None] & 1
    return (scale * (q | fifth << 4).astype(np.float32) - offset).reshape(len(b), -1)


def _q6_k(b: np.ndarray) -> np.ndarray:
    low, high = b[:, :128].reshape(-1, 2, 64), b[:, 128:192].reshape(-1, 2, 1, 32)
    scale = _half(b, 208) * b[:, 192:208].view(np.int8).astype(np.float32)
    # Of each 128 weights: four rows of 32, whose lower four bits lie in 64 bytes and upper two in 32.
    four = _nibbles(low).reshape(-1, 2, 4, 32)
    two = high >> np.array([0, 2, 4, 6], np.uint8)[:, None] & 3
    q = (four | two << 4).astype(np.float32) - 32
    return (scale.reshape(-1, 16, 1) * q.reshape(-1, 16, 16)).reshape(len(b), -1)


FORMATS = {
    0: BlockFormat("F32", 1, 4, lambda b: np.ascontiguousarray(b).view(np.float32)),
    1: BlockFormat("F16", 1, 2, lambda b: np.ascontiguousarray(b).view(np.float16)),
    30: BlockFormat("BF16", 1, 2, lambda b: np.ascontiguousarray(b).view(ml_dtypes.bfloat16)),
    2: BlockFormat("Q4_0", 32, 18, _q4_0),
    3: BlockFormat("Q4_1", 32, 20, _q4_1),
    6: BlockFormat("Q5_0", 32, 22, _q5_0),
    7: BlockFormat("Q5_1", 32, 24, _q5_1),
    8: BlockFormat("Q8_0", 32, 34, _q8_0),
    12: BlockFormat("Q4_K", 256, 144, _q4_k),
    13: BlockFormat("Q5_K", 256, 176, _q5_k),
    14: BlockFormat("Q6_K", 256, 210, _q6_k),
}
"""By the number of the tensor type."""
