"""Stage quality: clips damaged on purpose, and a regressor of the score their damage is given."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float16, Float32

from antiphon.studies.music_base.clips import clip_of
from antiphon.studies.music_base.config import Config
from antiphon.studies.music_base.tokens import load_codec, load_tokens
from antiphon.studies.music_base.weights import is_finished, keep_weights
from antiphon.train.fit import fit
from antiphon.train.run_directory import RunDirectory
from antiphon.worlds.music.codec import Codec
from antiphon.worlds.music.dataset import Dataset, to_float
from antiphon.worlds.music.embedding import clip_features
from antiphon.worlds.music.quality import DEGRADATIONS, QualityTraining, degrade, score_of

_SHARES = (0.06, 0.06, 0.12, 0.36, 0.08, 0.08, 0.08, 0.08, 0.08)
"""Of the kinds of damage; most go to wrong tokens, which is what a policy gets wrong."""
_SIZE = 32
_COARSE, _FULL, _RECORDED = 0, 1, 2


def train_quality(config: Config, dataset: Dataset, run: RunDirectory) -> None:
    """Stage quality."""
    if is_finished(run, "quality"):
        return
    mels, scores = _damaged(config, dataset, run)

    def batches(step: int) -> tuple[np.ndarray, np.ndarray]:
        rows = np.random.default_rng([config.seed, 19, step]).integers(len(mels), size=64)
        return mels[rows], scores[rows]

    method = QualityTraining(steps=config.quality_steps)
    key_init, key_fit = jax.random.split(jax.random.key(config.seed + 5))
    state = fit(
        method.step, method.init(key_init), steps=config.quality_steps, key=key_fit, batches=batches,
        chunk=20, run=run, name="quality", checkpoint_every=5, log_every=5,
    )  # fmt: skip
    keep_weights(run, "quality", state.params)


def _damaged(
    config: Config, dataset: Dataset, run: RunDirectory
) -> tuple[Float16[np.ndarray, "clips G 80"], Float32[np.ndarray, " clips"]]:
    """Log-mel frames of random clips with random damage, and their scores."""
    codec = load_codec(config, run)
    tokens = load_tokens(run, "train")
    shards = dataset.audio("train")
    hear = _hearing(config.levels)
    rng = np.random.default_rng([config.seed, 17])
    mels, scores = [], []
    for _ in range(max(1, config.listening // _SIZE)):
        rows = rng.integers(len(tokens), size=_SIZE)
        kinds = rng.choice(DEGRADATIONS, size=_SIZE, p=_SHARES)
        severities = rng.uniform(0, 1, _SIZE) ** 2
        frames = tokens[rows].astype(np.int32)
        wave = to_float(np.stack([clip_of(shards, i) for i in rows]))
        source = np.full(_SIZE, _COARSE, np.int32)
        for j, (kind, severity) in enumerate(zip(kinds, severities, strict=True)):
            if kind == "codec_fine":
                source[j] = _FULL
            elif kind == "wrong_tokens":
                # Half of the damage as single wrong tokens, half as frames taken from another clip.
                other = tokens[rng.integers(len(tokens))].astype(np.int32)
                by_frame = rng.random(frames.shape[1]) < 0.5 * severity
                by_token = rng.random(frames.shape[1:]) < 0.5 * severity
                frames[j] = np.where(by_frame[:, None] | by_token, other, frames[j])
            elif kind != "codec_coarse":
                source[j] = _RECORDED
                if kind != "none":
                    wave[j] = degrade(rng, wave[j], str(kind), float(severity))
        mels.append(np.asarray(hear(codec, frames, wave, source), np.float16))
        scores += [score_of(str(k), float(s)) for k, s in zip(kinds, severities, strict=True)]
    return np.concatenate(mels), np.array(scores, np.float32)


def _hearing(levels: int) -> Callable[[Codec, np.ndarray, np.ndarray, np.ndarray], jax.Array]:
    """Features of what each clip's source says: the policy's levels, all levels, or the recording."""

    def hear(codec: Codec, frames: jax.Array, wave: jax.Array, source: jax.Array) -> jax.Array:
        source = source[:, None]
        full = jnp.where(source == _FULL, codec.decode(frames), wave)
        return clip_features(jnp.where(source == _COARSE, codec.decode(frames[..., :levels]), full))

    return jax.jit(hear)
