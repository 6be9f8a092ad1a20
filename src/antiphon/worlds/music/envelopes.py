"""Envelopes and oscillators of one key press, as curves over time since the key went down.

Source: SoundFont 2.04 specification, section 8.1.2 generators 21-40 (times in timecents: 1200 log2 seconds).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64

from antiphon.worlds.music.soundfont_zones import Generator, Region

_SHORTEST = 0.001  # seconds; a timecent value of -12000 means "at once", which a loudspeaker hears as a click
FULL_DROP_DB = 100.0  # by section 8.1.3 a decay or release time is the time for a fall of 100 dB


def seconds_of(timecents: float) -> float:
    """Seconds for a time in timecents, ``2^(tc/1200)``, at least one millisecond and at most 100 seconds."""
    return min(max(2.0 ** (timecents / 1200.0), _SHORTEST), 100.0)


@dataclass(frozen=True)
class Envelope:
    """Delay, attack, hold, decay and release times in seconds.

    `sustain` is the level the decay ends at: in dB below full for the volume envelope, as a fraction 0..1 for
    the modulation envelope.
    """

    delay: float
    attack: float
    hold: float
    decay: float
    sustain: float
    release: float

    @property
    def peak_time(self) -> float:
        """Seconds from key down to the start of the decay."""
        return self.delay + self.attack + self.hold


def volume_envelope(region: Region, pitch: int) -> Envelope:
    """The region's volume envelope for a key; higher keys may hold and decay faster (generators 39, 40)."""
    g, v = Generator, region.generators
    return Envelope(
        delay=seconds_of(v[g.VOL_ENV_DELAY]),
        attack=seconds_of(v[g.VOL_ENV_ATTACK]),
        hold=seconds_of(v[g.VOL_ENV_HOLD] + v[g.KEY_TO_VOL_HOLD] * (60 - pitch)),
        decay=seconds_of(v[g.VOL_ENV_DECAY] + v[g.KEY_TO_VOL_DECAY] * (60 - pitch)),
        sustain=min(max(v[g.VOL_ENV_SUSTAIN] / 10.0, 0.0), FULL_DROP_DB),
        release=max(seconds_of(v[g.VOL_ENV_RELEASE]), 0.01),  # ten milliseconds keep the cut from clicking
    )


def modulation_envelope(region: Region, pitch: int) -> Envelope:
    """The region's modulation envelope for a key. Its release is not used: the filter stays as it was."""
    g, v = Generator, region.generators
    return Envelope(
        delay=seconds_of(v[g.MOD_ENV_DELAY]),
        attack=seconds_of(v[g.MOD_ENV_ATTACK]),
        hold=seconds_of(v[g.MOD_ENV_HOLD] + v[g.KEY_TO_MOD_HOLD] * (60 - pitch)),
        decay=seconds_of(v[g.MOD_ENV_DECAY] + v[g.KEY_TO_MOD_DECAY] * (60 - pitch)),
        sustain=1.0 - min(max(v[g.MOD_ENV_SUSTAIN] / 1000.0, 0.0), 1.0),
        release=0.0,
    )


def volume_curve(envelope: Envelope, time: Float64[np.ndarray, " T"]) -> Float64[np.ndarray, " T"]:
    """Amplitude factor at `time` seconds after key down, key still down.

    Linear in amplitude while attacking, then a fall of 100 dB per decay time down to the sustain level.
    """
    attack = np.clip((time - envelope.delay) / envelope.attack, 0.0, 1.0)
    fall = np.clip((time - envelope.peak_time) * (FULL_DROP_DB / envelope.decay), 0.0, envelope.sustain)
    return attack * np.exp(fall * (-np.log(10.0) / 20.0))


def modulation_curve(envelope: Envelope, time: Float64[np.ndarray, " T"]) -> Float64[np.ndarray, " T"]:
    """Modulation level 0..1 at `time` seconds after key down.

    Differs from the specification: the attack is straight instead of convex, as in most players.
    """
    attack = np.clip((time - envelope.delay) / envelope.attack, 0.0, 1.0)
    fall = np.clip((time - envelope.peak_time) / envelope.decay, 0.0, 1.0 - envelope.sustain)
    return attack - fall


def triangle(
    time: Float64[np.ndarray, " T"], delay_timecents: float, frequency_cents: float
) -> Float[np.ndarray, " T"]:
    """Low-frequency oscillator in -1..1: zero until its delay is over, then a triangle that first rises."""
    hertz = 8.176 * 2.0 ** (frequency_cents / 1200.0)
    phase = np.maximum(time - seconds_of(delay_timecents), 0.0) * hertz + 0.25
    return 1.0 - 4.0 * np.abs(phase - np.floor(phase) - 0.5)
