"""GGUF: every kind of block against scalar loops, whole models, and damaged or foreign files."""

import struct

import jax
import ml_dtypes
import numpy as np
import pytest

from antiphon.core.errors import UserError
from antiphon.nets.llama import Llama
from antiphon.nets.llama_rotary import LinearScaling, TableScaling, YarnScaling
from antiphon.worlds.text.gguf import GGUF
from antiphon.worlds.text.gguf_blocks import FORMATS, dequantise
from antiphon.worlds.text.gguf_model import load_gguf

F32, F16, BF16, Q8_0 = 0, 1, 30, 8


def string(text):
    return struct.pack("<Q", len(text.encode())) + text.encode()


def valued(value):
    """A metadata value with its type in front."""
    if isinstance(value, str):
        return struct.pack("<I", 8) + string(value)
    if isinstance(value, bool):
        return struct.pack("<I?", 7, value)
    if isinstance(value, int):
        return struct.pack("<II", 4, value)
    if isinstance(value, float):
        return struct.pack("<If", 6, value)
    items = b"".join(valued(item)[4:] for item in value)
    return struct.pack("<I", 9) + valued(value[0])[:4] + struct.pack("<Q", len(value)) + items


def stored(array, kind):
    if kind == Q8_0:
        blocks = array.reshape(-1, 32)
        d = (np.abs(blocks).max(axis=1, keepdims=True) / 127).astype(np.float16)
        q = np.rint(blocks / np.maximum(d.astype(np.float32), 1e-9)).astype(np.int8)
        return np.concatenate([d.view(np.uint8), q.view(np.uint8)], axis=1).tobytes()
    dtypes = {F32: np.float32, F16: np.float16, BF16: ml_dtypes.bfloat16}
    return array.astype(dtypes[kind]).tobytes()


def write_gguf(path, metadata, tensors, kind=F32, version=3, alignment=32):
    """``tensors`` is ``{name: array}``; arrays of one axis are always float32, as in real files."""
    if alignment != 32:
        metadata = metadata | {"general.alignment": alignment}
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(metadata))
    head += b"".join(string(key) + valued(value) for key, value in metadata.items())
    body = b""
    for name, array in tensors.items():
        of = F32 if array.ndim == 1 else kind
        head += (
            string(name) + struct.pack("<I", array.ndim) + struct.pack(f"<{array.ndim}Q", *array.shape[::-1])
        )
        head += struct.pack("<IQ", of, len(body))
        body += stored(array, of)
        body += b"\0" * (-len(body) % alignment)
    path.write_bytes(head + b"\0" * (-len(head) % alignment) + body)
    return path


def paired(rows, heads):
    """Rows of each head from pairs (i, i + w/2) to (2i, 2i + 1), as converters write them."""
    half = rows.shape[0] // heads // 2
    order = [h * 2 * half + i + side * half for h in range(heads) for i in range(half) for side in (0, 1)]
    return rows[order]


def parts(config, params, kind="llama"):
    """Metadata and tensors of a decoder."""
    metadata = {
        "general.architecture": kind,
        f"{kind}.block_count": config.layers,
        f"{kind}.context_length": config.context,
        f"{kind}.embedding_length": config.width,
        f"{kind}.feed_forward_length": config.hidden,
        f"{kind}.attention.head_count": config.heads,
        f"{kind}.attention.head_count_kv": config.kv_heads,
        f"{kind}.attention.key_length": config.head_width,
        f"{kind}.attention.layer_norm_rms_epsilon": config.epsilon,
        f"{kind}.rope.freq_base": config.rope_base,
        f"{kind}.rope.dimension_count": config.head_width,
    }
    p = jax.tree.map(np.asarray, params)
    tensors = {"token_embd.weight": p.embedding, "output_norm.weight": p.gain}
    if p.head is not None:
        tensors["output.weight"] = p.head.T
    names = {
        "attention_gain": "attn_norm.weight", "mlp_gain": "ffn_norm.weight", "q": "attn_q.weight",
        "k": "attn_k.weight", "v": "attn_v.weight", "o": "attn_output.weight", "gate": "ffn_gate.weight",
        "up": "ffn_up.weight", "down": "ffn_down.weight", "q_bias": "attn_q.bias", "k_bias": "attn_k.bias",
        "v_bias": "attn_v.bias", "q_gain": "attn_q_norm.weight", "k_gain": "attn_k_norm.weight",
    }  # fmt: skip
    for i in range(config.layers):
        for field, name in names.items():
            stacked = getattr(p.layers, field)
            if stacked is None:
                continue
            array = stacked[i].T
            if kind == "llama" and field in ("q", "k"):
                array = paired(array, config.heads if field == "q" else config.kv_heads)
            tensors[f"blk.{i}.{name}"] = array
    return metadata, tensors


