"""Numbers over time: one JSON object a line, appended, read back tolerantly."""

import importlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from antiphon.train.errors import RunError
from antiphon.train.files import disk_errors, number, plain, write_atomically


@dataclass(frozen=True)
class Record:
    """The numbers of one step.

    Attributes:
        fit: Name of the fit that made them.
        step: Steps done, the first being 1.
        seconds: Wall time spent in this fit so far, over all its sessions.
        values: The numbers by name.
    """

    fit: str
    step: int
    seconds: float
    values: Mapping[str, float]


def read_metrics(path: Path, *, say: Callable[[str], None] | None = None) -> list[Record]:
    """Every whole record of a metrics file, in the order written; a missing file has none.

    Args:
        path: A ``metrics.jsonl``.
        say: Told, in a sentence, of lines skipped because they are torn (a power cut) or damaged.

    Returns:
        The records.
    """
    if not path.exists():
        return []
    records, torn = [], []
    for line_number, line in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            records.append(_from_line(line))
        except (ValueError, KeyError, TypeError, AttributeError):
            torn.append(line_number)
    if torn and say is not None:
        say(f"Skipped {len(torn)} torn line(s) of {path}, the first at line {torn[0]}.")
    return records


class MetricsFile:
    """Appends records to a metrics file; either the whole batch of records lands or none of it."""

    def __init__(self, path: Path, *, tensorboard: Path | None = None):
        """Open for appending.

        Args:
            path: The ``metrics.jsonl``; made if missing.
            tensorboard: Also write TensorBoard event files into this folder (needs tensorboardX).

        Raises:
            RunError: tensorboardX is asked for and not installed, or the file cannot be opened.
        """
        self._path = path
        self._board = None if tensorboard is None else _tensorboard_writer(tensorboard)
        with disk_errors(path):
            self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._size = os.fstat(self._descriptor).st_size

    def append(self, records: Sequence[Record]) -> None:
        """Append records.

        Raises:
            RunError: The disk refused; what was written of this batch is taken back.
        """
        data = b"".join(map(_to_line, records))
        with disk_errors(self._path):
            try:
                view = memoryview(data)
                while view:
                    view = view[os.write(self._descriptor, view) :]
            except OSError:
                os.ftruncate(self._descriptor, self._size)
                raise
        self._size += len(data)
        if self._board is not None:
            for record in records:
                for name, value in record.values.items():
                    self._board.add_scalar(f"{record.fit}/{name}", value, record.step)

    def sync(self) -> None:
        """Make what was appended survive a power cut."""
        with disk_errors(self._path):
            os.fsync(self._descriptor)

    def close(self) -> None:
        """Close the file; further calls do nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        if self._board is not None:
            self._board.close()
            self._board = None


def drop_after(path: Path, fit: str, step: int, *, say: Callable[[str], None] | None = None) -> int:
    """Remove the records of ``fit`` later than ``step``, and any torn line, before a run resumes there.

    Returns:
        How many whole records were removed.
    """
    records = read_metrics(path, say=say)
    kept = [record for record in records if record.fit != fit or record.step <= step]
    data = b"".join(map(_to_line, kept))
    if path.exists() and path.read_bytes() != data:
        write_atomically(path, data)
    return len(records) - len(kept)


def check_metric_name(name: str) -> None:
    """Refuse a metric that would hide a field of its record."""
    if name in ("fit", "step", "seconds"):
        raise RunError(f"A metric is named {name!r}, which every record already has", "give it another name")


def _to_line(record: Record) -> bytes:
    line = {
        "fit": record.fit,
        "step": record.step,
        "seconds": round(record.seconds, 4),
        **plain(record.values),
    }
    return json.dumps(line, allow_nan=False, ensure_ascii=False).encode() + b"\n"


def _from_line(line: bytes) -> Record:
    value = json.loads(line)
    fit, step, seconds = value.pop("fit"), value.pop("step"), value.pop("seconds")
    return Record(fit, step, seconds, {name: number(item) for name, item in value.items()})


def _tensorboard_writer(folder: Path) -> Any:
    try:
        module = importlib.import_module("tensorboardX")
    except ImportError as error:
        raise RunError(
            "TensorBoard was asked for but tensorboardX is not installed",
            "run `pip install 'antiphon[tensorboard]'` or leave TensorBoard out",
        ) from error
    return module.SummaryWriter(str(folder))
