"""From a score to a clip: choose attributes, an excerpt and an arrangement, and write it out as notes."""

from dataclasses import dataclass

import numpy as np

from antiphon.worlds.music import textures
from antiphon.worlds.music.attributes import (
    ARTICULATIONS,
    FRAMES_PER_SIXTEENTH,
    INSTRUMENTS,
    METRES,
    MODES,
    REGISTERS,
    SIXTEENTHS_PER_BAR,
    TEMPI,
    TEXTURES,
    Attributes,
)
from antiphon.worlds.music.harmony import change_mode, chords_under
from antiphon.worlds.music.notes import NoteList
from antiphon.worlds.music.score import Score

FRAME_SECONDS = 0.04
DRUM_KIT = 128
_CENTRE = {
    "piano": 67, "harpsichord": 66, "guitar": 60, "harp": 66, "violin": 72, "strings": 67,
    "flute": 76, "choir": 65, "synth": 67, "sitar": 60,
}  # fmt: skip
_REGISTER_SHIFT = {"low": -9, "middle": 0, "high": 9}


@dataclass(frozen=True)
class Arrangement:
    """A clip before it is rendered.

    ``notes`` in seconds, ``attributes`` as they truly are, ``tonic`` pitch class, ``sixteenth`` seconds per sixteenth note, ``title`` of the tune.
    """

    notes: NoteList
    attributes: Attributes
    tonic: int
    sixteenth: float
    title: str
    licence: str


def metre_of(score: Score) -> str | None:
    """The metre a score can be arranged in, None if the arranger has no pattern for it."""
    return {
        (4, 4): "common", (2, 2): "common", (2, 4): "common", (3, 4): "waltz", (6, 8): "jig", (12, 8): "jig",
    }.get(score.meter)  # fmt: skip


def draw_attributes(rng: np.random.Generator, score: Score) -> Attributes:
    """Random attributes that the score allows: metre from the score, all else uniform.

    A four-part score is set as a chorale two times in three. Solo pieces have no accompaniment; half of the others are accompanied by the lead's own
    instrument; a quarter of the homophonic ones have drums.
    """
    metre = metre_of(score)
    if metre is None:
        raise ValueError(f"{score.title!r} is in {score.meter[0]}/{score.meter[1]}, which the arranger has no pattern for")
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

    The excerpt starts at a random bar line and wraps around at the end of the tune. With ``grid_aligned`` a sixteenth lasts a whole number of
    token frames, which makes tokens regular and so far easier to learn; without it the tempo is drawn within 12 % of the grid's.

    Args:
      rng: source of the excerpt, the key and the touch.
      score: the tune.
      attributes: what to make of it.
      seconds: length of the clip.
      grid_aligned: whole frames per sixteenth.
    """
    sixteenth = FRAMES_PER_SIXTEENTH[TEMPI.index(attributes.tempo)] * FRAME_SECONDS
    if not grid_aligned:
        sixteenth *= float(rng.uniform(0.88, 1.12))
    length = int(np.ceil(seconds / sixteenth))
    tonic = int(rng.integers(12))
    source_tonic, source_mode = score.key.tonic, score.key.mode
    voices = _excerpt(rng, score, attributes, length)
    shift = (tonic - source_tonic + 6) % 12 - 6
    moved = [
        (onset, duration, change_mode(pitch.astype(int), source_tonic, source_mode, attributes.mode) + shift)
        for onset, duration, pitch in voices
    ]
    melody = _place(moved[0], _CENTRE[attributes.instrument] + _REGISTER_SHIFT[attributes.register])
    touch = 0.45 if attributes.articulation == "staccato" else 0.97
    bar = SIXTEENTHS_PER_BAR[METRES.index(attributes.metre)]
    accents = np.where(melody[0] % bar == 0, 104, np.where(melody[0] % 4 == 0, 96, 88))
    program = INSTRUMENTS[attributes.instrument]
    columns = [_columns(melody[0], melody[1] * touch, melody[2], accents, program)]
    if attributes.accompaniment is not None:
        figure = _accompany(moved, melody, tonic, attributes, length)
        touch = min(1.0, touch * 1.5) if attributes.texture in ("oompah", "arpeggio") else 1.0
        columns.append(
            _columns(figure[0], figure[1] * touch, figure[2], figure[3], INSTRUMENTS[attributes.accompaniment])
        )
    if attributes.drums:
        beat = np.array(textures.drum_beat(attributes.metre, length), float).T
        columns.append(_columns(beat[0], beat[1], beat[2], beat[3], DRUM_KIT))
    table = np.concatenate(columns, axis=1)
    table = table[:, (table[0] < length) & (table[0] >= 0)]
    velocity = np.clip(table[3] + rng.normal(0, 4, table.shape[1]), 1, 127)
    notes = NoteList(
        start=table[0] * sixteenth,
        duration=np.maximum(table[1] * sixteenth, 0.03),
        pitch=table[2].astype(int),
        velocity=velocity.astype(int),
        program=table[4].astype(int),
    )
    return Arrangement(notes, attributes, tonic, sixteenth, score.title, score.licence)


def _columns(onset, duration, pitch, velocity, program) -> np.ndarray:
    return np.stack([onset, duration, pitch, velocity, np.full(len(onset), program)]).astype(float)


def _excerpt(rng: np.random.Generator, score: Score, attributes: Attributes, length: int):
    """Notes of every voice that sound in ``length`` sixteenths from a random bar line, as (onset, duration, pitch) in sixteenths."""
    bar = SIXTEENTHS_PER_BAR[METRES.index(attributes.metre)]
    end = max(float((v[:, 0] + v[:, 1]).max()) for v in score.voices) * 4
    total = max(1, int(np.floor(end / bar + 1e-6))) * bar
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
        raise ValueError(f"{score.title!r} has no note in the bars from sixteenth {start} on; leave the tune out")
    return voices


def _place(voice, centre: float):
    """Shift a voice by octaves so that its mean pitch lies nearest to ``centre``."""
    onset, duration, pitch = voice
    return onset, duration, pitch + 12 * int(np.round((centre - pitch.mean()) / 12))


def _accompany(voices, melody, tonic: int, attributes: Attributes, length: int) -> np.ndarray:
    """Accompaniment ``[4, M]``: onset, duration (sixteenths), pitch, velocity."""
    if attributes.texture == "chorale":
        octave = melody[2][0] - voices[0][2][0]
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
