"""Building a data set of captioned clips from scores: numbered, resumable, parallel.

Clip ``i`` of a split depends on ``(seed, split, i)`` alone, so any number of workers and any interruption lead to the same files. Audio lies in shards of
:data:`SHARD` clips, ``<split>/<shard>.npy`` (int16, ``[clips, samples]``), and ``<split>/<shard>.jsonl`` says for each clip where it came from, what it is and how it may be described.
A shard's manifest is written after its audio: a shard without one is unfinished and is made again.
"""

import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from functools import cache
from io import BytesIO
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from antiphon.core.errors import UserError
from antiphon.train.files import read_json, write_atomically, write_json
from antiphon.worlds.music.arranger import Arrangement, arrange, draw_attributes, metre_of
from antiphon.worlds.music.attributes import Attributes
from antiphon.worlds.music.captions import caption
from antiphon.worlds.music.codec import FRAME
from antiphon.worlds.music.spectrum import SAMPLE_RATE

SHARD = 256
SPLITS = ("train", "valid", "test")
CAPTIONS = 4
"""Wordings stored per clip: three as in training and one that is kept for testing."""


@dataclass(frozen=True)
class DatasetConfig:
    """What to build.

    ``seconds`` per clip is rounded to whole token frames. ``train`` clips take training tunes and combinations that are not held out; ``valid`` likewise from
    validation tunes; ``test`` clips take test tunes *and* held-out combinations.
    """

    train: int = 20_000
    valid: int = 512
    test: int = 1_024
    seconds: float = 5.12
    grid_aligned: bool = True
    seed: int = 0

    def __post_init__(self):
        """Refuse sizes that cannot be built."""
        for name in SPLITS:
            if getattr(self, name) < 0:
                raise UserError("config", f"{name} is {getattr(self, name)} clips", "give a number of at least 0")
        if not 0.16 <= self.seconds <= 60:
            raise UserError("config", f"clips of {self.seconds} seconds", "choose between 0.16 and 60 seconds")

    @property
    def frames(self) -> int:
        """Token frames per clip."""
        return round(self.seconds * SAMPLE_RATE / FRAME)

    def count(self, split: str) -> int:
        """Clips in a split."""
        return {"train": self.train, "valid": self.valid, "test": self.test}[split]


@cache
def _scores(split: str):
    from antiphon.worlds.music import sources

    scores = sources.load_scores()
    return [s for s in scores if sources.split(s) == split and metre_of(s) is not None]


def arrange_clip(config: DatasetConfig, split: str, index: int) -> Arrangement:
    """The arrangement of one clip."""
    rng = np.random.default_rng([config.seed, SPLITS.index(split), index])
    scores = _scores(split)
    while True:
        score = scores[int(rng.integers(len(scores)))]
        attributes = draw_attributes(rng, score)
        if attributes.held_out != (split == "test"):
            continue
        try:
            return arrange(rng, score, attributes, config.frames * FRAME / SAMPLE_RATE, config.grid_aligned)
        except ValueError:
            continue  # an excerpt without a note: draw another


def caption_clip(config: DatasetConfig, split: str, index: int, attributes: Attributes) -> list[str]:
    """The :data:`CAPTIONS` wordings of one clip; the last uses wordings that never occur in training."""
    rng = np.random.default_rng([config.seed, 7, SPLITS.index(split), index])
    seen = [caption(rng, attributes) for _ in range(CAPTIONS - 1)]
    return [*seen, caption(rng, attributes, unseen=True)]


@cache
def _renderer(font: str | None):
    from antiphon.worlds.music.renderer import Renderer
    from antiphon.worlds.music.soundfont import load_font

    return Renderer(load_font(font))


def render_clip(config: DatasetConfig, arrangement: Arrangement, font: str | None = None) -> np.ndarray:
    """Audio of one clip, float32 ``[frames * FRAME]``."""
    seconds = config.frames * FRAME / SAMPLE_RATE
    return _renderer(font).render(arrangement.notes, seconds)[: config.frames * FRAME]


