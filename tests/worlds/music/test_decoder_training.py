"""Training a decoder on tokens that are given: what stays, what moves, and what the loss is of."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from antiphon.core.errors import UserError
from antiphon.worlds.music.codec import FRAME, Codec, CodecConfig, CodecNets, decode_spectrum
from antiphon.worlds.music.codec_training import mel_loss
from antiphon.worlds.music.decoder_training import Decoder, DecoderBatch, DecoderTraining
from antiphon.worlds.music.spectrum import magnitude, stft

SMALL = CodecConfig(width=16, blocks=1, latent=8, levels=3, codes=8)


@pytest.fixture(scope="module")
def codec() -> Codec:
    nets = CodecNets.init(jax.random.key(0), SMALL)
    return Codec(nets, 0.5 * jax.random.normal(jax.random.key(1), (3, 8, 8)))


@pytest.fixture(scope="module")
def batch(codec) -> DecoderBatch:
    time = np.arange(6 * FRAME) / 16_000
    wave = 0.3 * np.sin(2 * np.pi * np.outer([220.0, 330.0, 440.0], time)).astype(np.float32)
    return DecoderBatch(np.asarray(jax.jit(Codec.encode)(codec, wave)), wave)


@pytest.mark.parametrize(("share", "levels"), [(1.0, 1), (0.0, 3)])
def test_the_loss_is_that_of_the_decoded_levels(codec, batch, share, levels):
    method = DecoderTraining(steps=10, coarse_levels=1, coarse_share=share)
    _, metrics = jax.jit(method.step)(method.init(codec), batch, jax.random.key(2))
    latent = sum(codec.codes[q][batch.tokens[..., q]] for q in range(levels))
    log_magnitude, _ = decode_spectrum(codec.nets, latent)
    direct = np.mean(np.abs(log_magnitude - np.log(magnitude(stft(jnp.asarray(batch.wave))) + 0.01)))
    np.testing.assert_allclose(metrics["direct"], direct, rtol=1e-4)
    mel = mel_loss(codec.decode(batch.tokens[..., :levels]), jnp.asarray(batch.wave))
    np.testing.assert_allclose(metrics["mel"], mel, rtol=1e-4)


def test_the_sound_gets_better_and_the_tokens_stay(codec, batch):
    method = DecoderTraining(steps=60, coarse_levels=1, learning_rate=3e-3)

    @jax.jit
    def train(state):
        return jax.lax.scan(
            lambda s, key: method.step(s, batch, key), state, jax.random.split(jax.random.key(0), 60)
        )

    state, metrics = train(method.init(codec))
    trained = method.codec(state)
    assert metrics["loss"][-1] < 0.7 * metrics["loss"][0]
    np.testing.assert_array_equal(jax.jit(Codec.encode)(trained, batch.wave), batch.tokens)
    for name in CodecNets._fields:
        before, after = (jax.tree.leaves(getattr(c.nets, name)) for c in (codec, trained))
        moved = any(not np.array_equal(a, b) for a, b in zip(before, after, strict=True))
        assert moved == (name in Decoder._fields), name


def test_impossible_settings_are_refused(codec):
    with pytest.raises(UserError, match=r"coarse_share is 1\.5"):
        DecoderTraining(coarse_share=1.5)
    with pytest.raises(UserError, match="3 levels but coarse_levels is 4"):
        DecoderTraining(coarse_levels=4).init(codec)
