"""From a score to a clip: choose attributes, an excerpt and an arrangement, and write it out as notes."""

from dataclasses import dataclass

import numpy as np

from antiphon.core.errors import UserError
from antiphon.worlds.music import textures
from antiphon.worlds.music.attributes import (
    ARTICULATIONS,
    INSTRUMENTS,
    MODES,
    REGISTERS,
    TEMPI,
    TEXTURES,
    Attributes,
    frames_per_sixteenth,
    sixteenths_per_bar,
)
from antiphon.worlds.music.codec import FRAME_SECONDS
from antiphon.worlds.music.harmony import change_mode, chords_under
from antiphon.worlds.music.notes import DRUM_PROGRAM, NoteList
from antiphon.worlds.music.score import Score, end

_METRE = {
    (4, 4): "common", (2, 2): "common", (2, 4): "common",
    (3, 4): "waltz", (6, 8): "jig", (12, 8): "jig",
}  # fmt: skip
_CENTRE = {
    "piano": 67, "harpsichord": 66, "guitar": 60, "harp": 66, "violin": 72, "strings": 67,
    "flute": 76, "choir": 65, "synth": 67, "sitar": 60,
}  # fmt: skip
_REGISTER_SHIFT = {"low": -9, "middle": 0, "high": 9}


@dataclass(frozen=True)
class Arrangement:
    """A clip before it is rendered.

    Attributes:
      notes: all begin inside the clip; the last may be held beyond its end.
      attributes: what is true of the notes.
      tonic: pitch class, C = 0.
      sixteenth: seconds per sixteenth note.
      title: of the tune.
      licence: of the tune.
    """

    notes: NoteList
    attributes: Attributes
    tonic: int
    sixteenth: float
    title: str
    licence: str


def metre_of(score: Score) -> str | None:
    """The metre a score can be arranged in, None if the arranger has no pattern for it."""
    return _METRE.get(score.meter)


def draw_attributes(rng: np.random.Generator, score: Score) -> Attributes:
    """Random attributes that the score allows: metre from the score, all else uniform.

    A four-part score is set as a chorale two times in three. Solo pieces have no accompaniment; half of the
    others are accompanied by the lead's own instrument; a quarter of those with chords have drums.

    Raises:
      UserError: the arranger has no pattern for the score's metre.
    """
    metre = metre_of(score)
    if metre is None:
        known = ", ".join(f"{above}/{below}" for above, below in _METRE)
        raise UserError(
            "score",
            f"{score.title!r} is in {score.meter[0]}/{score.meter[1]}, for which the arranger has no pattern",
            f"leave the tune out; {known} are known",
        )
    instrument = str(rng.choice(list(INSTRUMENTS)))
    texture = str(rng.choice(TEXTURES[:-1]))
    if len(score.voices) >= 4 and rng.random() < 2 / 3:
        texture = "chorale"
    same = texture == "chorale" or rng.random() < 0.5
    accompaniment = instrument if same else str(rng.choice(list(INSTRUMENTS)))
    drums = texture in ("chords", "oompah", "arpeggio") and rng.random() < 0.25
    return Attributes(
        instrument=instrument,
        tempo=str(rng.choice(TEMPI)),
        mode=str(rng.choice(MODES)),
        metre=metre,
        register=str(rng.choice(REGISTERS)),
        texture=texture,
        accompaniment=None if texture == "solo" else accompaniment,
        drums=bool(drums),
        articulation=str(rng.choice(ARTICULATIONS, p=[0.75, 0.25])),
    )


