"""A joint embedding of captions and audio in the role of MuLan (arXiv 2208.12415): two towers, one contrastive loss.

Two instances are trained on disjoint data. One is a reward; the other judges and is never trained on.
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from antiphon.nets.layers import ConvNeXt, Dense, apply_stack, rms_norm, stack
from antiphon.nets.text_encoder import TextEncoder, TextParams
from antiphon.worlds.music.spectrum import log_mel

BANDS = 80
_PATCH = 4


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
    """Sizes of the towers; ``d_out`` is the common space."""

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
            Dense.init(key_patch, _PATCH * BANDS, self.width),
            stack(lambda k: ConvNeXt.init(k, self.width), key_blocks, self.blocks),
            jnp.ones(self.width),
            Dense.init(key_out, 2 * self.width, self.d_out),
        )
        return EmbeddingParams(audio, self.text_encoder.init(key_text), jnp.log(jnp.asarray(10.0)))

    def audio(self, params: EmbeddingParams, mel: Float[Array, "B F 80"]) -> Float[Array, "B d"]:
        """Unit vectors of clips given as :func:`clip_features`; ``F`` a multiple of 4 (80 ms)."""
        x = (mel + 1.0) * 0.4  # about zero mean and unit deviation over music
        x = params.audio.patch(x.reshape(x.shape[0], -1, _PATCH * BANDS))
        x = rms_norm(apply_stack(params.audio.blocks, x), params.audio.gain)
        pooled = jnp.concatenate([jnp.mean(x, axis=1), jnp.max(x, axis=1)], axis=-1)
        return unit(params.audio.out(pooled))

    def text(self, params: EmbeddingParams, words: Int[Array, "B W P"]) -> Float[Array, "B d"]:
        """Unit vectors of captions given as hashed words."""
        return unit(self.text_encoder(params.text, words))

    def adherence(self, params: EmbeddingParams, words: Array, wave: Float[Array, "B N"]) -> Float[Array, " B"]:
        """Text adherence: cosine of caption and audio, in [-1, 1]."""
        return jnp.sum(self.text(params, words) * self.audio(params, clip_features(wave)), axis=-1)


def clip_features(wave: Float[Array, "B N"]) -> Float[Array, "B F 80"]:
    """Log-mel frames at 50 Hz, cut to a multiple of four."""
    mel = log_mel(wave, BANDS)
    return mel[:, : mel.shape[1] // _PATCH * _PATCH]


def unit(x: Float[Array, "*batch d"]) -> Float[Array, "*batch d"]:
    """Scale the last axis to length one."""
    return x * jax.lax.rsqrt(jnp.sum(x * x, axis=-1, keepdims=True) + 1e-8)


class EmbeddingBatch(NamedTuple):
    """``mel`` ``[B, F, 80]``; ``words`` ``[B, W, P]``; ``wrong`` ``[B, W, P]`` captions with one attribute changed; ``same`` ``[B]`` equal numbers mean equal attributes."""

    mel: Array
    words: Array
    wrong: Array
    same: Array


class EmbeddingState(NamedTuple):
    """Weights and optimiser state."""

    params: EmbeddingParams
    optimiser: optax.OptState


@dataclass(frozen=True)
class EmbeddingTraining:
    """Contrastive training (InfoNCE both ways) with clips of equal attributes as joint positives and one hard negative caption per clip."""

    embedding: Embedding = Embedding()
    learning_rate: float = 1e-3
    steps: int = 600
    noise: float = 0.1

    def optimiser(self) -> optax.GradientTransformation:
        """AdamW with warm-up and cosine, gradient norm clipped to 1."""
        schedule = optax.warmup_cosine_decay_schedule(0.0, self.learning_rate, min(50, self.steps // 5 + 1), self.steps)
        return optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(schedule, b2=0.98, weight_decay=0.05))

    def init(self, key: PRNGKeyArray) -> EmbeddingState:
        """Fresh towers."""
        params = self.embedding.init(key)
        return EmbeddingState(params, self.optimiser().init(params))

    def step(self, state: EmbeddingState, batch: EmbeddingBatch, key: PRNGKeyArray) -> tuple[EmbeddingState, dict]:
        """One update."""

        def loss_of(params):
            mel = batch.mel.astype(jnp.float32)
            mel = mel + self.noise * jax.random.normal(key, mel.shape)
            audio = self.embedding.audio(params, mel)
            text = self.embedding.text(params, jnp.concatenate([batch.words, batch.wrong]))
            score = jnp.exp(jnp.minimum(params.log_scale, 4.0)) * audio @ text.T
            count = audio.shape[0]
            positive = batch.same[:, None] == batch.same[None]
            target = positive / jnp.sum(positive, axis=1, keepdims=True)
            to_text = -jnp.mean(jnp.sum(target * jax.nn.log_softmax(score, axis=1)[:, :count], axis=1))
            to_audio = -jnp.mean(jnp.sum(target * jax.nn.log_softmax(score[:, :count], axis=0).T, axis=1))
            right = jnp.mean(jnp.diagonal(score[:, :count]) > jnp.diagonal(score[:, count:]))
            return 0.5 * (to_text + to_audio), right

        (loss, right), gradient = jax.value_and_grad(loss_of, has_aux=True)(state.params)
        updates, optimiser = self.optimiser().update(gradient, state.optimiser, state.params)
        params = optax.apply_updates(state.params, updates)
        return EmbeddingState(params, optimiser), {"loss": loss, "hard_negative_accuracy": right}


def retrieval(text: Float[Array, "N d"], audio: Float[Array, "N d"], same: Int[Array, " N"], k: int) -> dict[str, float]:
    """Recall at ``k``: how often a clip of the right attributes is among the ``k`` nearest, from text to audio and back.

    ``same`` holds equal numbers for equal attributes, all of which count as right.
    """
    score = text @ audio.T
    positive = same[:, None] == same[None]

    def recall(score, positive):
        best = jnp.argsort(-score, axis=1)[:, :k]
        return float(jnp.mean(jnp.any(jnp.take_along_axis(positive, best, axis=1), axis=1)))

    return {"text_to_audio": recall(score, positive), "audio_to_text": recall(score.T, positive.T)}
