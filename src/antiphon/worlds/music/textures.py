"""Accompaniment figures: what plays under the tune, in sixteenth notes.

Every figure takes chords ``[count, 3]`` as semitones above the tonic (root first, one per span of
:func:`chord_span` sixteenths), the tonic's pitch class, the MIDI pitch around which chords are set, and the
metre.
"""

from collections.abc import Callable

import numpy as np

from antiphon.worlds.music.attributes import sixteenths_per_bar

Figure = list[tuple[float, float, int, int]]
"""Notes as (onset, duration, pitch, velocity), times in sixteenths."""


def chord_span(metre: str) -> int:
    """Sixteenths for which one chord lasts: half a bar, or a whole bar of a waltz."""
    return 12 if metre == "waltz" else sixteenths_per_bar(metre) // 2


def voice_chord(chord: np.ndarray, tonic: int, centre: float) -> tuple[int, list[int]]:
    """The root about an octave below ``centre``, and the triad in close position around ``centre``."""
    classes = (chord + tonic) % 12
    notes = sorted(int(c + 12 * np.round((centre - c) / 12)) for c in classes)
    root = int(classes[0])
    bass = int(root + 12 * np.round((centre - 12 - root) / 12))
    return bass, notes


def held_chords(chords: np.ndarray, tonic: int, centre: float, metre: str) -> Figure:
    """One held triad with its bass for every span."""
    span, notes = chord_span(metre), []
    for i, chord in enumerate(chords):
        bass, triad = voice_chord(chord, tonic, centre)
        notes += [(i * span, span, p, 66) for p in (bass, *triad)]
    return notes


def oompah(chords: np.ndarray, tonic: int, centre: float, metre: str) -> Figure:
    """Bass on the strong beat, chord on the weak ones."""
    span, notes = chord_span(metre), []
    bass_at, chord_at = {"common": ((0,), (4,)), "waltz": ((0,), (4, 8)), "jig": ((0,), (4,))}[metre]
    for i, chord in enumerate(chords):
        bass, triad = voice_chord(chord, tonic, centre)
        if metre != "waltz" and i % 2 and np.array_equal(chord, chords[i - 1]):
            bass = bass - 5  # alternate with the fifth below while the harmony rests
        notes += [(i * span + at, 3, bass, 74) for at in bass_at]
        notes += [(i * span + at, 2, p, 62) for at in chord_at for p in triad]
    return notes


def arpeggio(chords: np.ndarray, tonic: int, centre: float, metre: str) -> Figure:
    """Broken chords in eighth notes: up and down again."""
    span, notes = chord_span(metre), []
    for i, chord in enumerate(chords):
        bass, triad = voice_chord(chord, tonic, centre)
        order = [bass, triad[0], triad[1], triad[2], triad[1], triad[0]]
        notes += [
            (i * span + at, 2.5, order[(at // 2) % len(order)], 68 if at == 0 else 60)
            for at in range(0, span, 2)
        ]
    return notes


def drone(chords: np.ndarray, tonic: int, centre: float, metre: str) -> Figure:
    """Tonic and fifth, struck anew with every bar, whatever the tune does."""
    bar = sixteenths_per_bar(metre)
    length = len(chords) * chord_span(metre)
    bass, _ = voice_chord(np.array([0, 4, 7]), tonic, centre)
    return [(at, bar, p, 64) for at in range(0, length, bar) for p in (bass, bass + 7)]


FIGURES: dict[str, Callable[[np.ndarray, int, float, str], Figure]] = {
    "chords": held_chords,
    "oompah": oompah,
    "arpeggio": arpeggio,
    "drone": drone,
}
"""By texture; a solo has none, a chorale brings its own voices."""

_KICK, _SNARE, _HAT = 36, 38, 42
_DRUMS = {
    "common": {_KICK: (0, 8, 10), _SNARE: (4, 12), _HAT: tuple(range(0, 16, 2))},
    "waltz": {_KICK: (0,), _SNARE: (4, 8), _HAT: tuple(range(0, 12, 2))},
    "jig": {_KICK: (0, 6), _SNARE: (4, 10), _HAT: tuple(range(0, 12, 2))},
}


def drum_beat(metre: str, length: int) -> Figure:
    """A plain kit pattern for ``length`` sixteenths; pitches are General MIDI drum keys."""
    bar = sixteenths_per_bar(metre)
    loud = {_KICK: 96, _SNARE: 84, _HAT: 58}
    return [
        (start + at, 1, key, loud[key])
        for start in range(0, length, bar)
        for key, places in _DRUMS[metre].items()
        for at in places
        if start + at < length
    ]
