"""What a clip is: the attributes a caption speaks of, and which combinations are held out from training."""

import zlib
from dataclasses import dataclass, fields

from antiphon.core.errors import UserError

INSTRUMENTS = {
    "piano": 0,
    "harpsichord": 6,
    "guitar": 24,
    "harp": 46,
    "violin": 40,
    "strings": 48,
    "flute": 73,
    "choir": 52,
    "synth": 81,
    "sitar": 104,
}
"""Lead and accompanying instruments with their General MIDI program (counted from 0)."""

TEMPI = ("slow", "moderate", "lively", "fast")
FRAMES_PER_SIXTEENTH = (6, 5, 4, 3)
"""Token frames of 40 ms per sixteenth note by tempo: 62.5, 75, 93.75 and 125 quarter notes a minute."""

METRES = ("common", "waltz", "jig")
SIXTEENTHS_PER_BAR = (16, 12, 12)
"""By metre."""
MODES = ("major", "minor")
REGISTERS = ("low", "middle", "high")
TEXTURES = ("solo", "chords", "oompah", "arpeggio", "drone", "chorale")
ARTICULATIONS = ("legato", "staccato")

_VALUES = {
    "instrument": tuple(INSTRUMENTS),
    "tempo": TEMPI,
    "mode": MODES,
    "metre": METRES,
    "register": REGISTERS,
    "texture": TEXTURES,
    "accompaniment": (None, *INSTRUMENTS),
    "drums": (False, True),
    "articulation": ARTICULATIONS,
}


@dataclass(frozen=True)
class Attributes:
    """The true attributes of a clip.

    Every field takes one of the values of this module.

    Attributes:
      instrument: of the tune, a key of :data:`INSTRUMENTS`.
      tempo: of :data:`TEMPI`.
      mode: of :data:`MODES`.
      metre: of :data:`METRES`.
      register: of :data:`REGISTERS`, relative to what is usual for the instrument.
      texture: of :data:`TEXTURES`.
      accompaniment: its instrument, None when nothing but the tune is played.
      drums: whether a drum kit plays along.
      articulation: of the tune, of :data:`ARTICULATIONS`.

    Raises:
      UserError: a field has a value that does not exist (the sentence lists those that do), a solo has an
        accompaniment, or something else has none.
    """

    instrument: str
    tempo: str
    mode: str
    metre: str
    register: str
    texture: str
    accompaniment: str | None
    drums: bool
    articulation: str

    def __post_init__(self):
        """Check every field."""
        for field in fields(self):
            value = getattr(self, field.name)
            if value not in _VALUES[field.name]:
                known = ", ".join(str(v) for v in _VALUES[field.name])
                raise UserError("field", f"attribute {field.name} is {value!r}", f"choose one of {known}")
        if (self.texture == "solo") != (self.accompaniment is None):
            raise UserError(
                "field",
                f"texture {self.texture!r} goes with accompaniment {self.accompaniment!r}",
                "give accompaniment None to a solo and an instrument to every other texture",
            )

    @property
    def plan(self) -> tuple[int, int]:
        """Indices of tempo and metre: what fixes the beat grid."""
        return TEMPI.index(self.tempo), METRES.index(self.metre)

    @property
    def held_out(self) -> bool:
        """Whether this (instrument, tempo, mode, texture) is one of the 33 of 480 training never sees."""
        name = f"{self.instrument}/{self.tempo}/{self.mode}/{self.texture}"
        return zlib.crc32(name.encode()) % 12 == 0


def sixteenths_per_bar(metre: str) -> int:
    """Sixteenth notes in a bar of a metre."""
    return SIXTEENTHS_PER_BAR[METRES.index(metre)]


def frames_per_sixteenth(tempo: str) -> int:
    """Token frames in a sixteenth note at a tempo, on the frame grid."""
    return FRAMES_PER_SIXTEENTH[TEMPI.index(tempo)]
