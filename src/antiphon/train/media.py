"""What a study leaves to be seen and heard: figures, tables, images, and clips side by side.

A study builds one :class:`Media` and hands it to :func:`write_media`; the report reads it back. The records
hold plain Python numbers and paths relative to the run directory, so this file needs neither jax nor an
audio library.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from antiphon.core.errors import UserError
from antiphon.train.errors import RunError
from antiphon.train.files import number, read_json, write_json

FigureKind = Literal["line", "bar", "scatter"]
Cell = str | float | int | bool | None

MEDIA_FILE = "media/media.json"


@dataclass(frozen=True)
class Series:
    """One line, one set of bars or one cloud of points.

    Attributes:
        name: what the legend says.
        x: positions; numbers for lines and points, numbers or category names for bars.
        y: heights, as many as ``x``; a NaN leaves a gap.
        low: lower ends of the intervals around ``y``, as many as ``x`` or none.
        high: upper ends, likewise.
    """

    name: str
    x: tuple[float | str, ...]
    y: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        for label in ("x", "y", "low", "high"):
            # Lists and arrays are welcome; the record itself stays immutable and free of array types.
            object.__setattr__(self, label, tuple(_plain(value) for value in getattr(self, label)))
        if len(self.x) != len(self.y):
            raise ValueError(
                f"series {self.name!r} has {len(self.x)} x values and {len(self.y)} y values; "
                "give one y for each x."
            )
        if len(self.low) != len(self.high) or len(self.low) not in (0, len(self.y)):
            raise ValueError(
                f"series {self.name!r} has {len(self.low)} low and {len(self.high)} high ends for "
                f"{len(self.y)} values; give both for every value or neither."
            )


@dataclass(frozen=True)
class Figure:
    """A chart with labelled axes.

    Attributes:
        title: what the chart shows, in a few words.
        x_label: name and unit of the horizontal axis.
        y_label: name and unit of the vertical axis.
        series: what is drawn.
        kind: lines (with bands where intervals are given), bars or points.
        note: one sentence of reading help.
    """

    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    kind: FigureKind = "line"
    note: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "series", tuple(self.series))
        if self.kind not in get_args(FigureKind):
            raise ValueError(f"figure {self.title!r} is of kind {self.kind!r}; use line, bar or scatter.")
        if self.kind != "bar" and any(isinstance(x, str) for series in self.series for x in series.x):
            raise ValueError(f"figure {self.title!r} has names on its x axis; make it a bar figure.")


@dataclass(frozen=True)
class Clip:
    """One recording: ``audio`` is a WAV or FLAC file, relative to the run directory."""

    label: str
    audio: str
    scores: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Pair:
    """Clips of the same prompt to be heard one after the other, such as before and after training."""

    caption: str
    clips: tuple[Clip, ...]
    note: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "clips", tuple(self.clips))


@dataclass(frozen=True)
class Table:
    """Rows of numbers or words under named columns."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "columns", tuple(self.columns))
        object.__setattr__(self, "rows", tuple(tuple(_plain(cell) for cell in row) for row in self.rows))
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(
                    f"table {self.title!r} has {len(self.columns)} columns and a row of {len(row)} cells; "
                    "give every row one cell for each column."
                )


@dataclass(frozen=True)
class Image:
    """A PNG, JPEG or SVG file, relative to the run directory; the title is also its spoken description."""

    title: str
    file: str


@dataclass(frozen=True)
class Media:
    """Everything a study shows beside its findings; ``story`` is the one paragraph the report opens with."""

    story: str = ""
    figures: tuple[Figure, ...] = ()
    pairs: tuple[Pair, ...] = ()
    tables: tuple[Table, ...] = ()
    images: tuple[Image, ...] = ()


def write_media(directory: Path | str, media: Media) -> Path:
    """Writes ``media/media.json`` of a run directory and returns its path.

    Raises:
        UserError: a clip or an image names a file that is not in the run directory.
    """
    directory = Path(directory)
    named = [clip.audio for pair in media.pairs for clip in pair.clips]
    named += [image.file for image in media.images]
    for name in named:
        if not (directory / name).is_file():
            raise UserError(
                "file",
                f"the media record names {name}, which is not in {directory}",
                "write the file first and name it relative to the run directory",
            )
    path = directory / MEDIA_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, media)
    return path


def read_media(directory: Path | str) -> Media:
    """Reads ``media/media.json`` back; a run without one has an empty :class:`Media`.

    Raises:
        UserError: the file is not JSON, or a record in it lacks a field.
    """
    path = Path(directory) / MEDIA_FILE
    if not path.is_file():
        return Media()
    try:
        data = read_json(path)
        return Media(
            story=data.get("story") or "",
            figures=tuple(_figure(entry) for entry in data.get("figures", ())),
            pairs=tuple(_pair(entry) for entry in data.get("pairs", ())),
            tables=tuple(Table(**entry) for entry in data.get("tables", ())),
            images=tuple(Image(**entry) for entry in data.get("images", ())),
        )
    except (RunError, ValueError, TypeError, AttributeError, KeyError) as error:
        raise UserError(
            "file", f"{path} is not a media record: {error}", "run the study again or delete the file"
        ) from error


def _figure(entry: Mapping[str, Any]) -> Figure:
    rest = {key: value for key, value in entry.items() if key != "series"}
    return Figure(series=tuple(Series(**_gaps(series)) for series in entry["series"]), **rest)


def _pair(entry: Mapping[str, Any]) -> Pair:
    rest = {key: value for key, value in entry.items() if key != "clips"}
    return Pair(clips=tuple(Clip(**clip) for clip in entry["clips"]), **rest)


def _gaps(entry: Mapping[str, Any]) -> dict[str, Any]:
    """A missing number is null, or NaN in words, and read back as NaN."""
    return {
        key: [math.nan if item is None else number(item) for item in value]
        if isinstance(value, list)
        else value
        for key, value in entry.items()
    }


def _plain(value: Any) -> Any:
    """A NumPy or jax scalar as the Python number it holds."""
    return value.item() if hasattr(value, "item") else value
