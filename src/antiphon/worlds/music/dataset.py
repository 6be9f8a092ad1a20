"""Building a data set of captioned clips from scores: numbered, resumable, parallel, checked.

Clip ``i`` of a split depends on ``(seed, split, i)``, the tunes and the sound font alone, so any number of
workers and any interruption lead to the same files. Audio lies in shards of :data:`SHARD` clips,
``<split>/<shard>.npy`` (int16, ``[clips, samples]``), and ``<split>/<shard>.jsonl`` says for each clip where
it came from, what it is and how it may be described. A shard's manifest is written after its audio: a shard
without one is unfinished and is made again.
"""

import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, fields
from functools import cache
from io import BytesIO
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Int16

from antiphon.core.errors import UserError
from antiphon.train.files import read_json, write_atomically, write_json
from antiphon.worlds.music import sources
from antiphon.worlds.music.arranger import Arrangement, arrange, draw_attributes, metre_of
from antiphon.worlds.music.attributes import Attributes
from antiphon.worlds.music.captions import caption
from antiphon.worlds.music.codec import FRAME
from antiphon.worlds.music.renderer import Renderer
from antiphon.worlds.music.score import Score
from antiphon.worlds.music.soundfont import find_font, load_font
from antiphon.worlds.music.spectrum import SAMPLE_RATE

SHARD = 256
SPLITS = ("train", "valid", "test")
CAPTIONS = 4
"""Wordings stored per clip: three as in training and one that is kept for testing."""


