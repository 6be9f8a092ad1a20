"""Shapes, errors, the decoder's reach, streaming, and whether training trains."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.core.errors import UserError
from antiphon.worlds.music import codec as module
from antiphon.worlds.music.codec import (
    FRAME,
    Codec,
    CodecConfig,
    CodecNets,
    context_frames,
    decode_spectrum,
    decode_stream,
    encode_latent,
)
from antiphon.worlds.music.codec_training import CodecTraining, log_mel_distance, mel_loss
from antiphon.worlds.music.spectrum import stft

TINY = CodecConfig(width=16, blocks=1, latent=4, levels=3, codes=8)


@pytest.fixture(scope="module")
def codec() -> Codec:
    codes = jax.random.normal(jax.random.key(1), (TINY.levels, TINY.codes, TINY.latent))
    return Codec(CodecNets.init(jax.random.key(0), TINY), codes)


def wave(frames: int, batch: int = 2) -> np.ndarray:
    return 0.3 * np.random.default_rng(0).standard_normal((batch, frames * FRAME)).astype(np.float32)


def test_shapes_both_ways(codec):
    tokens = codec.encode(jnp.asarray(wave(6)))
    assert tokens.shape == (2, 6, TINY.levels)
    assert tokens.dtype == jnp.int32
    assert 0 <= tokens.min() <= tokens.max() < TINY.codes
    for levels in (1, 3):
        assert codec.decode(tokens[..., :levels]).shape == (2, 6 * FRAME)
    polished = codec.decode_polished(tokens, 2)
    assert polished.shape == (2, 6 * FRAME)
    assert np.isfinite(polished).all()
    # Without iterations all that differs is the floor of the log spectrum, which is at most 0.01 a bin.
    plain, bare = stft(codec.decode(tokens)), stft(codec.decode_polished(tokens, 0))
    assert 1e-4 < float(jnp.abs(plain - bare).max()) < 0.1


@pytest.mark.parametrize("samples", [FRAME - 1, 3 * FRAME + 1, 0])
def test_only_whole_frames_are_encoded(codec, samples):
    with pytest.raises(ValueError, match=f"whole frames of {FRAME} samples, got {samples}"):
        codec.encode(jnp.zeros((1, samples)))


@pytest.mark.parametrize("field", ["width", "blocks", "latent", "levels", "codes"])
def test_sizes_are_checked(field):
    with pytest.raises(UserError, match=field):
        CodecConfig(**{field: 0})


def test_phasors_have_unit_length_and_magnitude_is_capped(codec):
    latent = 50 * jax.random.normal(jax.random.key(0), (1, 5, TINY.latent))
    log_magnitude, phasor = decode_spectrum(codec.nets, latent)
    assert log_magnitude.shape == phasor.shape == (1, 10, 641)
    assert log_magnitude.max() <= 8.0
    np.testing.assert_allclose(np.abs(phasor), 1.0, atol=1e-2)


def test_context_frames_bounds_what_a_frame_depends_on(codec):
    reach, middle, frames = context_frames(codec.nets), 12, 25

    def sound_of_the_middle(latent):
        rebuilt = module.istft(jnp.exp(decode_spectrum(codec.nets, latent)[0]).astype(jnp.complex64))
        return jnp.sum(rebuilt[0, middle * FRAME : (middle + 1) * FRAME] ** 2)

    gradient = jax.grad(sound_of_the_middle)(jax.random.normal(jax.random.key(2), (1, frames, TINY.latent)))
    felt = np.flatnonzero(np.abs(np.asarray(gradient)[0]).max(axis=1) > 0)
    assert middle - reach <= felt.min() < middle - 3  # more than the slow blocks alone
    assert middle + 3 < felt.max() <= middle + reach
    assert reach < 10


# --- streaming


def smeared(reach: int):
    """A decoder that adds up all frames within ``reach``: exact, and as near-sighted as the network."""

    def decode(codec, tokens):
        padded = np.pad(np.asarray(tokens)[..., 0], ((0, 0), (reach, reach)))
        frames = sum((i + 1) * padded[:, i : i + tokens.shape[1]] for i in range(2 * reach + 1))
        return np.repeat(frames, FRAME, axis=1)

    return decode


@settings(max_examples=150, deadline=None)
@given(st.lists(st.integers(0, 40), max_size=6), st.integers(1, 30), st.integers(0, 10_000))
def test_any_chunking_equals_the_whole_decode(codec, sizes, chunk_frames, seed):
    decode = smeared(context_frames(codec.nets))
    tokens = np.random.default_rng(seed).integers(1, 8, (sum(sizes), 3))
    chunks = np.split(tokens, np.cumsum(sizes)[:-1]) if sizes else []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_decode", decode)
        pieces = list(decode_stream(codec, iter(chunks), chunk_frames))
    assert all(len(piece) == chunk_frames * FRAME for piece in pieces[:-1])
    joined = np.concatenate([np.zeros(0, int), *pieces])
    np.testing.assert_array_equal(joined, decode(codec, tokens[None])[0] if len(tokens) else [])


def test_the_network_streams_what_it_decodes_at_once(codec):
    tokens = np.random.default_rng(0).integers(0, TINY.codes, (45, 3))
    whole = np.asarray(codec.decode(jnp.asarray(tokens)[None]))[0]
    pieces = list(decode_stream(codec, np.split(tokens, [7, 20, 21]), chunk_frames=15))
    assert len(pieces) == 3
    np.testing.assert_allclose(np.concatenate(pieces), whole, atol=1e-4 * np.abs(whole).max())


def test_streaming_does_not_wait_for_the_end(codec):
    def endless():
        while True:
            yield np.zeros((5, 3), np.int32)

    assert len(next(decode_stream(codec, endless(), chunk_frames=15))) == 15 * FRAME
    with pytest.raises(ValueError, match="chunk_frames is 0"):
        decode_stream(codec, endless(), chunk_frames=0)


# --- training


def test_mel_loss_is_zero_for_equal_waves_and_grows_with_noise():
    clean = jnp.asarray(wave(4))
    disturbed = clean + 0.1 * jax.random.normal(jax.random.key(0), clean.shape)
    worse = clean + 1.0 * jax.random.normal(jax.random.key(0), clean.shape)
    assert mel_loss(clean, clean) == 0
    assert 0 < mel_loss(disturbed, clean) < mel_loss(worse, clean)
    np.testing.assert_array_equal(log_mel_distance(clean, clean), [0, 0])
    assert log_mel_distance(worse, clean).shape == (2,)


@pytest.mark.parametrize(
    "change", [{"coarse_levels": 4}, {"coarse_levels": 0}, {"coarse_share": 0.7}, {"full_share": -0.1}]
)
def test_impossible_levels_and_shares_are_refused(change):
    with pytest.raises(UserError, match="coarse"):
        CodecTraining(TINY, **{"coarse_levels": 2, **change})


def test_training_reduces_the_loss_with_finite_gradients():
    time = np.arange(6 * FRAME) / 16_000
    tones = [np.sin(2 * np.pi * f * time) for f in (220, 330, 440, 550)]
    batch = jnp.asarray(0.3 * np.stack(tones), jnp.float32)
    training = CodecTraining(TINY, learning_rate=1e-2, steps=60, coarse_levels=2)
    state, step = training.init(jax.random.key(0)), jax.jit(training.step)
    losses = []
    for i in range(30):
        state, metrics = step(state, batch, jax.random.key(i))
        losses.append(float(metrics["loss"]))
    assert np.isfinite(losses).all()
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:3])
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(state))
    trained = training.codec(state)
    rebuilt = trained.decode(trained.encode(batch))
    first = training.codec(training.init(jax.random.key(0)))
    before = first.decode(first.encode(batch))
    assert log_mel_distance(rebuilt, batch).mean() < log_mel_distance(before, batch).mean()


def test_the_gradient_reaches_every_weight_and_is_finite_for_silence(codec):
    def loss(nets, sound):
        log_magnitude, phasor = decode_spectrum(nets, encode_latent(nets, sound))
        return mel_loss(module.istft(jnp.exp(log_magnitude) * phasor), sound)

    gradient = jax.jit(jax.grad(loss))
    for sound in (jnp.zeros((1, 4 * FRAME)), jnp.asarray(wave(4, 1))):
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient(codec.nets, sound)))
    assert all(
        np.abs(leaf).max() > 0 for leaf in jax.tree.leaves(gradient(codec.nets, jnp.asarray(wave(4, 1))))
    )
