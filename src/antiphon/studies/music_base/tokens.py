"""Stages codec, tokens and decoder: audio to discrete frames, which every later stage reads, and back."""

from io import BytesIO
from pathlib import Path

import jax
import numpy as np
from jaxtyping import Int16

from antiphon.nets.weights import load_tree
from antiphon.studies.music_base.clips import clips
from antiphon.studies.music_base.config import Config
from antiphon.studies.music_base.weights import is_finished, keep_weights, needed, weights_path
from antiphon.train.files import write_atomically
from antiphon.train.fit import fit
from antiphon.train.progress import say
from antiphon.train.run_directory import RunDirectory
from antiphon.worlds.music.batches import audio_batches, decoder_batches
from antiphon.worlds.music.codec import Codec, CodecConfig
from antiphon.worlds.music.codec_training import CodecTraining
from antiphon.worlds.music.dataset import SPLITS, Dataset
from antiphon.worlds.music.decoder_training import DecoderTraining


def codec_config(config: Config) -> CodecConfig:
    """The codec's sizes."""
    return CodecConfig(width=config.codec_width)


def load_codec(config: Config, run: RunDirectory) -> Codec:
    """The codec that the codec stage left, with the longer trained decoder of stage decoder if that has run.

    Raises:
      UserError: it has not run, or its file is damaged.
    """
    method = _method(config)
    like = jax.eval_shape(lambda key: method.codec(method.init(key)), jax.random.key(0))
    longer = weights_path(run, "decoder")
    return load_tree(longer if longer.exists() else needed(weights_path(run, "codec"), "codec"), like)


def load_tokens(run: RunDirectory, split: str) -> Int16[np.ndarray, "clips F Q"]:
    """Tokens of all levels of every clip of a split.

    Raises:
      UserError: stage tokens has not run.
    """
    return np.load(needed(_path(run, split), "tokens"))


def train_codec(config: Config, dataset: Dataset, run: RunDirectory) -> None:
    """Stage codec."""
    if is_finished(run, "codec"):
        return
    method = _method(config)
    batches = audio_batches(dataset, "train", batch=24, frames=24, seed=config.seed)
    key_init, key_fit = jax.random.split(jax.random.key(config.seed))
    state = fit(
        method.step, method.init(key_init), steps=config.codec_steps, key=key_fit, batches=batches, chunk=50,
        run=run, name="codec", checkpoint_every=4, log_every=10, show=("loss", "mel"),
    )  # fmt: skip
    keep_weights(run, "codec", method.codec(state))


def write_tokens(config: Config, dataset: Dataset, run: RunDirectory) -> None:
    """Stage tokens."""
    todo = [split for split in SPLITS if not _path(run, split).exists()]
    if not todo:
        return
    codec, encode = load_codec(config, run), jax.jit(Codec.encode)
    nothing = np.zeros((0, config.data.frames, codec_config(config).levels), np.int16)
    for split in todo:
        total = len(dataset.records(split))
        pieces = [np.asarray(encode(codec, wave), np.int16) for wave in clips(dataset, split, 32)]
        buffer = BytesIO()
        np.save(buffer, np.concatenate([nothing, *pieces])[:total])
        write_atomically(_path(run, split), buffer.getvalue())
        say(f"tokens: {total} clips of split {split}")


def train_decoder(config: Config, dataset: Dataset, run: RunDirectory) -> None:
    """Stage decoder: the tokens stay, their audio gets better."""
    if is_finished(run, "decoder"):
        return
    tokens, codec = load_tokens(run, "train"), load_codec(config, run)
    method = DecoderTraining(steps=config.decoder_steps, coarse_levels=config.levels)
    batches = decoder_batches(dataset, "train", tokens, batch=24, frames=24, seed=config.seed)
    state = fit(
        method.step, method.init(codec), steps=config.decoder_steps, key=jax.random.key(config.seed + 6),
        batches=batches, chunk=50, run=run, name="decoder", checkpoint_every=4, log_every=10,
        show=("loss", "mel"),
    )  # fmt: skip
    keep_weights(run, "decoder", method.codec(state))


def _path(run: RunDirectory, split: str) -> Path:
    return run.path / f"tokens-{split}.npy"


def _method(config: Config) -> CodecTraining:
    return CodecTraining(codec_config(config), steps=config.codec_steps, coarse_levels=config.levels)
