"""One key press of one region as a waveform: sample, pitch, filter, envelope.

Everything is computed at two or four times the render rate and brought down with a band-limited resampler, so
neither high notes nor fast pitch sweeps fold back into the audible band.

Differs from the SoundFont 2.04 specification: modulators are not applied, so velocity scales the amplitude by
``(v/127)^2`` (the default curve of section 8.4.1) and the filter only through `brightness_cents`; attenuation
counts 0.4 of its stated value, as the hardware the fonts were voiced on did and as FluidSynth plays them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import ceil, cos, pi, sin

import numpy as np
from jaxtyping import Float32, Float64, Int16
from scipy.signal import lfilter

from antiphon.core.errors import UserError
from antiphon.worlds.music.envelopes import (
    FULL_DROP_DB,
    modulation_curve,
    modulation_envelope,
    triangle,
    volume_curve,
    volume_envelope,
)
from antiphon.worlds.music.soundfont_zones import Generator, Region

_SILENT_DB = 90.0  # below this under full scale nothing is left in 16 bits
_LADDER_CENTS = 600  # distance of the fixed filters between which a moving cutoff is blended
_OPEN_CENTS = 13500
# A damaged font may ask for any pitch at all, and memory grows with it: no sound font needs more than this.
_FARTHEST_CENTS = 7200  # from the recorded pitch
_WIDEST_SWEEP_CENTS = 4800


@dataclass(frozen=True)
class Ending:
    """How a region's sound ends.

    Attributes:
        release_seconds: time for a fall of 100 dB after key up.
        dies_out: it ends by itself with the key held: no loop, or an envelope that falls to silence.
    """

    release_seconds: float
    dies_out: bool


@lru_cache(maxsize=4096)
def ending(region: Region) -> Ending:
    """How the region ends; the same for every key."""
    volume = volume_envelope(region, 60)
    return Ending(volume.release, volume.sustain >= _SILENT_DB or not _loops(region))


def synthesise(
    region: Region,
    pool: Int16[np.ndarray, " S"],
    pitch: int,
    seconds: float,
    sample_rate: int,
    brightness_cents: float = 0.0,
) -> Float32[np.ndarray, " T"]:
    """Play a region with the key held down, at velocity 127.

    Args:
        region: what to play.
        pool: sample pool of the font.
        pitch: MIDI key.
        seconds: how long the key is held at most; the wave is shorter where it falls silent earlier.
        sample_rate: rate of the result in Hz.
        brightness_cents: added to the filter's cutoff (negative is duller).

    Returns:
        Amplitude over time at `sample_rate`; 1.0 is the full scale of the recording.

    Raises:
        UserError: the package soxr is not installed.
    """
    g, v = Generator, region.generators
    key = v[g.FIXED_KEY] if v[g.FIXED_KEY] >= 0 else pitch
    volume = volume_envelope(region, key)
    looped = _loops(region)
    if volume.sustain >= _SILENT_DB:
        seconds = min(seconds, volume.peak_time + volume.decay * _SILENT_DB / FULL_DROP_DB)
    moves_pitch = any(v[x] for x in (g.MOD_LFO_TO_PITCH, g.VIB_LFO_TO_PITCH, g.MOD_ENV_TO_PITCH))
    factor = 4 if moves_pitch else 2
    rate = factor * sample_rate
    if not looped:
        sweep = sum(abs(v[x]) for x in (g.MOD_LFO_TO_PITCH, g.VIB_LFO_TO_PITCH, g.MOD_ENV_TO_PITCH))
        sweep = min(sweep, _WIDEST_SWEEP_CENTS)
        longest = (region.sample.end - region.sample.start) / _read_rate(region, key)
        seconds = min(seconds, longest * 2.0 ** (sweep / 1200.0) + 0.01)
    time = np.arange(ceil(seconds * rate)) / rate

    modulation = modulation_curve(modulation_envelope(region, key), time)
    wobble = triangle(time, v[g.MOD_LFO_DELAY], v[g.MOD_LFO_FREQUENCY])
    if moves_pitch:
        vibrato = triangle(time, v[g.VIB_LFO_DELAY], v[g.VIB_LFO_FREQUENCY])
        cents = v[g.MOD_ENV_TO_PITCH] * modulation + v[g.MOD_LFO_TO_PITCH] * wobble
        cents += v[g.VIB_LFO_TO_PITCH] * vibrato
        steps = 2.0 ** (np.clip(cents, -_WIDEST_SWEEP_CENTS, _WIDEST_SWEEP_CENTS) / 1200.0)
        place = np.concatenate(([0.0], np.cumsum(steps)[:-1]))
        steady = _steady_pitch(region, pool, key, looped, (place[-1] + 4) / rate, rate)
        wave = _read_between(steady, place)
    else:
        wave = _steady_pitch(region, pool, key, looped, seconds, rate)
    wave = wave[: len(time)]
    n = len(wave)
    cutoff = v[g.FILTER_CUTOFF] + v[g.MOD_ENV_TO_FILTER] * modulation[:n] + brightness_cents
    cutoff += v[g.MOD_LFO_TO_FILTER] * wobble[:n]
    wave = moving_low_pass(wave, cutoff, v[g.FILTER_Q] / 10.0, rate)
    gain_db = -0.04 * max(v[g.ATTENUATION], 0) + v[g.MOD_LFO_TO_VOLUME] / 10.0 * wobble[:n]
    # Both channels of a panned voice, added: equal-power panning makes hard left 3 dB softer than the middle.
    angle = (np.clip(v[g.PAN] / 1000.0, -0.5, 0.5) + 0.5) * (pi / 2)
    wave = wave * volume_curve(volume, time[:n]) * 10.0 ** (gain_db / 20.0)
    wave *= (cos(angle) + sin(angle)) / (2.0**0.5)
    wave = _resample(wave, rate, sample_rate)
    return _without_silence(wave)


def _loops(region: Region) -> bool:
    """Whether the sample repeats; loops that make no sense are played straight, as other players do."""
    s = region.sample
    asked = region.generators[Generator.SAMPLE_MODES] & 3 in (1, 3)
    return asked and s.start <= s.loop_start < s.loop_end <= s.end


def _read_rate(region: Region, key: int) -> float:
    """Recorded samples consumed per second to sound at the key's pitch."""
    g, v, s = Generator, region.generators, region.sample
    cents = v[g.SCALE_TUNING] * (key - s.root_key) + 100 * v[g.COARSE_TUNE] + v[g.FINE_TUNE]
    cents = min(max(cents + s.correction_cents, -_FARTHEST_CENTS), _FARTHEST_CENTS)
    return s.rate * 2.0 ** (cents / 1200.0)


