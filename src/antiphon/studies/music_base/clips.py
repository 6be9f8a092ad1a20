"""The clips of a data set in the form in which stages use them."""

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float, Int16

from antiphon.worlds.music.attributes import Attributes
from antiphon.worlds.music.dataset import Dataset, to_float


def clips(
    dataset: Dataset, split: str, size: int, limit: int | None = None
) -> Iterator[Float[np.ndarray, "size N"]]:
    """Audio of a split in batches of ``size``, the last one padded with silence.

    Args:
      dataset: a built data set.
      split: of it.
      size: clips in a batch.
      limit: only so many first clips.
    """
    total = sum(len(shard) for shard in dataset.audio(split))
    total = total if limit is None else min(total, limit)
    joined = (row for shard in dataset.audio(split) for row in shard)
    for start in range(0, total, size):
        rows = [next(joined) for _ in range(min(size, total - start))]
        batch = np.zeros((size, rows[0].shape[0]), np.float32)
        batch[: len(rows)] = to_float(np.stack(rows))
        yield batch


def clip_of(shards: Sequence[Int16[np.ndarray, "clips N"]], number: int) -> Int16[np.ndarray, " N"]:
    """A clip by its number in the split, whatever the sizes of the shards.

    Raises:
      IndexError: there are not so many.
    """
    for shard in shards:
        if number < len(shard):
            return shard[number]
        number -= len(shard)
    raise IndexError("the split has fewer clips")


def attributes_of(dataset: Dataset, split: str, limit: int | None = None) -> list[Attributes]:
    """The true attributes of a split's clips, or of so many first ones."""
    return [Attributes(**record["attributes"]) for record in dataset.records(split)[:limit]]
