"""A PNG from an array of palette indices: no imaging library, and a quarter of the bytes of RGB."""

import struct
import zlib

import numpy as np
from jaxtyping import UInt8


def encode_png(indices: UInt8[np.ndarray, "H W"], palette: UInt8[np.ndarray, "N 3"]) -> bytes:
    """Encodes an image of 8-bit palette indices.

    Args:
        indices: one palette index for each pixel, top row first.
        palette: at most 256 RGB colours.

    Raises:
        ValueError: a pixel names a colour that the palette does not have.

    Source: PNG specification, third edition, sections 5 and 11.
    """
    height, width = indices.shape
    if not 1 <= len(palette) <= 256 or int(indices.max(initial=0)) >= len(palette):
        raise ValueError(
            f"an index of {int(indices.max(initial=0))} needs a palette of more than {len(palette)} colours; "
            "scale the indices below the number of colours, at most 256."
        )
    # Bit depth 8, colour type 3 (palette), no interlace.
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    # Filter type 0 in front of every row: other filters do not help palette images.
    rows = np.pad(indices, ((0, 0), (1, 0))).astype(np.uint8).tobytes()
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", header),
            _chunk(b"PLTE", palette.astype(np.uint8).tobytes()),
            _chunk(b"IDAT", zlib.compress(rows, 9)),
            _chunk(b"IEND", b""),
        ]
    )


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
