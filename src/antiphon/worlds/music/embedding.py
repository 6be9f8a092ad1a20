"""Captions and audio in one space, in the role of MuLan (arXiv 2208.12415): two towers, one contrastive loss.

Two instances are trained on disjoint data. One is a reward; the other judges and is never trained on.
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from antiphon.nets.layers import ConvNeXt, Dense, apply_stack, rms_norm, stack
from antiphon.nets.text_encoder import TextEncoder, TextParams
from antiphon.worlds.music.optimiser import begin, clipped_adam, descend
from antiphon.worlds.music.spectrum import log_mel

BANDS = 80
PATCH = 4
"""Mel frames that enter a network as one vector: 80 ms."""


class AudioParams(NamedTuple):
    """Weights of the audio tower."""

    patch: Dense
    blocks: ConvNeXt
    gain: Array
    out: Dense


class EmbeddingParams(NamedTuple):
    """Weights of both towers and the log of the inverse temperature."""

    audio: AudioParams
    text: TextParams
    log_scale: Array


@dataclass(frozen=True)
class Embedding:
    """Sizes of the towers.

    Attributes:
      d_out: dimensions of the common space.
      width: channels of the audio tower.
      blocks: ConvNeXt blocks of the audio tower.
    """

    d_out: int = 128
    width: int = 192
    blocks: int = 4

    @property
    def text_encoder(self) -> TextEncoder:
        """The text tower."""
        return TextEncoder(self.d_out)

    def init(self, key: PRNGKeyArray) -> EmbeddingParams:
        """Random weights."""
        key_patch, key_blocks, key_out, key_text = jax.random.split(key, 4)
        audio = AudioParams(
            Dense.init(key_patch, PATCH * BANDS, self.width),
            stack(lambda k: ConvNeXt.init(k, self.width), key_blocks, self.blocks),
            jnp.ones(self.width),
            Dense.init(key_out, 2 * self.width, self.d_out),
        )
        return EmbeddingParams(audio, self.text_encoder.init(key_text), jnp.log(jnp.asarray(10.0)))

    def audio(self, params: EmbeddingParams, mel: Float[Array, "B F 80"]) -> Float[Array, "B d"]:
        """Unit vectors of clips given as :func:`clip_features`; ``F`` a multiple of 4 (80 ms)."""
        x = params.audio.patch(patches(mel))
        x = rms_norm(apply_stack(params.audio.blocks, x), params.audio.gain)
        pooled = jnp.concatenate([jnp.mean(x, axis=1), jnp.max(x, axis=1)], axis=-1)
        return unit(params.audio.out(pooled))

    def text(self, params: EmbeddingParams, words: Int[Array, "B W P"]) -> Float[Array, "B d"]:
        """Unit vectors of captions given as hashed words."""
        return unit(self.text_encoder(params.text, words))

    def adherence(
        self, params: EmbeddingParams, words: Int[Array, "B W P"], wave: Float[Array, "B N"]
    ) -> Float[Array, " B"]:
        """Text adherence: cosine of caption and audio, in [-1, 1]."""
        return jnp.sum(self.text(params, words) * self.audio(params, clip_features(wave)), axis=-1)


def clip_features(wave: Float[Array, "B N"]) -> Float[Array, "B F 80"]:
    """Log-mel frames at 50 Hz, cut to a multiple of :data:`PATCH`."""
    mel = log_mel(wave, BANDS)
    return mel[:, : mel.shape[1] // PATCH * PATCH]


def patches(mel: Float[Array, "B F 80"]) -> Float[Array, "B P 320"]:
    """Four frames side by side, ``P = F / 4``, scaled to about zero mean and unit deviation over music."""
    x = (mel + 2.8) * 0.78
    return x.reshape(x.shape[0], -1, PATCH * BANDS)


def unit(x: Float[Array, "*batch d"]) -> Float[Array, "*batch d"]:
    """Scale the last axis to length one."""
    return x * jax.lax.rsqrt(jnp.sum(x * x, axis=-1, keepdims=True) + 1e-8)


class EmbeddingBatch(NamedTuple):
    """Clips and their captions.

    ``mel`` ``[B, F, 80]``; ``words`` ``[B, W, P]`` captions; ``wrong`` ``[B, W, P]`` captions with one
    attribute changed and named; ``same`` ``[B]`` equal numbers mean equal attributes.
    """

    mel: Array | np.ndarray
    words: Array | np.ndarray
    wrong: Array | np.ndarray
    same: Array | np.ndarray


class EmbeddingState(NamedTuple):
    """Weights and optimiser state."""

    params: EmbeddingParams
    optimiser: optax.OptState


@dataclass(frozen=True)
class EmbeddingTraining:
    """Contrastive training: InfoNCE both ways (arXiv 1807.03748) on cosines times a learned scale.

    Clips of equal attributes are positives of each other, in equal parts; every clip adds its wrong caption
    to the negatives of all clips.

    Attributes:
      embedding: sizes.
      learning_rate: peak.
      steps: length of the schedule.
      noise: deviation of the noise added to log-mel frames.
    """

    embedding: Embedding = Embedding()
    learning_rate: float = 1e-3
    steps: int = 600
    noise: float = 0.1

    def optimiser(self) -> optax.GradientTransformation:
        """See :func:`~antiphon.worlds.music.optimiser.clipped_adam`."""
        warmup = min(50, self.steps // 5 + 1)
        return clipped_adam(self.learning_rate, self.steps, warmup=warmup, weight_decay=0.05)

    def init(self, key: PRNGKeyArray) -> EmbeddingState:
        """Fresh towers."""
        params = self.embedding.init(key)
        return EmbeddingState(params, begin(self.optimiser(), params))

    def step(
        self, state: EmbeddingState, batch: EmbeddingBatch, key: PRNGKeyArray
    ) -> tuple[EmbeddingState, dict[str, Array]]:
        """One update.

        ``hard_negative_accuracy`` is the share of clips nearer to their caption than to the wrong one.
        """

        def loss_of(params):
            mel = jnp.asarray(batch.mel).astype(jnp.float32)
            mel = mel + self.noise * jax.random.normal(key, mel.shape)
            audio = self.embedding.audio(params, mel)
            words = jnp.concatenate([jnp.asarray(batch.words), jnp.asarray(batch.wrong)])
            text = self.embedding.text(params, words)
            score = jnp.exp(jnp.minimum(params.log_scale, 4.0)) * audio @ text.T
            count = audio.shape[0]
            positive = batch.same[:, None] == batch.same[None]
            target = positive / jnp.sum(positive, axis=1, keepdims=True)
            to_text = -jnp.mean(jnp.sum(target * jax.nn.log_softmax(score, axis=1)[:, :count], axis=1))
            to_audio = -jnp.mean(jnp.sum(target * jax.nn.log_softmax(score[:, :count], axis=0).T, axis=1))
            right = jnp.mean(jnp.diagonal(score[:, :count]) > jnp.diagonal(score[:, count:]))
            return 0.5 * (to_text + to_audio), right

        (loss, right), gradient = jax.value_and_grad(loss_of, has_aux=True)(state.params)
        params, optimiser = descend(self.optimiser(), gradient, state.optimiser, state.params)
        return EmbeddingState(params, optimiser), {"loss": loss, "hard_negative_accuracy": right}


def retrieval(
    text: Float[Array, "N d"], audio: Float[Array, "N d"], same: Int[Array, " N"], k: int
) -> dict[str, float]:
    """Recall at ``k``: how often a right one is among the ``k`` nearest, from text to audio and back.

    Args:
      text: unit vectors of captions.
      audio: unit vectors of their clips.
      same: equal numbers for equal attributes, all of which count as right.
      k: how many to look at, 1 to N.

    Raises:
      ValueError: ``k`` is out of range.
    """
    if not 1 <= k <= len(text):
        raise ValueError(f"k is {k}; there are {len(text)} clips, give 1 to {len(text)}")
    score = text @ audio.T
    positive = same[:, None] == same[None]

    def recall(score, positive):
        best = jnp.argsort(-score, axis=1)[:, :k]
        return float(jnp.mean(jnp.any(jnp.take_along_axis(positive, best, axis=1), axis=1)))

    return {"text_to_audio": recall(score, positive), "audio_to_text": recall(score.T, positive.T)}
