"""Acoustic quality without a reference: a regressor of a mean opinion score from 1 to 5.

Until people have rated clips its labels come from controlled degradations of clean audio, each with an open severity; the mapping from severity to score is a
convention of ours (:func:`score_of`), monotone and written here, and the reward is only as good as that convention.
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from antiphon.nets.layers import ConvNeXt, Dense, apply_stack, rms_norm, stack
from antiphon.worlds.music.embedding import BANDS, clip_features

_PATCH = 4

DEGRADATIONS = ("none", "codec_fine", "codec_coarse", "wrong_tokens", "noise", "clipping", "band_limit", "dropouts", "bit_crush")
"""Kinds of damage. The first three have no severity."""


def score_of(kind: str, severity: float) -> float:
    """Mean opinion score assigned to a degradation of ``severity`` in [0, 1]: intact 5, all codec levels 4.6, the policy's levels 4.2, then falling to 1.

    The square root makes the first traces of damage cost most, as listeners report.
    """
    if not 0 <= severity <= 1:
        raise ValueError(f"severity is {severity}; it must lie in [0, 1]")
    start = {"none": 5.0, "codec_fine": 4.6}.get(kind, 4.2)
    if kind in ("none", "codec_fine", "codec_coarse"):
        return start
    return 1.0 + (start - 1.0) * (1.0 - np.sqrt(severity))


def degrade(rng: np.random.Generator, wave: np.ndarray, kind: str, severity: float) -> np.ndarray:
    """Damage a waveform ``[N]`` in the signal domain (token damage is done where the tokens are).

    noise: white noise from -50 to -10 dB below the signal; clipping: at the 100 % to 10 % level; band_limit: low-pass from 7 to 0.8 kHz; dropouts: up to 30 % of
    40 ms stretches silenced; bit_crush: 10 to 3 bits.
    """
    if kind == "noise":
        level = np.sqrt(np.mean(wave**2) + 1e-9) * 10 ** ((-50 + 40 * severity) / 20)
        return wave + level * rng.standard_normal(len(wave)).astype(np.float32)
    if kind == "clipping":
        limit = np.abs(wave).max() * 10 ** (-severity)
        return np.clip(wave, -limit, limit) / max(limit, 1e-6) * 0.7
    if kind == "band_limit":
        spectrum = np.fft.rfft(wave)
        cutoff = 7000.0 * (800.0 / 7000.0) ** severity
        frequency = np.fft.rfftfreq(len(wave), 1 / 16000)
        return np.fft.irfft(spectrum / (1 + (frequency / cutoff) ** 12), len(wave)).astype(np.float32)
    if kind == "dropouts":
        keep = np.repeat(rng.random(-(-len(wave) // 640)) > 0.3 * severity, 640)[: len(wave)]
        return wave * keep.astype(np.float32)
    if kind == "bit_crush":
        steps = 2.0 ** (9 - 7 * severity)
        return (np.round(wave * steps) / steps).astype(np.float32)
    raise ValueError(f"{kind!r} is no degradation of waveforms; choose noise, clipping, band_limit, dropouts or bit_crush")


class QualityParams(NamedTuple):
    """Weights of the regressor."""

    patch: Dense
    blocks: ConvNeXt
    gain: Array
    out: Dense


@dataclass(frozen=True)
class QualityModel:
    """Log-mel frames to a score and its spread."""

    width: int = 96
    blocks: int = 3

    def init(self, key: PRNGKeyArray) -> QualityParams:
        """Random weights."""
        key_patch, key_blocks, key_out = jax.random.split(key, 3)
        return QualityParams(
            Dense.init(key_patch, _PATCH * BANDS, self.width),
            stack(lambda k: ConvNeXt.init(k, self.width), key_blocks, self.blocks),
            jnp.ones(self.width),
            Dense.init(key_out, 2 * self.width, 2, scale=0.1),
        )

    def __call__(self, params: QualityParams, mel: Float[Array, "B F 80"]) -> tuple[Array, Array]:
        """``(score, log_spread)``, ``[B]`` each; the score lies in [1, 5]."""
        x = (mel + 1.0) * 0.4
        x = params.patch(x.reshape(x.shape[0], -1, _PATCH * BANDS))
        x = rms_norm(apply_stack(params.blocks, x), params.gain)
        pooled = jnp.concatenate([jnp.mean(x, axis=1), jnp.std(x, axis=1)], axis=-1)
        out = params.out(pooled)
        return 1.0 + 4.0 * jax.nn.sigmoid(out[:, 0] + 0.5), jnp.clip(out[:, 1], -4.0, 2.0)

    def reward(self, params: QualityParams, wave: Float[Array, "B N"]) -> Float[Array, " B"]:
        """The score rescaled from [1, 5] to [0, 1] (arXiv 2402.04229, section 3)."""
        return (self(params, clip_features(wave))[0] - 1.0) / 4.0


class QualityState(NamedTuple):
    """Weights and optimiser state."""

    params: QualityParams
    optimiser: optax.OptState


@dataclass(frozen=True)
class QualityTraining:
    """Gaussian likelihood of the score plus a pairwise ranking term inside the batch."""

    model: QualityModel = QualityModel()
    learning_rate: float = 1.5e-3
    steps: int = 600

    def optimiser(self) -> optax.GradientTransformation:
        """AdamW with warm-up and cosine, gradient norm clipped to 1."""
        schedule = optax.warmup_cosine_decay_schedule(0.0, self.learning_rate, min(50, self.steps // 5 + 1), self.steps)
        return optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(schedule, b2=0.98, weight_decay=0.02))

    def init(self, key: PRNGKeyArray) -> QualityState:
        """A fresh regressor."""
        params = self.model.init(key)
        return QualityState(params, self.optimiser().init(params))

    def step(self, state: QualityState, batch: tuple[Array, Array], key: PRNGKeyArray) -> tuple[QualityState, dict]:
        """One update on ``(mel [B, F, 80], score [B])``."""
        del key

        def loss_of(params):
            mel, target = batch
            score, log_spread = self.model(params, mel.astype(jnp.float32))
            error = score - target
            likelihood = jnp.mean(0.5 * error**2 * jnp.exp(-2 * log_spread) + log_spread)
            sign = jnp.sign(target[:, None] - target[None])
            ranking = jnp.mean(jnp.abs(sign) * jax.nn.softplus(-2.0 * sign * (score[:, None] - score[None])))
            return likelihood + ranking, jnp.mean(jnp.abs(error))

        (loss, error), gradient = jax.value_and_grad(loss_of, has_aux=True)(state.params)
        updates, optimiser = self.optimiser().update(gradient, state.optimiser, state.params)
        return QualityState(optax.apply_updates(state.params, updates), optimiser), {"loss": loss, "absolute_error": error}