def _steady_pitch(
    region: Region, pool: np.ndarray, key: int, looped: bool, seconds: float, rate: int
) -> Float64[np.ndarray, " T"]:
    """The recording at the key's pitch without any modulation, at `rate` Hz, full scale 1.0."""
    s, read_rate = region.sample, _read_rate(region, key)
    length = ceil(seconds * read_rate) + 64  # a few more, so that the resampler's edge falls outside
    if looped:
        head = pool[s.start : s.loop_end][:length]
        tail = np.resize(pool[s.loop_start : s.loop_end], length - len(head))
        source = np.concatenate((head, tail))
    else:
        source = pool[s.start : s.end][:length]
    return _resample(source / 32768.0, read_rate, rate)


def _resample(wave: np.ndarray, from_rate: float, to_rate: float) -> Float64[np.ndarray, " T"]:
    try:
        import soxr
    except ModuleNotFoundError:
        raise UserError(
            "missing-extra", "rendering needs the package soxr", "run `pip install 'antiphon[music]'`"
        ) from None
    return np.asarray(soxr.resample(wave, from_rate, to_rate, quality="HQ"), dtype=np.float64)


def _read_between(wave: np.ndarray, place: Float64[np.ndarray, " T"]) -> Float64[np.ndarray, " T"]:
    """The wave at fractional positions, by cubic (Catmull-Rom) interpolation; ends where the wave ends."""
    place = place[place < len(wave) - 1]
    whole = place.astype(np.int64)
    x = place - whole
    padded = np.pad(wave, (1, 2), mode="edge")
    a, b, c, d = (padded[whole + i] for i in range(4))
    return b + 0.5 * x * (c - a + x * (2 * a - 5 * b + 4 * c - d + x * (3 * (b - c) + d - a)))


def moving_low_pass(
    wave: Float64[np.ndarray, " T"], cutoff: Float64[np.ndarray, " T"], resonance_db: float, rate: int
) -> Float64[np.ndarray, " T"]:
    """Second-order resonant low-pass whose cutoff moves.

    The wave runs through a ladder of fixed filters half an octave apart, and each instant blends the two
    nearest. That keeps loops over samples in compiled code; against a filter updated every sample the
    difference is small because envelopes move slowly compared with the filter's memory.

    Args:
        wave: input.
        cutoff: cutoff over time in absolute cents (0 is 8.176 Hz).
        resonance_db: height of the peak over the pass band; the gain is halved against it (section 8.1.3).
        rate: sample rate in Hz.
    """
    if not len(wave):
        return wave
    top = min(1200.0 * np.log2(0.45 * rate / 8.176), _OPEN_CENTS)
    level = np.clip(cutoff, 1500.0, top)
    if level.min() >= top:
        return wave  # fully open
    first = int(level.min() // _LADDER_CENTS)
    last = int(-(-level.max() // _LADDER_CENTS))
    if level.max() - level.min() < 1.0:
        return _low_pass(wave, float(level.mean()), resonance_db, rate)
    rungs = np.arange(first, last + 1) * _LADDER_CENTS
    out = np.zeros_like(wave)
    for rung in rungs:
        weight = 1.0 - np.abs(level - rung) / _LADDER_CENTS
        active = np.flatnonzero(weight > 0)
        if not len(active):
            continue
        # The filter has to run from the start to have the right memory, but not past its last use.
        stop = int(active[-1]) + 1
        filtered = _low_pass(wave[:stop], float(min(rung, top)), resonance_db, rate)
        out[:stop] += np.maximum(weight[:stop], 0.0) * filtered
    return out


def _low_pass(wave: np.ndarray, cents: float, resonance_db: float, rate: int) -> np.ndarray:
    """Bilinear second-order low-pass; at a resonance of 0 dB it is a Butterworth filter."""
    resonance_db = max(resonance_db, 0.0)
    q = 10.0 ** ((resonance_db - 3.01) / 20.0)
    omega = 2.0 * pi * 8.176 * 2.0 ** (cents / 1200.0) / rate
    alpha = sin(omega) / (2.0 * q)
    gain = 10.0 ** (-resonance_db / 40.0)
    b = np.array([1.0, 2.0, 1.0]) * (gain * (1.0 - cos(omega)) / 2.0)
    return np.asarray(lfilter(b, np.array([1.0 + alpha, -2.0 * cos(omega), 1.0 - alpha]), wave))


def _without_silence(wave: np.ndarray) -> Float32[np.ndarray, " T"]:
    """Cut the inaudible end off: it would only cost memory and additions."""
    loud = np.flatnonzero(np.abs(wave) > 10.0 ** (-_SILENT_DB / 20.0))
    return wave[: loud[-1] + 1 if len(loud) else 0].astype(np.float32)
