"""Stages fine and policy: the models that generate, fitted to the tokens of the training clips."""

from collections.abc import Callable

import jax
import numpy as np
from jaxtyping import Int

from antiphon.methods.sft import SFT, SFTBatch
from antiphon.nets.weights import load_tree
from antiphon.studies.music_base.beginning import BEGINNING
from antiphon.studies.music_base.clips import attributes_of
from antiphon.studies.music_base.config import Config
from antiphon.studies.music_base.tokens import load_tokens
from antiphon.studies.music_base.weights import is_finished, keep_weights, weights_path
from antiphon.train.fit import fit
from antiphon.train.run_directory import RunDirectory
from antiphon.worlds.music.attributes import METRES, TEMPI, Attributes
from antiphon.worlds.music.captions import caption
from antiphon.worlds.music.dataset import Dataset
from antiphon.worlds.music.fine import FineModel, FineTraining
from antiphon.worlds.music.policy import grid_context, music_model
from antiphon.worlds.music.text_features import hash_words

_NO_CAPTION = 0.1
"""Share of clips whose caption is left out, for guidance."""


def train_fine(config: Config, dataset: Dataset, run: RunDirectory) -> None:
    """Stage fine; it needs tokens only."""
    del dataset
    if is_finished(run, "fine"):
        return
    tokens = load_tokens(run, "train")

    def batches(step: int) -> np.ndarray:
        rows = np.random.default_rng([config.seed, 23, step]).integers(len(tokens), size=16)
        return tokens[rows].astype(np.int32)

    method = FineTraining(FineModel(coarse=config.levels), steps=config.fine_steps)
    key_init, key_fit = jax.random.split(jax.random.key(config.seed + 6))
    state = fit(
        method.step, method.init(key_init), steps=config.fine_steps, key=key_fit, batches=batches, chunk=50,
        run=run, name="fine", checkpoint_every=4, log_every=10,
    )  # fmt: skip
    keep_weights(run, "fine", state.params)


def train_policy(config: Config, dataset: Dataset, run: RunDirectory) -> None:
    """Stage policy, from random weights or from those that the run began with."""
    if is_finished(run, "policy"):
        return
    model = music_model(config.width, config.layers, config.levels)
    method = SFT(model, config.policy_learning_rate, config.policy_steps, warmup=200, groups=config.levels)
    truth = attributes_of(dataset, "train")
    batches = policy_batches(config, load_tokens(run, "train"), truth, config.policy_batch)
    key_init, key_fit = jax.random.split(jax.random.key(config.seed + 7))
    params, given = model.init(key_init), weights_path(run, BEGINNING)
    if given.exists():
        params = load_tree(given, params)
    state = fit(
        method.step, method.init(params), steps=config.policy_steps, key=key_fit,
        batches=batches, chunk=50, run=run, name="policy", checkpoint_every=6, log_every=10,
    )  # fmt: skip
    keep_weights(run, "policy", state.params)


def policy_batches(
    config: Config, tokens: Int[np.ndarray, "clips F Q"], truth: list[Attributes], batch: int
) -> Callable[[int], SFTBatch]:
    """Tokens of random clips with a fresh wording each; one caption in ten is left out (for guidance).

    Args:
      config: gives levels and seed.
      tokens: of all levels.
      truth: attributes of each clip.
      batch: clips in a batch.
    """
    frames = tokens.shape[1]

    def make(step: int) -> SFTBatch:
        rng = np.random.default_rng([config.seed, 29, step])
        rows = rng.integers(len(tokens), size=batch)
        chosen = [truth[i] for i in rows]
        words = hash_words([caption(rng, a) for a in chosen])
        tempo = np.array([TEMPI.index(a.tempo) for a in chosen])
        metre = np.array([METRES.index(a.metre) for a in chosen])
        context = grid_context(words, tempo, metre, frames)
        context = context._replace(present=rng.random(batch) >= _NO_CAPTION)
        flat = tokens[rows][..., : config.levels].astype(np.int32).reshape(batch, -1)
        return SFTBatch(*jax.tree.map(np.asarray, (flat, context, np.ones(flat.shape, np.float32))))

    return make