@dataclass(frozen=True)
class DatasetConfig:
    """What to build.

    Attributes:
      train: clips of training tunes in combinations of attributes that are not held out.
      valid: likewise of validation tunes.
      test: clips of test tunes *and* held-out combinations.
      seconds: length of a clip, rounded to whole token frames.
      grid_aligned: whole token frames per sixteenth note.
      seed: of all draws.

    Raises:
      UserError: a number of clips is negative or the length cannot be built.
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
                raise UserError(
                    "config", f"{name} is {getattr(self, name)} clips", "give a number of at least 0"
                )
        if not 0.16 <= self.seconds <= 60:
            raise UserError(
                "config", f"clips of {self.seconds} seconds", "choose between 0.16 and 60 seconds"
            )

    @property
    def frames(self) -> int:
        """Token frames per clip."""
        return round(self.seconds * SAMPLE_RATE / FRAME)

    def count(self, split: str) -> int:
        """Clips in a split."""
        return {"train": self.train, "valid": self.valid, "test": self.test}[split]


@cache
def _scores(tunes: str | None) -> tuple[Score, ...]:
    """All scores the arranger can set, in a fixed order."""
    found = sources.load_scores() if tunes is None else sources.load_abc_folder(tunes).scores
    return tuple(score for score in found if metre_of(score) is not None)


@cache
def _scores_of(split: str, tunes: str | None) -> tuple[Score, ...]:
    chosen = tuple(score for score in _scores(tunes) if sources.split(score) == split)
    if not chosen:
        raise UserError(
            "data",
            f"there is no tune for split {split}",
            f"give more tunes, or ask for 0 clips of split {split}",
        )
    return chosen


def arrange_clip(config: DatasetConfig, split: str, index: int, tunes: str | None = None) -> Arrangement:
    """The arrangement of one clip.

    Args:
      config: of the data set.
      split: of it.
      index: of the clip.
      tunes: ABC file or folder, None for the default collections of :mod:`antiphon.worlds.music.sources`.

    Raises:
      UserError: scores cannot be read, or none belongs to the split.
    """
    rng = np.random.default_rng([config.seed, SPLITS.index(split), index])
    scores = _scores_of(split, tunes)
    while True:
        score = scores[int(rng.integers(len(scores)))]
        attributes = draw_attributes(rng, score)
        if attributes.held_out != (split == "test"):
            continue
        try:
            return arrange(rng, score, attributes, config.frames * FRAME / SAMPLE_RATE, config.grid_aligned)
        except UserError:
            continue  # an excerpt without a note: draw another


def caption_clip(config: DatasetConfig, split: str, index: int, attributes: Attributes) -> list[str]:
    """The :data:`CAPTIONS` wordings of one clip; the last uses wordings that never occur in training."""
    rng = np.random.default_rng([config.seed, 7, SPLITS.index(split), index])
    seen = [caption(rng, attributes) for _ in range(CAPTIONS - 1)]
    return [*seen, caption(rng, attributes, unseen=True)]


@cache
def _renderer(font: str | None) -> Renderer:
    return Renderer(load_font(font))


def render_clip(
    config: DatasetConfig, arrangement: Arrangement, font: str | None = None
) -> Float32[np.ndarray, " N"]:
    """Audio of one clip, ``N = frames * FRAME``.

    Raises:
      UserError: there is no sound font, or it lacks an instrument.
    """
    return _renderer(font).render(arrangement.notes, config.frames * FRAME / SAMPLE_RATE)


@dataclass(frozen=True)
class _Shard:
    """A piece of work for one process."""

    split: str
    number: int
    folder: str
    tunes: str | None
    font: str

    def build(self, config: DatasetConfig) -> int:
        """Make the files; the number of clips in them."""
        audio, lines = [], []
        for index in _clips_of(config, self.split, self.number):
            arrangement = arrange_clip(config, self.split, index, self.tunes)
            wave = render_clip(config, arrangement, self.font)
            samples = np.round(np.clip(wave, -1, 1) * 32767).astype(np.int16)
            audio.append(samples)
            record = {
                "clip": index,
                "title": arrangement.title,
                "licence": arrangement.licence,
                "attributes": asdict(arrangement.attributes),
                "tonic": arrangement.tonic,
                "sixteenth": arrangement.sixteenth,
                "captions": caption_clip(config, self.split, index, arrangement.attributes),
                "sha256": hashlib.sha256(samples.tobytes()).hexdigest(),
            }
            lines.append(json.dumps(record))
        buffer = BytesIO()
        np.save(buffer, np.stack(audio))
        base = Path(self.folder) / self.split / f"{self.number:05d}"
        write_atomically(base.with_suffix(".npy"), buffer.getvalue())
        write_atomically(base.with_suffix(".jsonl"), ("\n".join(lines) + "\n").encode())
        return len(lines)


def _clips_of(config: DatasetConfig, split: str, number: int) -> range:
    return range(number * SHARD, min((number + 1) * SHARD, config.count(split)))


def build(
    config: DatasetConfig,
    folder: Path | str,
    *,
    workers: int = 1,
    font: str | None = None,
    tunes: Path | str | None = None,
) -> Iterator[tuple[int, int]]:
    """Build what is missing of a data set.

    Args:
      config: what to build; a folder that holds another configuration is refused.
      folder: where; made if need be.
      workers: processes.
      font: SoundFont file, by default the installed one.
      tunes: ABC file or folder, by default the collections of :mod:`antiphon.worlds.music.sources`.

    Yields:
      ``(clips done, clips in all)``, first of what was there, then after every shard.

    Raises:
      UserError: tunes or sound font are missing, or the folder was begun with other ones or with other
        settings.
    """
    folder = Path(folder)
    font_file = str(find_font(font))
    tune_file = None if tunes is None else str(tunes)
    for split in SPLITS:
        (folder / split).mkdir(parents=True, exist_ok=True)
        if config.count(split):
            _scores_of(split, tune_file)  # what is missing is said before anything is started
    _settle(folder / "config.json", config, _made_from(tune_file, font_file))
    todo = [
        _Shard(split, number, str(folder), tune_file, font_file)
        for split in SPLITS
        for number in range(-(-config.count(split) // SHARD))
        if not (folder / split / f"{number:05d}.jsonl").exists()
    ]
    total = sum(config.count(split) for split in SPLITS)
    done = total - sum(len(_clips_of(config, shard.split, shard.number)) for shard in todo)
    yield done, total
    for count in _work(config, todo, workers):
        done += count
        yield done, total


def _work(config: DatasetConfig, todo: list[_Shard], workers: int) -> Iterator[int]:
    if workers <= 1 or len(todo) <= 1:
        yield from (shard.build(config) for shard in todo)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        try:
            for future in as_completed([pool.submit(shard.build, config) for shard in todo]):
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)  # after an error or Ctrl-C nothing new is begun


def _made_from(tunes: str | None, font: str) -> dict[str, str]:
    """Checksums of the ingredients, so that a data set is not continued with others."""
    music = hashlib.sha256()
    for score in _scores(tunes):
        music.update(repr((score.title, score.key, score.meter)).encode())
        for voice in score.voices:
            music.update(voice.tobytes())
    return {"tunes": music.hexdigest(), "font": hashlib.sha256(Path(font).read_bytes()).hexdigest()}


def _settle(path: Path, config: DatasetConfig, made_from: dict[str, str]) -> None:
    """Write down what is built, or compare with what was begun."""
    if not path.exists():
        write_json(path, {**asdict(config), "made_from": made_from})
        return
    old = read_json(path)
    for name, value in asdict(config).items():
        if old.get(name) != value:
            raise UserError(
                "config",
                f"{path.parent} holds a data set with {name} = {old.get(name)}, not {value}",
                "use the same settings or another folder",
            )
    for name, checksum in made_from.items():
        if old.get("made_from", made_from)[name] != checksum:
            raise UserError(
                "data",
                f"{path.parent} was begun with another {'sound font' if name == 'font' else 'set of tunes'}",
                "use the same one or another folder",
            )


@dataclass(frozen=True)
class Dataset:
    """A built data set on disk."""

    folder: Path
    config: DatasetConfig

    @staticmethod
    def open(folder: Path | str) -> "Dataset":
        """Open a finished or partly built data set.

        Raises:
          UserError: the folder holds none.
        """
        path = Path(folder) / "config.json"
        if not path.exists():
            raise UserError(
                "data",
                f"{folder} holds no music data set",
                "build one: antiphon music data build --out FOLDER",
            )
        stored = read_json(path)
        names = [field.name for field in fields(DatasetConfig)]
        missing = [name for name in names if name not in stored]
        if missing:
            raise UserError("data", f"{path} lacks {', '.join(missing)}", "build the data set anew")
        return Dataset(Path(folder), DatasetConfig(**{name: stored[name] for name in names}))

    def records(self, split: str) -> list[dict[str, Any]]:
        """Manifest lines of a split, in clip order.

        Raises:
          UserError: a manifest is damaged.
        """
        return [record for path in self._manifests(split) for record in _read_manifest(path)]

    def audio(self, split: str) -> list[Int16[np.ndarray, "clips N"]]:
        """Memory-mapped shards of a split, in clip order.

        Raises:
          UserError: a shard is missing or cut short.
        """
        return [_read_shard(path) for path in self._manifests(split)]

    def verify(self) -> int:
        """Compare the audio of every clip with its checksum; the number of clips compared.

        Raises:
          UserError: a clip differs, or a shard is damaged or incomplete; its manifest is named.
        """
        compared = 0
        for split in SPLITS:
            for path in self._manifests(split):
                records, clips = _read_manifest(path), _read_shard(path)
                if len(records) != len(clips):
                    raise _damaged(path, f"lists {len(records)} clips, its audio has {len(clips)}")
                for record, samples in zip(records, clips, strict=True):
                    if hashlib.sha256(samples.tobytes()).hexdigest() != record["sha256"]:
                        raise _damaged(
                            path, f"gives another checksum for clip {record['clip']} than its audio has"
                        )
                compared += len(records)
        return compared

    def _manifests(self, split: str) -> list[Path]:
        return sorted((self.folder / split).glob("*.jsonl"))


def _read_manifest(path: Path) -> list[dict[str, Any]]:
    try:
        return [json.loads(line) for line in path.read_text().splitlines()]
    except ValueError as error:
        raise _damaged(path, "is damaged") from error


def _read_shard(manifest: Path) -> np.ndarray:
    try:
        return np.load(manifest.with_suffix(".npy"), mmap_mode="r")
    except (OSError, ValueError) as error:
        raise _damaged(manifest, "stands beside missing or damaged audio") from error


def _damaged(manifest: Path, what: str) -> UserError:
    return UserError("data", f"{manifest} {what}", "delete that file and build the data set again")


def to_float(samples: Int16[np.ndarray, "*shape"]) -> Float32[np.ndarray, "*shape"]:
    """int16 to float32 in [-1, 1)."""
    return samples.astype(np.float32) / 32768.0
