"""What a clip is: the attributes a caption speaks of, and which combinations are held out from training."""

import zlib
from dataclasses import dataclass, fields

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
"""On the frame grid one sixteenth note lasts this many token frames of 40 ms: 62.5, 75, 93.75 and 125 quarter notes a minute."""

METRES = ("common", "waltz", "jig")
SIXTEENTHS_PER_BAR = (16, 12, 12)
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

    ``accompaniment`` is None when nothing but the lead instrument plays. Every field takes one of the values of this module.

    Raises:
      ValueError: a field has a value that does not exist; the sentence lists those that do.
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
                raise ValueError(f"attribute {field.name} is {value!r}; it must be one of {known}")

    @property
    def plan(self) -> tuple[int, int]:
        """Indices of tempo and metre: what fixes the beat grid."""
        return TEMPI.index(self.tempo), METRES.index(self.metre)

    @property
    def held_out(self) -> bool:
        """True for the twelfth of (instrument, tempo, mode, texture) combinations that training never sees."""
        name = f"{self.instrument}/{self.tempo}/{self.mode}/{self.texture}"
        return zlib.crc32(name.encode()) % 12 == 0

