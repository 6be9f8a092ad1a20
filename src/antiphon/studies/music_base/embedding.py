"""Stages reward and judge: two text-audio embeddings on disjoint clips, one to train on, one to judge by."""

from collections.abc import Callable

import jax
import numpy as np
from jaxtyping import Float16

from antiphon.studies.music_base.clips import attributes_of, clips
from antiphon.studies.music_base.config import Config
from antiphon.studies.music_base.tokens import load_codec, load_tokens
from antiphon.studies.music_base.weights import is_finished, keep_weights
from antiphon.train.fit import fit
from antiphon.train.run_directory import RunDirectory
from antiphon.worlds.music.attributes import Attributes
from antiphon.worlds.music.captions import caption, change_one
from antiphon.worlds.music.dataset import Dataset
from antiphon.worlds.music.embedding import EmbeddingBatch, EmbeddingTraining, clip_features
from antiphon.worlds.music.text_features import half_known, hash_words

_CHANGED = ("instrument", "tempo", "mode", "texture", "register", "articulation", "metre", "drums")
"""What a wrong caption is wrong about."""
_SOUNDS = ("real", "coarse", "full")
_SHARES = (0.35, 0.5, 0.15)


def train_reward(config: Config, dataset: Dataset, run: RunDirectory) -> None:
    """Stage reward, on the clips of even number."""
    _train(config, dataset, run, "reward", 0)


def train_judge(config: Config, dataset: Dataset, run: RunDirectory) -> None:
    """Stage judge, on the clips of odd number."""
    _train(config, dataset, run, "judge", 1)


def _train(config: Config, dataset: Dataset, run: RunDirectory, name: str, parity: int) -> None:
    if is_finished(run, name):
        return
    heard = _heard(config, dataset, run)
    truth = attributes_of(dataset, "train", config.listening)
    method = EmbeddingTraining(steps=config.embedding_steps)
    key_init, key_fit = jax.random.split(jax.random.key(config.seed + 2 + parity))
    state = fit(
        method.step, method.init(key_init), steps=config.embedding_steps, key=key_fit,
        batches=_batches(config, heard, truth, parity), chunk=20, run=run, name=name, checkpoint_every=5,
        log_every=5,
    )  # fmt: skip
    keep_weights(run, name, state.params)


def _heard(
    config: Config, dataset: Dataset, run: RunDirectory
) -> dict[str, Float16[np.ndarray, "clips G 80"]]:
    """Log-mel frames of the first ``listening`` clips: recorded, of the policy's levels, of all."""
    codec = load_codec(config, run)
    tokens = load_tokens(run, "train")[: config.listening]
    features = jax.jit(clip_features)
    decoded = jax.jit(lambda codec, tokens: clip_features(codec.decode(tokens)))
    real = [np.asarray(features(wave), np.float16) for wave in clips(dataset, "train", 32, config.listening)]
    coarse, full = [], []
    for start in range(0, len(tokens), 32):
        block = np.zeros((32, *tokens.shape[1:]), np.int32)
        block[: len(tokens[start : start + 32])] = tokens[start : start + 32]
        coarse.append(np.asarray(decoded(codec, block[..., : config.levels]), np.float16))
        full.append(np.asarray(decoded(codec, block), np.float16))
    pieces = dict(zip(_SOUNDS, (real, coarse, full), strict=True))
    return {name: np.concatenate(parts)[: len(tokens)] for name, parts in pieces.items()}


def _batches(
    config: Config, heard: dict[str, np.ndarray], truth: list[Attributes], parity: int
) -> Callable[[int], EmbeddingBatch]:
    mine = np.arange(len(truth))[parity::2]  # the two instances never hear the same clip
    names = {attributes: i for i, attributes in enumerate(dict.fromkeys(truth))}

    def make(step: int) -> EmbeddingBatch:
        rng = np.random.default_rng([config.seed, 13 + parity, step])
        rows = rng.choice(mine, config.embedding_batch, replace=len(mine) < config.embedding_batch)
        kind = rng.choice(list(_SOUNDS), size=len(rows), p=_SHARES)
        mel = np.stack([heard[k][i] for k, i in zip(kind, rows, strict=True)])
        chosen = [truth[i] for i in rows]
        right = [caption(rng, a) for a in chosen]
        wrong = [caption(rng, change_one(rng, a, str(rng.choice(_CHANGED)))) for a in chosen]
        same = np.array([names[a] for a in chosen])
        right, wrong = (half_known(rng, hash_words(captions)) for captions in (right, wrong))
        return EmbeddingBatch(mel, right, wrong, same)

    return make