CONFIG = Llama(64, 32, 2, 4, 2, 16, 32, context=128, rope_base=5e4)


def random_params(config):
    shapes = jax.eval_shape(config.init, jax.random.key(0))
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda leaf: rng.standard_normal(leaf.shape).astype(np.float32), shapes)


def close(found, wanted, tolerance):
    assert jax.tree.structure(found) == jax.tree.structure(wanted)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=tolerance), found, wanted)


@pytest.mark.parametrize(
    ("kind", "switches"),
    [("llama", {}), ("llama", {"tied": False}), ("qwen2", {"qkv_bias": True}), ("qwen3", {"qk_norm": True})],
)
def test_a_model_comes_back(tmp_path, kind, switches):
    config = Llama(64, 32, 2, 4, 2, 16, 32, context=128, rope_base=5e4, **switches)
    params = random_params(config)
    file = GGUF.open(write_gguf(tmp_path / "m.gguf", *parts(config, params, kind)))
    found, weights = load_gguf(file)
    assert found == config
    close(weights, params, 0)


@pytest.mark.parametrize(("kind", "tolerance"), [(F16, 2e-3), (BF16, 2e-2), (Q8_0, 2e-2)])
def test_in_other_formats(tmp_path, kind, tolerance):
    params = random_params(CONFIG)
    path = write_gguf(tmp_path / "m.gguf", *parts(CONFIG, params), kind=kind, version=2, alignment=64)
    close(load_gguf(GGUF.open(path))[1], params, tolerance)
    low = load_gguf(GGUF.open(path), np.dtype(ml_dtypes.bfloat16))[1]
    assert low.layers.down.dtype == ml_dtypes.bfloat16


def test_windows_and_scalings(tmp_path):
    metadata, tensors = parts(CONFIG, random_params(CONFIG))

    def config_with(extra, more=()):
        path = write_gguf(tmp_path / "m.gguf", metadata | extra, tensors | dict(more))
        return load_gguf(GGUF.open(path))[0]

    assert config_with({"llama.attention.sliding_window": 9}).windows == (9, 9)
    factors = np.array([1, 2, 3, 4, 5, 6, 7, 8], np.float32)
    assert config_with({}, {"rope_freqs.weight": factors}.items()).rope_scaling == TableScaling(
        tuple(factors)
    )
    linear = {"llama.rope.scaling.type": "linear", "llama.rope.scaling.factor": 4.0}
    assert config_with(linear).rope_scaling == LinearScaling(4.0)
    yarn = linear | {"llama.rope.scaling.type": "yarn", "llama.rope.scaling.original_context_length": 32}
    scaling = config_with(yarn).rope_scaling
    assert isinstance(scaling, YarnScaling)
    assert (scaling.original, scaling.gain) == (32, pytest.approx(1 + 0.1 * np.log(4)))
    with pytest.raises(UserError, match="'longrope'"):
        config_with(linear | {"llama.rope.scaling.type": "longrope"})
    with pytest.raises(UserError, match="turns 8 of 16 features"):
        config_with({"llama.rope.dimension_count": 8})


# Scalar loops over one block, written from ggml's description of the formats.


def half(b, at):
    return float(np.frombuffer(bytes(b[at : at + 2]), np.float16)[0])


def nibble(b, first, i):
    return int(b[first + i]) & 15 if i < 16 else int(b[first + i - 16]) >> 4


