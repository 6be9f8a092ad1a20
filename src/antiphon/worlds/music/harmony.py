"""Scales and chords: mapping a tune to a mode, and finding chords under it."""

import numpy as np

from antiphon.worlds.music.score import Key

_CHORDS = {
    "major": np.array([(0, 4, 7), (5, 9, 0), (7, 11, 2), (9, 0, 4), (2, 5, 9)]),
    "minor": np.array([(0, 3, 7), (5, 8, 0), (7, 10, 2), (8, 0, 3), (10, 2, 5)]),
}
"""Triads as semitones above the tonic, root first: I IV V vi ii, and i iv v VI VII."""

# Of I, IV, V and the two others, as a share of a span's sounding time.
_CHORD_PRIOR = np.array([0.25, 0.12, 0.15, 0.0, 0.0])


def change_mode(pitch: np.ndarray, tonic: int, source: str, target: str) -> np.ndarray:
    """Move each scale degree of one mode onto the same degree of another, on the same tonic.

    Notes outside the scale keep their distance to the degree below.

    Args:
      pitch: ``[N]`` MIDI pitches.
      tonic: pitch class of the tonic, 0..11.
      source: mode of the tune, of :data:`~antiphon.worlds.music.score.MODES`.
      target: mode wanted; minor is the natural minor, so that a piece stays inside one diatonic scale.

    Returns:
      ``[N]`` MIDI pitches.

    Raises:
      ValueError: there is no such mode.
    """
    from_scale, to_scale = Key(0, source).scale, Key(0, target).scale
    table = np.zeros(12, int)
    for interval in range(12):
        degree = max(i for i, s in enumerate(from_scale) if s <= interval)
        table[interval] = to_scale[degree] + (interval - from_scale[degree])
    relative = (pitch - tonic) % 12
    return pitch - relative + table[relative]


def chords_under(
    onset: np.ndarray, duration: np.ndarray, pitch: np.ndarray, tonic: int, mode: str, step: float, count: int
) -> np.ndarray:
    """The triad that shares most sounding time with the tune, for each span of ``step``.

    ``argmax_c sum_{p in c} share(p) + prior(c)``: a small prior favours tonic, dominant and subdominant. The
    first span and those without a note take the tonic chord.

    Args:
      onset: ``[N]`` in any unit of time.
      duration: ``[N]`` in the same unit.
      pitch: ``[N]`` MIDI pitches.
      tonic: pitch class.
      mode: "major" or "minor".
      step: length of a span.
      count: number of spans.

    Returns:
      ``[count, 3]`` semitones above the tonic, root first.
    """
    edges = np.arange(count)[:, None] * step
    overlap = np.minimum(onset + duration, edges + step) - np.maximum(onset, edges)
    weight = np.maximum(overlap, 0.0)
    profile = np.zeros((count, 12))
    np.add.at(profile.T, (pitch.astype(int) - tonic) % 12, weight.T)
    profile /= np.maximum(profile.sum(1, keepdims=True), 1e-9)
    chords = _CHORDS[mode]
    score = profile[:, chords].sum(-1) + _CHORD_PRIOR
    best = score.argmax(1)
    best[0] = 0
    best[weight.sum(1) == 0] = 0
    return chords[best]
