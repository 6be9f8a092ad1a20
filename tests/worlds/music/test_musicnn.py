import importlib.util
import sys
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from antiphon.core.errors import UserError
from antiphon.worlds.music import musicnn
from antiphon.worlds.music.tensor_bundle import read_tensor_bundle

needs_weights = pytest.mark.skipif(
    importlib.util.find_spec("musicnn") is None, reason="musicnn is not installed"
)


@pytest.fixture(scope="module")
def params():
    return musicnn.load_musicnn()


def test_mel_filters_are_the_published_ones():
    # First two filters of librosa.filters.mel(sr=22050, n_fft=2048), as documented by the mel_filter crate.
    filters = musicnn.slaney_mel_filters(22_050, 2048, 128)
    assert filters.shape == (1025, 128)
    first = [0.0, 0.016182853208219942, 0.032365706416439884, 0.028990088037379964, 0.012807234829160026, 0.0]
    second = [0, 0, 0, 0.009779235793639925, 0.025962089001859864, 0.035393705451959974, 0.01921085224374004]
    np.testing.assert_allclose(filters[:6, 0], first, atol=1e-9)
    np.testing.assert_allclose(filters[:7, 1], second, atol=1e-9)


def test_mel_filters_have_unit_area_where_the_bins_resolve_them():
    filters = musicnn.slaney_mel_filters(16_000, 16_384, 96)
    np.testing.assert_allclose(filters.sum(axis=0) * 16_000 / 16_384, 1.0, rtol=0.01)


def test_patches_match_a_plain_loop():
    rng = np.random.default_rng(0)
    wave = rng.normal(size=60_000).astype(np.float32) * 0.1
    patches = np.asarray(musicnn.log_mel_patches(jnp.asarray(wave[None])))
    count = 1 + 60_000 // 256
    starts = [0, count - 187]
    assert patches.shape == (1, 2, 187, 96)
    padded = np.pad(wave.astype(float), 256, mode="reflect")
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(512) / 512)
    filters = musicnn.slaney_mel_filters(16_000, 512, 96)
    for patch, frame in ((0, 0), (0, 186), (1, 0), (1, 186)):
        at = (starts[patch] + frame) * 256
        power = np.abs(np.fft.rfft(padded[at : at + 512] * window)) ** 2
        np.testing.assert_allclose(patches[0, patch, frame], np.log10(1 + 1e4 * power @ filters), rtol=2e-4)


@pytest.mark.parametrize(("samples", "hop", "count"), [(81_920, 1.0, 3), (81_920, 3.0, 2), (20_000, 1.0, 1)])
def test_number_of_patches(samples, hop, count):
    assert musicnn.log_mel_patches(jnp.zeros((2, samples)), hop).shape == (2, count, 187, 96)


@needs_weights
def test_weights_come_without_importing_the_package(params):
    assert "musicnn" not in sys.modules
    assert "tensorflow" not in sys.modules
    assert len(musicnn.TAGS) == len(set(musicnn.TAGS)) == params.head[1].shape[0] == 50
    source = (
        Path(importlib.util.find_spec("musicnn").submodule_search_locations[0]) / "configuration.py"
    ).read_text()
    line = next(line for line in source.splitlines() if line.startswith("MTT_LABELS"))
    assert [part.strip(" '") for part in line.split("[")[1].rstrip("]").split(",")] == list(musicnn.TAGS)


def masked_crc32c(data):
    table = []
    for i in range(256):
        for _ in range(8):
            i = (i >> 1) ^ (0x82F63B78 if i & 1 else 0)
        table.append(i)
    crc = 0xFFFFFFFF
    for byte in data:
        crc = (crc >> 8) ^ table[(crc ^ byte) & 0xFF]
    crc ^= 0xFFFFFFFF
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


@needs_weights
def test_weights_carry_the_checksums_of_the_checkpoint():
    folder = Path(importlib.util.find_spec("musicnn").submodule_search_locations[0]) / "MTT_musicnn"
    index = (folder / ".index").read_bytes()
    variables = read_tensor_bundle(folder)
    for name in (
        "conv2d/bias",
        "dense_1/kernel",
        "dense/bias",
        "batch_normalization_9/gamma",
        "conv2d_4/kernel",
    ):
        stored = b"\x35" + masked_crc32c(variables[name].tobytes()).to_bytes(4, "little")
        assert index.count(stored) == 1, name


