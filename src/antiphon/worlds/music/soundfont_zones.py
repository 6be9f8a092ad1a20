"""Zones and generators of a SoundFont: from the file's layered tables to flat regions.

An instrument zone *sets* generators, on top of the instrument's global zone, on top of the defaults; a preset
zone *adds* to them, on top of the preset's global zone.

Source: SoundFont 2.04 specification, sections 8.1.2, 8.1.3 and 9.4.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

import numpy as np


class Generator(IntEnum):
    """Generator numbers of section 8.1.2; units are cents, timecents, centibel or tenths of a percent."""

    START_OFFSET = 0
    END_OFFSET = 1
    LOOP_START_OFFSET = 2
    LOOP_END_OFFSET = 3
    START_COARSE = 4
    MOD_LFO_TO_PITCH = 5
    VIB_LFO_TO_PITCH = 6
    MOD_ENV_TO_PITCH = 7
    FILTER_CUTOFF = 8
    FILTER_Q = 9
    MOD_LFO_TO_FILTER = 10
    MOD_ENV_TO_FILTER = 11
    END_COARSE = 12
    MOD_LFO_TO_VOLUME = 13
    PAN = 17
    MOD_LFO_DELAY = 21
    MOD_LFO_FREQUENCY = 22
    VIB_LFO_DELAY = 23
    VIB_LFO_FREQUENCY = 24
    MOD_ENV_DELAY = 25
    MOD_ENV_ATTACK = 26
    MOD_ENV_HOLD = 27
    MOD_ENV_DECAY = 28
    MOD_ENV_SUSTAIN = 29
    KEY_TO_MOD_HOLD = 31
    KEY_TO_MOD_DECAY = 32
    VOL_ENV_DELAY = 33
    VOL_ENV_ATTACK = 34
    VOL_ENV_HOLD = 35
    VOL_ENV_DECAY = 36
    VOL_ENV_SUSTAIN = 37
    VOL_ENV_RELEASE = 38
    KEY_TO_VOL_HOLD = 39
    KEY_TO_VOL_DECAY = 40
    INSTRUMENT = 41
    KEY_RANGE = 43
    VELOCITY_RANGE = 44
    LOOP_START_COARSE = 45
    FIXED_KEY = 46
    FIXED_VELOCITY = 47
    ATTENUATION = 48
    LOOP_END_COARSE = 50
    COARSE_TUNE = 51
    FINE_TUNE = 52
    SAMPLE = 53
    SAMPLE_MODES = 54
    SCALE_TUNING = 56
    EXCLUSIVE_CLASS = 57
    ROOT_KEY = 58


_COUNT = 61
_DEFAULTS = np.zeros(_COUNT, np.int64)
_DEFAULTS[[Generator.FILTER_CUTOFF, Generator.SCALE_TUNING]] = [13500, 100]
_DEFAULTS[[Generator.FIXED_KEY, Generator.FIXED_VELOCITY, Generator.ROOT_KEY]] = -1
_DEFAULTS[[21, 23, 25, 26, 27, 28, 30, 33, 34, 35, 36, 38]] = -12000
_RANGES = (Generator.KEY_RANGE, Generator.VELOCITY_RANGE)
_NOT_IN_PRESETS = [0, 1, 2, 3, 4, 12, 45, 46, 47, 50, 53, 54, 57, 58, *_RANGES, Generator.INSTRUMENT]


@dataclass(frozen=True)
class Sample:
    """One recording in the pool: positions are indices into the pool, the rate is in Hz."""

    name: str
    start: int
    end: int
    loop_start: int
    loop_end: int
    rate: int
    root_key: int
    correction_cents: int


@dataclass(frozen=True, eq=False)  # compared and hashed by identity: caches look regions up for every note
class Region:
    """A sample with the settings it is played with, for a rectangle of keys and velocities.

    Attributes:
        sample: the recording.
        keys: lowest and highest MIDI key, inclusive.
        velocities: lowest and highest velocity, inclusive.
        generators: all generator values by number, presets already added; see `Generator` for units.
    """

    sample: Sample
    keys: tuple[int, int]
    velocities: tuple[int, int]
    generators: tuple[int, ...]

    def answers(self, pitch: int, velocity: int) -> bool:
        """Whether this region sounds for the key and velocity."""
        return self.keys[0] <= pitch <= self.keys[1] and self.velocities[0] <= velocity <= self.velocities[1]


@dataclass(frozen=True)
class _Zone:
    """The generators one zone states, its ranges, and what it points at (None: a global zone)."""

    amounts: Mapping[int, int]
    keys: tuple[int, int]
    velocities: tuple[int, int]
    target: int | None


def _zones(bags: np.ndarray, generators: np.ndarray, first: int, last: int, terminal: int) -> list[_Zone]:
    """Zones first..last-1 with the global zone's statements written under each one's own."""
    below: dict[int, int] = {}
    found: list[_Zone] = []
    for zone in range(first, last):
        rows = generators[int(bags["gen"][zone]) : int(bags["gen"][zone + 1])]
        own: dict[int, int] = {}
        target: int | None = None
        for operator, amount in rows.tolist():
            if operator == terminal:
                target = amount & 0xFFFF
                break  # the pointer closes the zone; whatever follows is to be ignored
            if operator < _COUNT:
                own[operator] = amount
        if target is None:
            if zone == first:
                below = own
            continue  # a zone without a pointer that is not the first means nothing
        stated = {**below, **own}
        keys, velocities = (_span(stated.pop(g, 127 << 8)) for g in _RANGES)
        found.append(_Zone(stated, keys, velocities, target))
    return found


def _span(amount: int) -> tuple[int, int]:
    return amount & 0xFF, (amount >> 8) & 0xFF


def _overlap(a: tuple[int, int], b: tuple[int, int]) -> tuple[int, int]:
    return max(a[0], b[0]), min(a[1], b[1])


def preset_regions(preset: int, tables: Mapping[bytes, np.ndarray]) -> tuple[Region, ...]:
    """All regions of one preset.

    Args:
        preset: row of the preset in the ``phdr`` table.
        tables: the file's record tables by chunk name, indices already checked.

    Returns:
        Regions with a non-empty key and velocity range and a sample outside the ROM.
    """
    headers, instruments = tables[b"phdr"], tables[b"inst"]
    found: list[Region] = []
    outer_zones = _zones(
        tables[b"pbag"],
        tables[b"pgen"],
        int(headers["bag"][preset]),
        int(headers["bag"][preset + 1]),
        Generator.INSTRUMENT,
    )
    for outer in outer_zones:
        assert outer.target is not None
        bags = instruments["bag"]
        added = np.zeros(_COUNT, np.int64)
        for operator, amount in outer.amounts.items():
            if operator not in _NOT_IN_PRESETS:
                added[operator] = amount
        inner_zones = _zones(
            tables[b"ibag"],
            tables[b"igen"],
            int(bags[outer.target]),
            int(bags[outer.target + 1]),
            Generator.SAMPLE,
        )
        for inner in inner_zones:
            assert inner.target is not None
            keys, velocities = (
                _overlap(outer.keys, inner.keys),
                _overlap(outer.velocities, inner.velocities),
            )
            header = tables[b"shdr"][inner.target]
            if keys[0] > keys[1] or velocities[0] > velocities[1] or header["type"] & 0x8000:
                continue
            values = _DEFAULTS.copy()
            for operator, amount in inner.amounts.items():
                values[operator] = amount
            sample = _sample(header, values)
            found.append(Region(sample, keys, velocities, tuple((values + added).tolist())))
    return tuple(found)


def _sample(header: np.void, values: np.ndarray) -> Sample:
    """The header with the zone's offsets applied, so that nobody downstream has to know about them."""
    g = Generator
    root = int(values[g.ROOT_KEY]) if values[g.ROOT_KEY] >= 0 else int(header["pitch"])

    def moved(field: str, fine: Generator, coarse: Generator) -> int:
        return int(header[field]) + int(values[fine]) + 32768 * int(values[coarse])

    return Sample(
        name=header["name"].decode("latin-1").strip("\0 "),
        start=moved("start", g.START_OFFSET, g.START_COARSE),
        end=moved("end", g.END_OFFSET, g.END_COARSE),
        loop_start=moved("loop_start", g.LOOP_START_OFFSET, g.LOOP_START_COARSE),
        loop_end=moved("loop_end", g.LOOP_END_OFFSET, g.LOOP_END_COARSE),
        rate=int(header["rate"]),
        root_key=root if root <= 127 else 60,  # 255 marks an unpitched sample
        correction_cents=int(header["correction"]),
    )
