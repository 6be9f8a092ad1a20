"""The two towers: unit vectors, the contrastive loss against NumPy, and whether they find each other."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from antiphon.worlds.music.embedding import (
    Embedding,
    EmbeddingBatch,
    EmbeddingTraining,
    clip_features,
    patches,
    retrieval,
)
from antiphon.worlds.music.text_features import hash_words

TINY = Embedding(d_out=8, width=16, blocks=1)
RIGHT = ["slow harp", "fast piano", "slow piano", "fast harp"]
WRONG = ["slow choir", "fast choir", "slow flute", "fast flute"]


def batch(seed: int = 0) -> EmbeddingBatch:
    """Clips whose spectrum says which of four captions they belong to."""
    rng = np.random.default_rng(seed)
    mel = rng.normal(-3, 0.3, (4, 8, 80)).astype(np.float32)
    for i in range(4):
        mel[i, :, 20 * i : 20 * i + 20] += 3.0
    return EmbeddingBatch(mel, hash_words(RIGHT), hash_words(WRONG), np.array([0, 1, 2, 3]))


def test_both_towers_give_unit_vectors():
    params = TINY.init(jax.random.key(0))
    data = batch()
    audio, text = jax.jit(TINY.audio)(params, jnp.asarray(data.mel)), jax.jit(TINY.text)(params, data.words)
    assert audio.shape == text.shape == (4, 8)
    np.testing.assert_allclose(np.linalg.norm(audio, axis=1), 1, atol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(text, axis=1), 1, atol=1e-4)


def test_adherence_is_the_cosine_of_what_is_heard_and_said():
    params = TINY.init(jax.random.key(0))
    wave = jnp.asarray(np.random.default_rng(0).standard_normal((4, 3000)), jnp.float32)
    features = clip_features(wave)
    assert features.shape == (4, 8, 80)  # nine whole frames, cut to a multiple of four
    audio, text = TINY.audio(params, features), TINY.text(params, hash_words(RIGHT))
    np.testing.assert_allclose(
        TINY.adherence(params, hash_words(RIGHT), wave), (np.asarray(audio) * text).sum(1), atol=1e-6
    )


def test_patches_lay_four_frames_side_by_side():
    mel = np.arange(2 * 8 * 80, dtype=np.float32).reshape(2, 8, 80)
    laid = patches(jnp.asarray(mel))
    assert laid.shape == (2, 2, 320)
    np.testing.assert_allclose(laid[1, 1, 80:160], (mel[1, 5] + 2.8) * 0.78, rtol=1e-6)


def slow_loss(embedding, params, data) -> tuple[float, float]:
    """InfoNCE both ways, one clip after the other, in float64."""
    heard, said = jax.jit(embedding.audio), jax.jit(embedding.text)
    audio = np.asarray(heard(params, jnp.asarray(data.mel)), np.float64)
    right, wrong = (np.asarray(said(params, w), np.float64) for w in (data.words, data.wrong))
    scale, n = np.exp(float(params.log_scale)), len(audio)
    total, nearer = 0.0, 0
    for i in range(n):
        friends = [j for j in range(n) if data.same[j] == data.same[i]]
        to_text = scale * np.concatenate([right, wrong]) @ audio[i]
        to_audio = scale * audio @ right[i]
        for j in friends:
            total -= (to_text[j] - np.log(np.exp(to_text).sum())) / len(friends)
            total -= (to_audio[j] - np.log(np.exp(to_audio).sum())) / len(friends)
        nearer += right[i] @ audio[i] > wrong[i] @ audio[i]
    return total / (2 * n), nearer / n


@pytest.mark.parametrize("same", [(0, 1, 2, 3), (0, 1, 0, 0)])
def test_the_loss_against_a_slow_loop(same):
    training = EmbeddingTraining(TINY, noise=0.0, steps=10)
    state = training.init(jax.random.key(1))
    data = batch()._replace(same=np.array(same))
    _, metrics = jax.jit(training.step)(state, data, jax.random.key(0))
    loss, accuracy = slow_loss(TINY, state.params, data)
    assert float(metrics["loss"]) == pytest.approx(loss, rel=1e-4)
    assert float(metrics["hard_negative_accuracy"]) == pytest.approx(accuracy)


def test_training_brings_captions_and_clips_together():
    training = EmbeddingTraining(TINY, learning_rate=1e-2, steps=60)
    state, step = training.init(jax.random.key(0)), jax.jit(training.step)
    losses = []
    for i in range(40):
        state, metrics = step(state, batch(i), jax.random.key(i))
        losses.append(float(metrics["loss"]))
    assert np.mean(losses[-5:]) < 0.4 * np.mean(losses[:3])
    assert metrics["hard_negative_accuracy"] == 1.0
    fresh = batch(99)
    text, audio = TINY.text(state.params, fresh.words), TINY.audio(state.params, jnp.asarray(fresh.mel))
    assert retrieval(text, audio, jnp.arange(4), 1) == {"text_to_audio": 1.0, "audio_to_text": 1.0}


def test_retrieval_golden():
    text = jnp.asarray([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
    audio = jnp.asarray([[0.8, 0.6], [1.0, 0.0], [0.0, 1.0]])
    own = jnp.arange(3)
    # Cosines of the captions with the clips: .8 1 0 | .6 0 1 | .96 .6 .8.
    assert retrieval(text, audio, own, 1) == {"text_to_audio": 0.0, "audio_to_text": 0.0}
    second = retrieval(text, audio, own, 2)
    assert second["text_to_audio"] == pytest.approx(2 / 3)
    assert second["audio_to_text"] == pytest.approx(2 / 3)
    assert retrieval(text, audio, own, 3) == {"text_to_audio": 1.0, "audio_to_text": 1.0}
    # The first two mean the same: either clip is right for either caption.
    assert retrieval(text, audio, jnp.asarray([7, 7, 1]), 1)["text_to_audio"] == pytest.approx(1 / 3)
    for k in (0, 4):
        with pytest.raises(ValueError, match=f"k is {k}"):
            retrieval(text, audio, own, k)
