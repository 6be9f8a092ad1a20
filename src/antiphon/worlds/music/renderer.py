"""From notes to sound, fast: every distinct note is synthesised once, then cut, scaled and added.

A clip of fifty notes costs fifty additions of cached waveforms.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from jaxtyping import Float32

from antiphon.core.errors import UserError
from antiphon.worlds.music.notes import DRUM_PROGRAM, NoteList
from antiphon.worlds.music.room import Room
from antiphon.worlds.music.soundfont import SoundFont
from antiphon.worlds.music.soundfont_zones import Generator, Region
from antiphon.worlds.music.synthesis import ending, synthesise

_RELEASE_FLOOR_DB = 80.0  # a released note is followed down to here
_CHOKE_SECONDS = 0.05  # fall of 100 dB when a drum silences another of its class
_BRIGHTNESS_LAYERS = 4
_LONGEST_DRUM = 15.0  # seconds; no drum of a usual font rings longer


@dataclass(eq=False)
class Renderer:
    """Renders note lists with one sound font; keeps the notes it has synthesised.

    Attributes:
        font: the sound font.
        sample_rate: rate of the result in Hz.
        normalise: "peak" brings the largest absolute value to `level_db`; "rms" brings the root mean square
            there, less where the peak would pass full scale; "none" leaves the plain sum, which may exceed 1.
        level_db: the target in dB relative to full scale.
        brightness_cents: added to the filter's cutoff for the softest of four velocity layers, a share of it
            for the middle ones, nothing for the hardest; -2400 is the specification's default modulator, 0 is
            what most players do.
        room: reverberation added to the clip, or None.
        cache_megabytes: bound on the memory of cached notes; the least recently used go first.

    Same notes, same settings: same bits, whatever was rendered before.
    """

    font: SoundFont
    sample_rate: int = 16000
    normalise: Literal["peak", "rms", "none"] = "peak"
    level_db: float = -3.0
    brightness_cents: float = 0.0
    room: Room | None = None
    cache_megabytes: float = 512.0
    _tones: OrderedDict[tuple[Region, int, int, float], np.ndarray] = field(
        default_factory=OrderedDict, repr=False
    )
    _regions: dict[tuple[int, int, int], tuple[Region, ...]] = field(default_factory=dict, repr=False)
    _falls: dict[float, np.ndarray] = field(default_factory=dict, repr=False)
    _cached_bytes: int = field(default=0, repr=False)

    def __post_init__(self) -> None:
        if not 4000 <= self.sample_rate <= 192000:
            raise UserError(
                "field", f"the sample rate is {self.sample_rate} Hz", "choose 4000 to 192000, usually 16000"
            )
        if self.normalise not in ("peak", "rms", "none"):
            raise UserError("field", f"normalise is '{self.normalise}'", "choose 'peak', 'rms' or 'none'")
        if not (np.isfinite(self.level_db) and self.level_db <= 0):
            raise UserError("field", f"level_db is {self.level_db}", "choose a level of 0 dB or less")
        if not self.cache_megabytes > 0:
            raise UserError("field", f"cache_megabytes is {self.cache_megabytes}", "choose a positive size")

    def render(self, notes: NoteList, seconds: float) -> Float32[np.ndarray, " T"]:
        """The clip as mono samples.

        A note starts at the sample nearest to its onset, sounds while its key is down, then falls 100 dB per
        release time of the font. Drums are one-shots: they ring out whatever their duration, until another
        drum of the same exclusive class (open and closed hi-hat) silences them. What rings at the end is cut.

        Args:
            notes: what to play; notes that start after the end are left out.
            seconds: length of the clip.

        Returns:
            ``round(seconds * sample_rate)`` samples.

        Raises:
            UserError: the length is not positive, or the font lacks a program.
        """
        total = round(seconds * self.sample_rate) if np.isfinite(seconds) else 0
        if total < 1:
            raise UserError("field", f"the clip length is {seconds} seconds", "choose a positive length")
        out = np.zeros(total, np.float32)
        onsets = np.rint(notes.start * self.sample_rate).astype(np.int64)
        lengths = np.maximum(np.rint(notes.duration * self.sample_rate).astype(np.int64), 1)
        chokes = self._choke_points(notes, onsets)
        for i in np.flatnonzero(onsets < total).tolist():
            self._add(
                out, int(onsets[i]), int(lengths[i]), chokes.get(i), int(notes.program[i]),
                int(notes.pitch[i]), int(notes.velocity[i]),
            )  # fmt: skip
        if self.room is not None:
            out = self.room.apply(out, self.sample_rate)
        return self._normalised(out)

    def _add(
        self,
        out: np.ndarray,
        onset: int,
        length: int,
        choke: int | None,
        program: int,
        pitch: int,
        velocity: int,
    ) -> None:
        """Add one note in place; `choke` is the sample at which another drum silences this one."""
        for region in self._sounding(program, pitch, velocity):
            fixed = region.generators[Generator.FIXED_VELOCITY]
            strength = fixed if fixed > 0 else velocity
            end = ending(region)
            key_up, release = length, end.release_seconds
            one_shot = program == DRUM_PROGRAM and end.dies_out
            if one_shot:
                key_up = round(_LONGEST_DRUM * self.sample_rate)
            if choke is not None and choke - onset < key_up:
                key_up, release = choke - onset, _CHOKE_SECONDS
            fall = self._fall(release)
            # A one-shot is always kept whole, so that choked strokes share its cache entry.
            needed = round(_LONGEST_DRUM * self.sample_rate) if one_shot else key_up + len(fall)
            wave = self._tone(region, pitch, strength, needed)[: len(out) - onset]
            gain = np.float32((strength / 127.0) ** 2)
            held, rest = wave[:key_up], wave[key_up : key_up + len(fall)]
            out[onset : onset + len(held)] += gain * held
            out[onset + key_up : onset + key_up + len(rest)] += gain * rest * fall[: len(rest)]

    def _sounding(self, program: int, pitch: int, velocity: int) -> tuple[Region, ...]:
        key = (program, pitch, velocity)
        if key not in self._regions:
            self._regions[key] = self.font.regions(program, pitch, velocity)
        return self._regions[key]

    def _tone(self, region: Region, pitch: int, velocity: int, samples: int) -> np.ndarray:
        """The cached tone, held for at least `samples`.

        Lengths are rounded up to 1, 2, 4, ... seconds and each is a cache entry of its own, so that what was
        rendered earlier never changes the bits of what is rendered later.
        """
        held = 1.0
        while held * self.sample_rate < samples:
            held *= 2.0
        layer = velocity * _BRIGHTNESS_LAYERS // 128 if self.brightness_cents else _BRIGHTNESS_LAYERS - 1
        key = (region, pitch, layer, held)
        if key in self._tones:
            self._tones.move_to_end(key)
            return self._tones[key]
        dull = self.brightness_cents * (1.0 - layer / (_BRIGHTNESS_LAYERS - 1))
        tone = synthesise(region, self.font.samples, pitch, held, self.sample_rate, dull)
        self._tones[key] = tone
        self._cached_bytes += tone.nbytes
        while self._cached_bytes > self.cache_megabytes * 1e6 and len(self._tones) > 1:
            self._cached_bytes -= self._tones.popitem(last=False)[1].nbytes
        return tone

    def _fall(self, release_seconds: float) -> np.ndarray:
        """Amplitude after key up: 100 dB per release time, down to -80 dB."""
        if release_seconds not in self._falls:
            n = int(release_seconds * self.sample_rate * _RELEASE_FLOOR_DB / 100.0) + 1
            decay = np.exp(np.arange(n) * (-5.0 * np.log(10.0) / (release_seconds * self.sample_rate)))
            self._falls[release_seconds] = decay.astype(np.float32)
        return self._falls[release_seconds]

    def _choke_points(self, notes: NoteList, onsets: np.ndarray) -> dict[int, int]:
        """For each drum note, the onset of the next drum of its exclusive class, where there is one."""
        found: dict[int, int] = {}
        upcoming: dict[int, tuple[int, int | None]] = {}  # class -> its next onset, and the one after a chord
        drums = np.flatnonzero(notes.program == DRUM_PROGRAM)
        for i in drums[np.argsort(onsets[drums], kind="stable")][::-1].tolist():
            regions = self._sounding(DRUM_PROGRAM, int(notes.pitch[i]), int(notes.velocity[i]))
            group = regions[0].generators[Generator.EXCLUSIVE_CLASS] if regions else 0
            if group == 0:
                continue
            now = int(onsets[i])
            later, after = upcoming.get(group, (None, None))
            if later == now:  # struck together: neither silences the other
                later = after
            if later is not None:
                found[i] = later
            upcoming[group] = (now, later)
        return found

    def _normalised(self, clip: np.ndarray) -> Float32[np.ndarray, " T"]:
        peak = float(np.max(np.abs(clip)))
        if self.normalise == "none" or peak == 0.0:
            return clip
        target = 10.0 ** (self.level_db / 20.0)
        if self.normalise == "peak":
            return clip * np.float32(target / peak)
        loudness = float(np.sqrt(np.mean(np.square(clip, dtype=np.float64))))
        return clip * np.float32(min(target / loudness, 0.999 / peak))
