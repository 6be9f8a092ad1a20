import struct

import numpy as np
import pytest

from antiphon.core.errors import UserError
from antiphon.worlds.music.tensor_bundle import read_tensor_bundle


def varint(value):
    out = b""
    while value >= 0x80:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def block(pairs):
    """LevelDB block with prefix compression and one restart point."""
    out, previous = b"", b""
    for key, value in pairs:
        shared = 0
        while shared < min(len(key), len(previous)) and key[shared] == previous[shared]:
            shared += 1
        out += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        previous = key
    return out + struct.pack("<II", 0, 1)


def entry(dtype, shape, offset, size, shard=0):
    dims = b"".join(b"\x12" + varint(len(d)) + d for d in (b"\x08" + varint(n) for n in shape))
    message = b"\x08" + varint(dtype) + b"\x12" + varint(len(dims)) + dims
    if shard:
        message += b"\x18" + varint(shard)
    if offset:
        message += b"\x20" + varint(offset)
    return message + b"\x28" + varint(size) + b"\x35" + b"\0\0\0\0"


def write_bundle(folder, arrays, compression=0, shard=0):
    codes = {"<f4": 1, "<i4": 3, "<i8": 9}
    data, pairs = b"", [(b"", b"\x08\x01")]
    for name, array in sorted(arrays.items()):
        raw = array.tobytes()
        pairs.append((name.encode(), entry(codes[array.dtype.str], array.shape, len(data), len(raw), shard)))
        data += raw
    table, handles = b"", []
    for part in (pairs[:2], pairs[2:]):  # two data blocks
        body = block(part)
        handles.append((part[-1][0], varint(len(table)) + varint(len(body))))
        table += body + bytes([compression]) + b"\0\0\0\0"
    index = block(handles)
    footer = varint(0) + varint(0) + varint(len(table)) + varint(len(index))
    table += index + bytes([compression]) + b"\0\0\0\0"
    table += footer.ljust(40, b"\0") + struct.pack("<Q", 0xDB4775248B80FB57)
    (folder / "model.index").write_bytes(table)
    (folder / "model.data-00000-of-00001").write_bytes(data)
    return folder / "model"


ARRAYS = {
    "layer/kernel": np.arange(200, dtype="<f4").reshape(4, 50),
    "layer/kernel_copy": np.ones((2, 1, 3), "<f4"),
    "layer/steps": np.array([1 << 40], "<i8"),
    "scalar": np.array(7, "<i4"),
}


def test_round_trip(tmp_path):
    found = read_tensor_bundle(write_bundle(tmp_path, ARRAYS))
    assert set(found) == set(ARRAYS)
    for name, array in ARRAYS.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)
        assert found[name].shape == array.shape


def test_missing_damaged_compressed_and_sharded_files_are_named(tmp_path):
    with pytest.raises(UserError, match=r"model\.index is missing"):
        read_tensor_bundle(tmp_path / "model")
    prefix = write_bundle(tmp_path, ARRAYS, compression=1)
    with pytest.raises(UserError, match="is compressed"):
        read_tensor_bundle(prefix)
    with pytest.raises(UserError, match="more than one shard"):
        read_tensor_bundle(write_bundle(tmp_path, ARRAYS, shard=1))
    (tmp_path / "model.index").write_bytes(b"\0" * 100)
    with pytest.raises(UserError, match="is not a TensorFlow checkpoint index"):
        read_tensor_bundle(prefix)
