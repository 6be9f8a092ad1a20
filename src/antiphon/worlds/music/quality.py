"""Acoustic quality without a reference: a regressor of a mean opinion score from 1 to 5.

Until people have rated clips its labels come from controlled degradations of clean audio, each with an open
severity; the mapping from severity to score is a convention of ours (:func:`score_of`), monotone and written
here, and the reward is only as good as that convention.
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from antiphon.nets.layers import ConvNeXt, Dense, apply_stack, rms_norm, stack
from antiphon.worlds.music.codec import FRAME
from antiphon.worlds.music.embedding import BANDS, PATCH, clip_features, patches
from antiphon.worlds.music.optimiser import begin, clipped_adam, descend
from antiphon.worlds.music.spectrum import SAMPLE_RATE

DEGRADATIONS = (
    "none", "codec_fine", "codec_coarse",
    "wrong_tokens", "noise", "clipping", "band_limit", "dropouts", "bit_crush",
)  # fmt: skip
"""Kinds of damage. The first three have no severity."""
_UNDAMAGED = {"none": 5.0, "codec_fine": 4.6, "codec_coarse": 4.2}


def score_of(kind: str, severity: float) -> float:
    """Mean opinion score assigned to a degradation of ``severity`` in [0, 1].

    Intact audio has 5, all codec levels 4.6, the policy's levels 4.2. Damage falls from 4.2 to 1 with the
    square root of its severity, so that the first traces cost most, as listeners report.

    Raises:
      ValueError: there is no such degradation, or the severity lies outside [0, 1].
    """
    if kind not in DEGRADATIONS:
        raise ValueError(f"{kind!r} is no degradation; choose one of {', '.join(DEGRADATIONS)}")
    if not 0 <= severity <= 1:
        raise ValueError(f"severity is {severity}; it must lie in [0, 1]")
    if kind in _UNDAMAGED:
        return _UNDAMAGED[kind]
    start = _UNDAMAGED["codec_coarse"]
    return 1.0 + (start - 1.0) * (1.0 - np.sqrt(severity))


def degrade(
    rng: np.random.Generator, wave: Float[np.ndarray, " N"], kind: str, severity: float
) -> Float[np.ndarray, " N"]:
    """Damage a waveform in the signal domain (token damage is done where the tokens are).

    Noise: white, 50 to 10 dB below the signal. Clipping: at the peak to 20 dB below it. Band limit: low-pass
      from 7 to 0.8 kHz. Dropouts: up to 30 % of the stretches of 40 ms silenced. Bit crush: 10 to 3 bits.

    Args:
      rng: of noise and dropouts.
      wave: full scale is 1.
      kind: "noise", "clipping", "band_limit", "dropouts" or "bit_crush".
      severity: 0 to 1.

    Raises:
      ValueError: the kind is none of these.
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
        frequency = np.fft.rfftfreq(len(wave), 1 / SAMPLE_RATE)
        return np.fft.irfft(spectrum / (1 + (frequency / cutoff) ** 12), len(wave)).astype(np.float32)
    if kind == "dropouts":
        keep = np.repeat(rng.random(-(-len(wave) // FRAME)) > 0.3 * severity, FRAME)[: len(wave)]
        return wave * keep.astype(np.float32)
    if kind == "bit_crush":
        steps = 2.0 ** (9 - 7 * severity)
        return (np.round(wave * steps) / steps).astype(np.float32)
    raise ValueError(f"{kind!r} does not damage waveforms; choose one of {', '.join(DEGRADATIONS[4:])}")


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
            Dense.init(key_patch, PATCH * BANDS, self.width),
            stack(lambda k: ConvNeXt.init(k, self.width), key_blocks, self.blocks),
            jnp.ones(self.width),
            Dense.init(key_out, 2 * self.width, 2, scale=0.1),
        )

    def __call__(
        self, params: QualityParams, mel: Float[Array, "B F 80"]
    ) -> tuple[Float[Array, " B"], Float[Array, " B"]]:
        """``(score, log_spread)``; the score lies in [1, 5], the spread is the deviation expected of it."""
        x = params.patch(patches(mel))
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
    """Gaussian likelihood of the score plus a pairwise ranking term inside the batch.

    Loss = ``mean(e^2 / (2 s^2) + log s) + mean_ij |sign_ij| softplus(-2 sign_ij (score_i - score_j))`` with
    error ``e``, spread ``s`` and ``sign_ij`` of the target difference.
    """

    model: QualityModel = QualityModel()
    learning_rate: float = 1.5e-3
    steps: int = 600

    def optimiser(self) -> optax.GradientTransformation:
        """See :func:`~antiphon.worlds.music.optimiser.clipped_adam`."""
        warmup = min(50, self.steps // 5 + 1)
        return clipped_adam(self.learning_rate, self.steps, warmup=warmup, weight_decay=0.02)

    def init(self, key: PRNGKeyArray) -> QualityState:
        """A fresh regressor."""
        params = self.model.init(key)
        return QualityState(params, begin(self.optimiser(), params))

    def step(
        self, state: QualityState, batch: tuple[Array, Array], key: PRNGKeyArray
    ) -> tuple[QualityState, dict[str, Array]]:
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
        params, optimiser = descend(self.optimiser(), gradient, state.optimiser, state.params)
        return QualityState(params, optimiser), {"loss": loss, "absolute_error": error}