def arrange(
    rng: np.random.Generator, score: Score, attributes: Attributes, seconds: float, grid_aligned: bool = True
) -> Arrangement:
    """Write ``seconds`` of the tune with these attributes.

    The excerpt starts at a random bar line and wraps around at the end of the tune. With ``grid_aligned`` a
    sixteenth lasts a whole number of token frames, which makes tokens regular and so far easier to learn;
    without it the sixteenth is drawn within 12 % of the grid's.

    Args:
      rng: source of the excerpt, the key and the touch.
      score: the tune.
      attributes: what to make of it; the metre should be the score's.
      seconds: length of the clip.
      grid_aligned: whole frames per sixteenth.

    Raises:
      UserError: the tune has no note in the bars drawn, or too few voices for a chorale.
    """
    if attributes.texture == "chorale" and len(score.voices) < 4:
        raise UserError(
            "score",
            f"{score.title!r} has {len(score.voices)} voices, a chorale needs four",
            "choose another texture",
        )
    sixteenth = frames_per_sixteenth(attributes.tempo) * FRAME_SECONDS
    if not grid_aligned:
        sixteenth *= float(rng.uniform(0.88, 1.12))
    length = int(np.ceil(seconds / sixteenth))
    tonic = int(rng.integers(12))
    key = score.key
    shift = (tonic - key.tonic + 6) % 12 - 6
    moved = [
        (onset, duration, change_mode(pitch.astype(int), key.tonic, key.mode, attributes.mode) + shift)
        for onset, duration, pitch in _excerpt(rng, score, attributes.metre, length)
    ]
    melody = _place(moved[0], _CENTRE[attributes.instrument] + _REGISTER_SHIFT[attributes.register])
    touch = 0.45 if attributes.articulation == "staccato" else 0.97
    bar = sixteenths_per_bar(attributes.metre)
    accents = np.where(melody[0] % bar == 0, 104, np.where(melody[0] % 4 == 0, 96, 88))
    program = INSTRUMENTS[attributes.instrument]
    columns = [_columns(melody[0], melody[1] * touch, melody[2], accents, program)]
    if attributes.accompaniment is not None:
        figure = _accompany(moved, melody, tonic, attributes, length)
        touch = min(1.0, touch * 1.5) if attributes.texture in ("oompah", "arpeggio") else 1.0
        program = INSTRUMENTS[attributes.accompaniment]
        columns.append(_columns(figure[0], figure[1] * touch, figure[2], figure[3], program))
    if attributes.drums:
        beat = np.array(textures.drum_beat(attributes.metre, length), float).T
        columns.append(_columns(beat[0], beat[1], beat[2], beat[3], DRUM_PROGRAM))
    table = np.concatenate(columns, axis=1)
    table = table[:, (table[0] < length) & (table[0] >= 0)]
    table[3] = np.clip(table[3] + rng.normal(0, 4, table.shape[1]), 1, 127)
    table = table[:, table[0] * sixteenth < seconds]  # the last sixteenth may reach beyond the end
    notes = NoteList(
        start=table[0] * sixteenth,
        duration=np.maximum(table[1] * sixteenth, 0.03),
        pitch=table[2].astype(int),
        velocity=table[3].astype(int),
        program=table[4].astype(int),
    )
    return Arrangement(notes, attributes, tonic, sixteenth, score.title, score.licence)


_Voice = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Onset and duration in sixteenths, MIDI pitch; ``[N]`` each."""


def _columns(
    onset: np.ndarray, duration: np.ndarray, pitch: np.ndarray, velocity: np.ndarray, program: int
) -> np.ndarray:
    """A part as a table ``[5, N]``."""
    return np.stack([onset, duration, pitch, velocity, np.full(len(onset), program)]).astype(float)


def _excerpt(rng: np.random.Generator, score: Score, metre: str, length: int) -> list[_Voice]:
    """Notes of every voice that begin in ``length`` sixteenths from a random bar line."""
    bar = sixteenths_per_bar(metre)
    total = max(1, int(np.floor(end(score) * 4 / bar + 1e-6))) * bar
    start = int(rng.integers(max(1, total // bar))) * bar
    laps = -(-length // total) + 1
    voices = []
    for voice in score.voices:
        onset, duration, pitch = np.round(voice[:, 0] * 4, 3), voice[:, 1] * 4, voice[:, 2]
        inside = (onset >= 0) & (onset < total)
        onset, duration, pitch = onset[inside], duration[inside], pitch[inside]
        onset = np.concatenate([onset + lap * total for lap in range(laps)]) - start
        duration, pitch = np.tile(duration, laps), np.tile(pitch, laps)
        heard = (onset >= 0) & (onset < length)
        voices.append((onset[heard], np.minimum(duration[heard], length - onset[heard]), pitch[heard]))
    if not len(voices[0][0]):
        raise UserError(
            "score",
            f"{score.title!r} has no note from sixteenth {start} on",
            "leave the tune out, or draw again",
        )
    return voices


def _place(voice: _Voice, centre: float) -> _Voice:
    """Shift a voice by octaves so that its mean pitch lies nearest to ``centre``."""
    onset, duration, pitch = voice
    return onset, duration, pitch + 12 * int(np.round((centre - pitch.mean()) / 12))


def _accompany(
    voices: list[_Voice], melody: _Voice, tonic: int, attributes: Attributes, length: int
) -> np.ndarray:
    """Accompaniment ``[4, M]``: onset, duration (sixteenths), pitch, velocity."""
    if attributes.texture == "chorale":
        octave = melody[2][0] - voices[0][2][0]  # the lower voices move with the melody
        parts = [
            np.stack([onset, duration, pitch + octave, np.full(len(onset), 84)])
            for onset, duration, pitch in voices[1:]
        ]
        return np.concatenate(parts, axis=1)
    span = textures.chord_span(attributes.metre)
    count = -(-length // span)
    chords = chords_under(melody[0], melody[1], melody[2], tonic, attributes.mode, span, count)
    centre = float(np.clip(melody[2].mean() - 14, 48, 62))
    figure = textures.FIGURES[attributes.texture](chords, tonic, centre, attributes.metre)
    return np.array(figure, float).T