def bit(b, first, i):
    return int(b[first + i // 8]) >> (i % 8) & 1


def signed(byte):
    return int(byte) - 256 if byte > 127 else int(byte)


def six_bits(b, j):
    s = [int(x) for x in b[4:16]]
    if j < 4:
        return s[j] & 63, s[j + 4] & 63
    return (s[j + 4] & 15) | (s[j - 4] >> 6) << 4, (s[j + 4] >> 4) | (s[j] >> 6) << 4


def k_block(b, i, first, fifth):
    chunk, inside = divmod(i, 64)
    high, byte = divmod(inside, 32)
    part = 2 * chunk + high
    value = int(b[first + 32 * chunk + byte])
    q = value >> 4 if high else value & 15
    if fifth:
        q += 16 * (int(b[16 + byte]) >> part & 1)
    scale, offset = six_bits(b, part)
    return half(b, 0) * scale * q - half(b, 2) * offset


def q6_k(b, i):
    side, inside = divmod(i, 128)
    row, column = divmod(inside, 32)
    low = int(b[64 * side + 32 * (row % 2) + column])
    four = low >> 4 if row >= 2 else low & 15
    two = int(b[128 + 32 * side + column]) >> (2 * row) & 3
    scale = signed(b[192 + 8 * side + 2 * row + column // 16])
    return half(b, 208) * scale * ((four | two << 4) - 32)


SCALAR = {
    "Q4_0": lambda b, i: half(b, 0) * (nibble(b, 2, i) - 8),
    "Q4_1": lambda b, i: half(b, 0) * nibble(b, 4, i) + half(b, 2),
    "Q5_0": lambda b, i: half(b, 0) * (nibble(b, 6, i) + 16 * bit(b, 2, i) - 16),
    "Q5_1": lambda b, i: half(b, 0) * (nibble(b, 8, i) + 16 * bit(b, 4, i)) + half(b, 2),
    "Q8_0": lambda b, i: half(b, 0) * signed(b[2 + i]),
    "Q4_K": lambda b, i: k_block(b, i, 16, fifth=False),
    "Q5_K": lambda b, i: k_block(b, i, 48, fifth=True),
    "Q6_K": q6_k,
}
HALVES = {
    "Q4_0": [0],
    "Q4_1": [0, 2],
    "Q5_0": [0],
    "Q5_1": [0, 2],
    "Q8_0": [0],
    "Q4_K": [0, 2],
    "Q5_K": [0, 2],
}


@pytest.mark.parametrize("name", SCALAR)
def test_blocks_against_scalar_loops(name):
    kind, layout = next((kind, layout) for kind, layout in FORMATS.items() if layout.name == name)
    rng = np.random.default_rng(kind)
    blocks = rng.integers(0, 256, (3, layout.size), dtype=np.uint8)
    for at in HALVES.get(name, [208]):
        blocks[:, at : at + 2] = rng.standard_normal(3).astype(np.float16)[:, None].view(np.uint8)
    wanted = [[SCALAR[name](block, i) for i in range(layout.weights)] for block in blocks]
    found = dequantise(kind, blocks.reshape(-1), "a test").reshape(3, -1)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


def refused(path, kind):
    with pytest.raises(UserError) as caught:
        load_gguf(GGUF.open(path))
    assert caught.value.kind == kind
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_damaged_and_foreign_files(tmp_path):
    metadata, tensors = parts(CONFIG, random_params(CONFIG))
    path = write_gguf(tmp_path / "m.gguf", metadata, tensors)
    whole = path.read_bytes()
    for cut in (len(whole) - 40, 300, 30, 5):
        path.write_bytes(whole[:cut])
        assert "truncated" in refused(path, "file")
    path.write_bytes(b"")
    assert "truncated" in refused(path, "file")
    path.write_bytes(b"PK\3\4" + whole[4:])
    assert "does not begin with GGUF" in refused(path, "file")
    path.write_bytes(whole[:4] + struct.pack("<I", 1) + whole[8:])
    assert "version 1" in refused(path, "file")
    assert "cannot be read" in refused(tmp_path / "nothing.gguf", "file")
    write_gguf(path, metadata | {"general.architecture": "gpt2"}, tensors)
    assert "'gpt2'" in refused(path, "architecture")
    write_gguf(path, {k: v for k, v in metadata.items() if "block_count" not in k}, tensors)
    assert "no llama.block_count" in refused(path, "field")
    write_gguf(path, metadata, {k: v for k, v in tensors.items() if k != "blk.1.ffn_up.weight"})
    assert "lacks tensor blk.1.ffn_up.weight" in refused(path, "missing-tensor")
    write_gguf(path, metadata | {"llama.feed_forward_length": 64}, tensors)
    assert "of shape (32, 32) but (64, 32)" in refused(path, "shape")


def test_an_unknown_quantisation(tmp_path, monkeypatch):
    path = write_gguf(tmp_path / "m.gguf", *parts(CONFIG, random_params(CONFIG)), kind=F16)
    monkeypatch.delitem(FORMATS, F16)
    assert "tensor type 1, which is not known here" in refused(path, "quantisation")