@needs_weights
def test_network_equals_an_independent_numpy_version(params):
    folder = Path(importlib.util.find_spec("musicnn").submodule_search_locations[0]) / "MTT_musicnn"
    v = {name: array.astype(float) for name, array in read_tensor_bundle(folder).items()}
    patch = np.random.default_rng(1).uniform(0, 4, (187, 96))

    def norm(x, k):
        name = "batch_normalization" + (f"_{k}" if k else "")
        mean, variance = v[f"{name}/moving_mean"], v[f"{name}/moving_variance"]
        return (x - mean) / np.sqrt(variance + 1e-3) * v[f"{name}/gamma"] + v[f"{name}/beta"]

    def convolve(x, k, before, after):
        name = "conv2d" + (f"_{k}" if k else "")
        kernel = v[f"{name}/kernel"][:, :, 0]
        windows = np.lib.stride_tricks.sliding_window_view(
            np.pad(x, ((before, after), (0, 0))), kernel.shape[:2]
        )
        return norm(np.maximum(np.tensordot(windows, kernel, 2) + v[f"{name}/bias"], 0), k + 1)

    x = norm(patch[..., None], 0)[..., 0]
    pads = ((3, 3), (3, 3), (63, 64), (31, 32), (15, 16))
    parts = [np.concatenate([convolve(x, k, *pad).max(axis=1) for k, pad in enumerate(pads)], axis=1)]
    parts.append(convolve(parts[0], 5, 3, 3)[:, 0])
    parts.append(convolve(parts[1], 6, 3, 3)[:, 0] + parts[1])
    parts.append(convolve(parts[2], 7, 3, 3)[:, 0] + parts[2])
    every = np.concatenate(parts, axis=1)
    pooled = np.empty(2 * every.shape[1])
    pooled[0::2], pooled[1::2] = every.max(axis=0), every.mean(axis=0)
    features = norm(np.maximum(norm(pooled, 9) @ v["dense/kernel"] + v["dense/bias"], 0), 10)
    logits = features @ v["dense_1/kernel"] + v["dense_1/bias"]

    tags, found = musicnn.forward_patches(params, jnp.asarray(patch[None], jnp.float32))
    np.testing.assert_allclose(found[0], features, atol=1e-4)
    np.testing.assert_allclose(tags[0], 1 / (1 + np.exp(-logits)), rtol=1e-3)


@needs_weights
def test_clips_are_means_of_patches_and_silence_is_quiet(params):
    wave = jnp.asarray(np.random.default_rng(2).normal(size=(1, 60_000)) * 0.1, jnp.float32)
    both = jnp.concatenate([wave, jnp.zeros_like(wave)])
    tags, features = musicnn.tag_clips(params, both)
    patches = musicnn.log_mel_patches(wave)[0]
    want_tags, want_features = musicnn.forward_patches(params, patches)
    np.testing.assert_allclose(tags[0], want_tags.mean(axis=0), rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(features[0], want_features.mean(axis=0), atol=1e-3)
    assert features.shape == (2, 200)
    assert tags[1, musicnn.TAGS.index("quiet")] > 10 * tags[1, musicnn.TAGS.index("loud")]


@needs_weights
def test_real_sound_gets_the_right_tag(params):
    pytest.importorskip("pretty_midi", reason="brings the sound font")
    from antiphon.worlds.music.notes import NoteList
    from antiphon.worlds.music.renderer import Renderer
    from antiphon.worlds.music.soundfont import load_font

    renderer = Renderer(load_font())
    pitch = np.array([60, 64, 67, 72, 71, 67, 65, 62, 60, 64, 67, 72])
    clips = [
        renderer.render(
            NoteList(np.arange(12) * 0.3, np.full(12, 0.28), pitch, np.full(12, 100), np.full(12, program)),
            3.75,
        )
        for program in (0, 52, 73)
    ]
    tags = np.asarray(musicnn.tag_clips(params, jnp.asarray(np.stack(clips)))[0])
    columns = tags[:, [musicnn.TAGS.index(name) for name in ("piano", "choir", "flute")]]
    np.testing.assert_array_equal(columns.argmax(axis=0), [0, 1, 2])


def test_missing_package_is_said_with_the_mend(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="pip install --no-deps musicnn"):
        musicnn.load_musicnn()
