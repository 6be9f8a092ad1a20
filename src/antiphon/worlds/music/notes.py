"""A list of notes: what every composer of this package writes and every renderer reads."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Float, Int

from antiphon.core.errors import UserError

DRUM_PROGRAM = 128
"""The program number that means the General MIDI drum kit; its pitches are drum keys."""


@dataclass(frozen=True, eq=False)
class NoteList:
    """Notes as equal-length arrays, in any order.

    Attributes:
        start: onset in seconds from the beginning of the clip, at least 0.
        duration: time between key down and key up in seconds, at least 0.
        pitch: MIDI key 0..127 (60 is middle C); for drums the General MIDI drum key.
        velocity: how hard the key is struck, 1..127.
        program: General MIDI program 0..127, or 128 for the drum kit.

    Raises:
        UserError: an array is not one-dimensional, lengths differ, whole numbers are not whole, or a value
            lies outside its range; the first offending note is named.
    """

    start: Float[np.ndarray, " N"]
    duration: Float[np.ndarray, " N"]
    pitch: Int[np.ndarray, " N"]
    velocity: Int[np.ndarray, " N"]
    program: Int[np.ndarray, " N"]

    def __post_init__(self) -> None:
        lengths: dict[str, int] = {}
        for field in fields(self):
            whole = field.name in _RANGES
            array = _as_array(field.name, getattr(self, field.name), whole)
            object.__setattr__(self, field.name, array)
            lengths[field.name] = len(array)
        if len(set(lengths.values())) > 1:
            raise UserError(
                "field", f"the arrays of a note list differ in length: {lengths}", "give one entry per note"
            )
        for name, (low, high) in _RANGES.items():
            _check_range(name, getattr(self, name), low, high)
        for name in ("start", "duration"):
            _check_range(name, getattr(self, name), 0.0, 1e7)

    def __len__(self) -> int:
        """Number of notes."""
        return len(self.start)

    @property
    def seconds(self) -> float:
        """When the last key is released, in seconds (0 for no notes)."""
        return float(np.max(self.start + self.duration)) if len(self) else 0.0


_RANGES = {"pitch": (0, 127), "velocity": (1, 127), "program": (0, DRUM_PROGRAM)}


def _as_array(name: str, values: object, whole: bool) -> np.ndarray:
    """A read-only copy of the values, so that nobody changes a validated list behind our back."""
    array = np.asarray(values)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "biuf"):
        raise UserError(
            "field",
            f"note field '{name}' has shape {array.shape} and type {array.dtype}",
            "give a one-dimensional array of numbers",
        )
    if whole and array.dtype.kind == "f" and not np.array_equal(array, np.rint(array)):
        raise UserError("field", f"note field '{name}' holds fractions", "round it to whole numbers")
    copy = array.astype(np.int64 if whole else np.float64, copy=True)
    copy.flags.writeable = False
    return copy


def _check_range(name: str, array: np.ndarray, low: float, high: float) -> None:
    outside = ~((array >= low) & (array <= high))  # written so that a NaN counts as outside
    if outside.any():
        worst = int(np.argmax(outside))
        raise UserError(
            "field",
            f"note {worst} has {name} {array[worst]}",
            f"keep {name} between {low:g} and {high:g}",
        )
