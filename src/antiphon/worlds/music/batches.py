"""Batches for training, each a pure function of its number, so that an interrupted training continues bit for bit."""

from collections.abc import Callable

import numpy as np

from antiphon.worlds.music.codec import FRAME
from antiphon.worlds.music.dataset import Dataset, to_float


def audio_batches(dataset: Dataset, split: str, *, batch: int, frames: int, seed: int) -> Callable[[int], np.ndarray]:
    """Excerpts ``[batch, frames * FRAME]`` float32 that begin on a token frame, at a random level between -8 and 0 dB."""
    shards = dataset.audio(split)
    last = dataset.config.frames - frames
    if last < 0:
        raise ValueError(f"excerpts of {frames} frames are longer than the clips ({dataset.config.frames} frames)")

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
