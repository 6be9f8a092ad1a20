"""Batches for training, each a function of its number, so that interrupted training continues bit for bit."""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float, Int16

from antiphon.core.errors import UserError
from antiphon.worlds.music.codec import FRAME
from antiphon.worlds.music.dataset import Dataset, to_float
from antiphon.worlds.music.decoder_training import DecoderBatch


def audio_batches(
    dataset: Dataset, split: str, *, batch: int, frames: int, seed: int
) -> Callable[[int], Float[np.ndarray, "batch N"]]:
    """Random excerpts that begin on a token frame, at a random level between -8 and 0 dB.

    A shard is drawn first and a clip in it second, so clips of a short last shard come more often.

    Args:
      dataset: a built data set.
      split: of it.
      batch: excerpts per batch.
      frames: token frames per excerpt, ``N = frames * FRAME`` samples.
      seed: of the draws.

    Returns:
      Step number to batch, float32.

    Raises:
      UserError: the split has no clips, or its clips are shorter than the excerpts.
    """
    shards, last = _excerpts(dataset, split, frames)

    def make(step: int) -> np.ndarray:
        rng = np.random.default_rng([seed, step])
        out = np.empty((batch, frames * FRAME), np.float32)
        for row in range(batch):
            shard = shards[int(rng.integers(len(shards)))]
            start = int(rng.integers(last + 1)) * FRAME
            excerpt = shard[int(rng.integers(len(shard))), start : start + frames * FRAME]
            out[row] = to_float(excerpt) * 10 ** (-rng.uniform(0, 8) / 20)
        return out

    return make


def decoder_batches(
    dataset: Dataset,
    split: str,
    tokens: Int16[np.ndarray, "clips F Q"],
    *,
    batch: int,
    frames: int,
    seed: int,
) -> Callable[[int], DecoderBatch]:
    """Random excerpts as the data set has them, with their tokens, which hold at that level only.

    Args:
      dataset: a built data set.
      split: of it.
      tokens: of every clip of the split, in its order.
      batch: excerpts per batch.
      frames: token frames per excerpt.
      seed: of the draws.

    Returns:
      Step number to batch.

    Raises:
      UserError: the split has no clips, or its clips are shorter than the excerpts.
    """
    shards, last = _excerpts(dataset, split, frames)
    first = np.concatenate([[0], np.cumsum([len(shard) for shard in shards])])

    def make(step: int) -> DecoderBatch:
        rng = np.random.default_rng([seed, step])
        rows = rng.integers(len(tokens), size=batch)
        starts = rng.integers(last + 1, size=batch)
        wave = np.empty((batch, frames * FRAME), np.float32)
        for i, (row, start) in enumerate(zip(rows, starts, strict=True)):
            shard = int(np.searchsorted(first, row, side="right")) - 1
            samples = slice(start * FRAME, (start + frames) * FRAME)
            wave[i] = to_float(shards[shard][row - first[shard], samples])
        seen = np.stack(
            [tokens[row, start : start + frames] for row, start in zip(rows, starts, strict=True)]
        )
        return DecoderBatch(seen.astype(np.int32), wave)

    return make


def _excerpts(dataset: Dataset, split: str, frames: int) -> tuple[Sequence[np.ndarray], int]:
    """The shards of a split and the last frame at which an excerpt can begin.

    Raises:
      UserError: there are no clips, or they are shorter than the excerpts.
    """
    shards = dataset.audio(split)
    if not shards:
        raise UserError(
            "data", f"{dataset.folder} has no clips in split {split}", "build some, or use another split"
        )
    last = dataset.config.frames - frames
    if last < 0:
        raise UserError(
            "config",
            f"excerpts of {frames} frames are longer than the clips ({dataset.config.frames} frames)",
            "use shorter excerpts, or build longer clips",
        )
    return shards, last
