"""A written piece: what notes, when, in which key and metre. No sound, no instruments.

Time is counted in quarter notes from the first full bar line, so a pickup has negative onsets and bar ``b``
of a piece without metre changes starts at ``b * quarters_per_bar(score)``.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

MODES = ("major", "minor", "dorian", "phrygian", "lydian", "mixolydian", "locrian")

# Semitones from a mode's tonic down to the tonic of the major key with the same signature.
_ABOVE_RELATIVE_MAJOR = {
    "major": 0,
    "dorian": 2,
    "phrygian": 4,
    "lydian": 5,
    "mixolydian": 7,
    "minor": 9,
    "locrian": 11,
}
_MAJOR_SCALE = (0, 2, 4, 5, 7, 9, 11)


@dataclass(frozen=True)
class Key:
    """A tonic and a mode.

    Attributes:
        tonic: pitch class, C = 0 … B = 11.
        mode: one of ``MODES``; ``minor`` is the natural (aeolian) minor.

    Raises:
        ValueError: for a tonic outside 0…11 or a mode not in ``MODES``.
    """

    tonic: int
    mode: str

    def __post_init__(self) -> None:
        if not 0 <= self.tonic <= 11:
            raise ValueError(f"key: tonic is {self.tonic}; give a pitch class, 0 (C) to 11 (B)")
        if self.mode not in MODES:
            raise ValueError(f"key: unknown mode {self.mode!r}; take one of {', '.join(MODES)}")

    @property
    def scale(self) -> tuple[int, ...]:
        """The seven pitch classes of the mode, tonic first."""
        root = (self.tonic - _ABOVE_RELATIVE_MAJOR[self.mode]) % 12
        degree = _MAJOR_SCALE.index(_ABOVE_RELATIVE_MAJOR[self.mode])
        return tuple((root + _MAJOR_SCALE[(degree + i) % 7]) % 12 for i in range(7))


@dataclass(frozen=True, eq=False)
class Score:
    """One piece of written music.

    Attributes:
        title: as printed in the source.
        source: identifier of the collection it came from.
        licence: what the collection's licence says, in a few words.
        key: of the beginning.
        meter: numerator and denominator of the beginning, ``(6, 8)``.
        rhythm: the kind of tune, lower case (``"reel"``, ``"jig"``), or ``""``.
        voices: one read-only float64 array ``[N, 3]`` per voice with onset and duration in quarter notes and
            MIDI pitch; rows ordered by onset, then pitch. A double stop is two rows with one onset. Highest
            voice first.
        quarters_per_minute: the tempo asked for, or None.

    Raises:
        ValueError: when built from voices of the wrong shape, without notes, out of order, with a duration
            that is not positive, or with a pitch outside 0…127.
    """

    title: str
    source: str
    licence: str
    key: Key
    meter: tuple[int, int]
    rhythm: str
    voices: tuple[Float[np.ndarray, "N 3"], ...]
    quarters_per_minute: float | None = None

    def __post_init__(self) -> None:
        name = f"score {self.title!r}"
        numerator, denominator = self.meter
        if numerator < 1 or denominator < 1 or denominator & (denominator - 1):
            raise ValueError(f"{name}: meter {self.meter} is no time signature; give for example (6, 8)")
        if self.quarters_per_minute is not None and not 0 < self.quarters_per_minute < math.inf:
            raise ValueError(f"{name}: tempo {self.quarters_per_minute} must be positive, or None")
        if not self.voices:
            raise ValueError(f"{name} has no voice; give at least one [N, 3] array")
        frozen = tuple(_checked(voice, f"{name}, voice {i + 1}") for i, voice in enumerate(self.voices))
        object.__setattr__(self, "voices", frozen)


def _checked(voice: np.ndarray, name: str) -> np.ndarray:
    voice = np.array(voice, dtype=np.float64)
    if voice.ndim != 2 or voice.shape[1] != 3 or len(voice) == 0:
        raise ValueError(f"{name}: shape {voice.shape}; give [N, 3] (onset, duration, pitch) with N >= 1")
    if not np.isfinite(voice).all():
        raise ValueError(f"{name}: has a value that is not finite; remove that note")
    onset, duration, pitch = voice.T
    if (duration <= 0).any():
        note = int(np.argmax(duration <= 0))
        raise ValueError(f"{name}: note {note} lasts {duration[note]} quarters; durations must be positive")
    if (pitch != np.round(pitch)).any() or pitch.min() < 0 or pitch.max() > 127:
        raise ValueError(
            f"{name}: pitches must be whole MIDI numbers 0 to 127, found {pitch.min()} to {pitch.max()}"
        )
    if (np.diff(onset) < 0).any():
        note = int(np.argmax(np.diff(onset) < 0)) + 1
        raise ValueError(f"{name}: note {note} starts before the one ahead of it; sort the rows by onset")
    voice.setflags(write=False)
    return voice


def quarters_per_bar(score: Score) -> float:
    """Length of a bar in quarter notes: 4 · numerator / denominator."""
    return 4.0 * score.meter[0] / score.meter[1]


def end(score: Score) -> float:
    """When the last note stops, in quarter notes from the first full bar line."""
    return float(max((voice[:, 0] + voice[:, 1]).max() for voice in score.voices))


def pickup(score: Score) -> float:
    """Length of the anacrusis in quarter notes, 0 when the piece starts on a bar line."""
    return max(0.0, -float(min(voice[0, 0] for voice in score.voices)))


def bars(score: Score) -> int:
    """Number of bars from the first full bar line to the end, a begun bar counted; the pickup is not."""
    return max(0, math.ceil(end(score) / quarters_per_bar(score) - 1e-9))


def melody(score: Score) -> Float[np.ndarray, "N 3"]:
    """The first voice as one line ``[N, 3]``: the highest note of each onset, cut where the next starts."""
    voice = score.voices[0]
    last = np.append(voice[1:, 0] != voice[:-1, 0], True)  # rows of one onset are ordered by pitch
    line = voice[last].copy()
    line[:-1, 1] = np.minimum(line[:-1, 1], np.diff(line[:, 0]))
    return line


def rows(
    onsets: Sequence[float] | np.ndarray, durations: Sequence[float] | np.ndarray, pitches: Sequence[float]
) -> Float[np.ndarray, "N 3"]:
    """Three columns as one voice array ``[N, 3]``, ordered by onset, then pitch."""
    voice = np.stack(
        [np.asarray(onsets, float), np.asarray(durations, float), np.asarray(pitches, float)], axis=-1
    )
    return voice[np.lexsort((voice[:, 2], voice[:, 0]))]