def _build_shard(config: DatasetConfig, split: str, shard: int, folder: str, font: str | None) -> int:
    first = shard * SHARD
    last = min(first + SHARD, config.count(split))
    audio, lines = [], []
    for index in range(first, last):
        arrangement = arrange_clip(config, split, index)
        wave = render_clip(config, arrangement, font)
        samples = np.round(np.clip(wave, -1, 1) * 32767).astype(np.int16)
        audio.append(samples)
        record = {
            "clip": index,
            "title": arrangement.title,
            "licence": arrangement.licence,
            "attributes": asdict(arrangement.attributes),
            "tonic": arrangement.tonic,
            "sixteenth": arrangement.sixteenth,
            "captions": caption_clip(config, split, index, arrangement.attributes),
            "sha256": hashlib.sha256(samples.tobytes()).hexdigest(),
        }
        lines.append(json.dumps(record))
    buffer = BytesIO()
    np.save(buffer, np.stack(audio))
    base = Path(folder) / split / f"{shard:05d}"
    write_atomically(base.with_suffix(".npy"), buffer.getvalue())
    write_atomically(base.with_suffix(".jsonl"), ("\n".join(lines) + "\n").encode())
    return last - first


def build(
    config: DatasetConfig, folder: Path | str, *, workers: int = 1, font: str | None = None
) -> Iterator[tuple[int, int]]:
    """Build what is missing of a data set.

    Args:
      config: what to build; a folder that holds another configuration is refused.
      folder: where; made if need be.
      workers: processes.
      font: SoundFont file, by default the installed one.

    Yields:
      ``(clips done, clips in all)`` after every shard.
    """
    folder = Path(folder)
    for split in SPLITS:
        (folder / split).mkdir(parents=True, exist_ok=True)
    saved = folder / "config.json"
    if saved.exists():
        old = read_json(saved)
        for name, value in asdict(config).items():
            if old.get(name) != value:
                raise UserError(
                    "config",
                    f"{folder} holds a data set with {name} = {old.get(name)}, not {value}",
                    "use the same settings or another folder",
                )
    write_json(saved, asdict(config))
    jobs = [(s, k) for s in SPLITS for k in range(-(-config.count(s) // SHARD))]
    todo = [(s, k) for s, k in jobs if not (folder / s / f"{k:05d}.jsonl").exists()]
    total = sum(config.count(s) for s in SPLITS)
    done = total - sum(min(SHARD, config.count(s) - k * SHARD) for s, k in todo)
    yield done, total
    if workers <= 1:
        for split, shard in todo:
            done += _build_shard(config, split, shard, str(folder), font)
            yield done, total
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        futures = [pool.submit(_build_shard, config, s, k, str(folder), font) for s, k in todo]
        for future in as_completed(futures):
            done += future.result()
            yield done, total


@dataclass(frozen=True)
class Dataset:
    """A built data set on disk."""

    folder: Path
    config: DatasetConfig

    @staticmethod
    def open(folder: Path | str) -> "Dataset":
        """Open a finished or partly built data set."""
        path = Path(folder) / "config.json"
        if not path.exists():
            raise UserError(
                "data", f"{folder} holds no music data set", "build one with: antiphon music data build --out FOLDER"
            )
        return Dataset(Path(folder), DatasetConfig(**read_json(path)))

    def records(self, split: str) -> list[dict]:
        """Manifest lines of a split, in clip order."""
        lines = []
        for path in sorted((self.folder / split).glob("*.jsonl")):
            lines += [json.loads(line) for line in path.read_text().splitlines()]
        return lines

    def audio(self, split: str) -> list[np.ndarray]:
        """Memory-mapped int16 shards ``[clips, samples]`` of a split, in clip order."""
        return [
            np.load(path.with_suffix(".npy"), mmap_mode="r")
            for path in sorted((self.folder / split).glob("*.jsonl"))
        ]


def to_float(samples: np.ndarray) -> np.ndarray:
    """int16 to float32 in [-1, 1)."""
    return samples.astype(np.float32) / 32768.0
