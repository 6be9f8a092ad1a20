"""All networks of a run as one bundle, with the figures of their training and clips to compare with."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from antiphon.nets.weights import load_tree
from antiphon.studies.music_base.clips import attributes_of, clips
from antiphon.studies.music_base.config import Config, sizes_of
from antiphon.studies.music_base.tokens import load_codec
from antiphon.studies.music_base.weights import needed, weights_path
from antiphon.train.files import plain
from antiphon.train.metrics import Record, read_metrics
from antiphon.train.run_directory import RunDirectory
from antiphon.worlds.music.bundle import NETWORKS, pack
from antiphon.worlds.music.dataset import Dataset
from antiphon.worlds.music.judging import REFERENCE, make_reference

REFERENCE_CLIPS = 768
_LAST = 10
"""Records that a figure is the mean of."""


def pack_run(
    config: Config,
    dataset: Dataset,
    run: RunDirectory,
    folder: Path | str,
    made: dict[str, Any] | None = None,
) -> None:
    """Write all networks of a run as a bundle, with the reference clips that outside judges need.

    Args:
      config: the run's.
      dataset: the run's.
      run: in which every stage is finished.
      folder: destination, made if need be.
      made: how they were made, for the manifest; by default command, configuration and last metrics.

    Raises:
      UserError: a stage has not left its weights.
      RunError: the disk refused.
    """
    sizes = sizes_of(config)
    shapes = sizes.shapes()
    networks = {
        name: load_codec(config, run)
        if name == "codec"
        else load_tree(needed(weights_path(run, name), name), shapes[name])
        for name in NETWORKS
    }
    made = made or {
        "command": "antiphon music train",
        "config": plain(config),
        "figures": last_metrics(read_metrics(run.metrics)),
    }
    pack(folder, sizes, networks, made)
    count = min(REFERENCE_CLIPS, config.data.train)
    wave = np.concatenate(list(clips(dataset, "train", 32, count)))[:count]
    make_reference(wave, attributes_of(dataset, "train", count)).save(Path(folder) / REFERENCE)


def last_metrics(records: Sequence[Record]) -> dict[str, dict[str, float]]:
    """Each stage's metrics at its end, means of the last ten records: ``{stage: {metric: value}}``."""
    figures = {}
    for stage in dict.fromkeys(record.fit for record in records):
        last = [record for record in records if record.fit == stage][-_LAST:]
        figures[stage] = {
            name: float(np.mean([record.values[name] for record in last])) for name in last[-1].values
        }
    return figures
