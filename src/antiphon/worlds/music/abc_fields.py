"""The header fields of ABC notation: key, metre, unit length, tempo, order of parts.

Every function takes the text after the ``X:`` and raises ``Unreadable`` with what is wrong and the mend.
Source: the ABC standard 2.1, sections 3 and 4 (abcnotation.com/wiki/abc:standard:v2.1).
"""

import re
from dataclasses import dataclass
from fractions import Fraction

from antiphon.worlds.music.score import Key

_FIFTHS = {"F": -1, "C": 0, "G": 1, "D": 2, "A": 3, "E": 4, "B": 5}
_SEMITONES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_MODES = {
    "maj": ("major", 0),
    "ion": ("major", 0),
    "m": ("minor", -3),
    "min": ("minor", -3),
    "aeo": ("minor", -3),
    "dor": ("dorian", -2),
    "phr": ("phrygian", -4),
    "lyd": ("lydian", 1),
    "mix": ("mixolydian", -1),
    "loc": ("locrian", -5),
}
_KEY = re.compile(r"\s*([A-G])([#b]?)(?:\s*([A-Za-z]+))?")
_ACCIDENTAL = re.compile(r"(\^\^|\^|__|_|=)([A-Ga-g])")
_SHIFT = {"^^": 2, "^": 1, "=": 0, "_": -1, "__": -2}
_OPTION = re.compile(r"\b(octave|transpose)\s*=\s*([+-]?\d+)")
_DISPLAY = re.compile(r"\b(?:clef|middle|octave|transpose|stafflines|style)\s*=\s*\S+")
# Words that may follow the tonic without being a mode: clefs and options.
_NO_MODES = ("tre", "alt", "ten", "bas", "per", "non", "cle", "oct", "tra", "sta", "mid")
_FRACTION = re.compile(r"(\d+)\s*/\s*(\d+)")


class Unreadable(ValueError):
    """Text that is no ABC: ``problem`` is what is wrong, ``mend`` the cure, ``column`` where (from 0)."""

    def __init__(self, problem: str, mend: str, column: int = 0) -> None:
        super().__init__(problem, mend, column)
        self.problem, self.mend, self.column = problem, mend, column


@dataclass(frozen=True)
class Signature:
    """What a ``K:`` field says: the key, and how it alters written notes.

    Attributes:
        key: tonic and mode; C major for ``K:none``.
        alterations: semitones for each altered letter, ``{"F": 1, "C": 1}``.
        shift: semitones added to every note (``octave=``, ``transpose=``).
    """

    key: Key
    alterations: dict[str, int]
    shift: int = 0


def parse_key(text: str) -> Signature:
    """The signature of a ``K:`` field: ``F#m``, ``E Dorian``, ``Dmix =c``, ``D exp _b ^f``, ``HP``, ``none``.

    The case of the mode means nothing: ``EM`` is E minor, as ``Em`` is.
    """
    text = text.strip()
    shift = sum(int(n) * (12 if name == "octave" else 1) for name, n in _OPTION.findall(text))
    text = _DISPLAY.sub("", text)
    local = {letter.upper(): _SHIFT[sign] for sign, letter in _ACCIDENTAL.findall(text)}
    head = text.split()[0].lower() if text else ""
    if head in ("", "none") or head.startswith(("^", "_", "=")):
        return Signature(Key(0, "major"), local, shift)
    if head == "hp":  # Highland bagpipes: F and C sharp, printed (Hp) or not (HP), around the chanter's A
        return Signature(Key(9, "mixolydian"), {"F": 1, "C": 1, **local}, shift)
    match = _KEY.match(text)
    if match is None:
        raise Unreadable(
            f"the key {text!r} has no tonic", "write K: with a letter A to G first, as in K:G or K:F#m"
        )
    letter, sign, word = match.groups()
    mode, turn = "major", 0
    word = word or ""
    explicit = word.lower() == "exp"
    if word and not explicit and not word.lower().startswith(_NO_MODES):
        name = word.lower()[:3]
        if name not in _MODES:
            raise Unreadable(
                f"the mode {word!r} of the key {text!r} is unknown",
                "write maj, m, min, dor, phr, lyd, mix, loc, aeo or ion after the tonic",
            )
        mode, turn = _MODES[name]
    bend = {"#": 1, "b": -1, "": 0}[sign]
    tonic = (_SEMITONES[letter] + bend + shift) % 12
    signature = {} if explicit else _alterations(_FIFTHS[letter] + 7 * bend + turn)
    return Signature(Key(tonic, mode), signature | local, shift)


def _alterations(fifths: int) -> dict[str, int]:
    """Letters altered by so many sharps (positive) or flats (negative); beyond 7 they double."""
    order = "FCGDAEB" if fifths >= 0 else "BEADGCF"
    step = 1 if fifths >= 0 else -1
    altered: dict[str, int] = {}
    for i in range(abs(fifths)):
        altered[order[i % 7]] = altered.get(order[i % 7], 0) + step
    return altered


def parse_meter(text: str) -> tuple[int, int] | None:
    """Numerator and denominator of an ``M:`` field (``C|``, ``6/8``, ``(2+3)/8``); None for ``none``."""
    text = text.strip()
    if text.lower() in ("", "none"):
        return None
    if text.upper() in ("C", "C|"):
        return (4, 4) if text.upper() == "C" else (2, 2)
    match = re.fullmatch(r"\(?\s*(\d+(?:\s*\+\s*\d+)*)\s*\)?\s*/\s*(\d+)", text)
    if match:
        top = sum(int(part) for part in match[1].split("+"))
        bottom = int(match[2])
        if top > 0 and bottom > 0 and bottom & (bottom - 1) == 0:
            return top, bottom
    raise Unreadable(f"the metre {text!r} cannot be read", "write M: as in M:6/8, M:C, M:C| or M:none")


def parse_unit(text: str) -> Fraction:
    """The unit note length of an ``L:`` field as a part of a whole note."""
    text = text.strip()
    match = _FRACTION.fullmatch(text)
    if match and int(match[1]) > 0 and int(match[2]) > 0:
        return Fraction(int(match[1]), int(match[2]))
    if text == "1":
        return Fraction(1)
    raise Unreadable(f"the unit note length {text!r} cannot be read", "write L: as in L:1/8")


def default_unit(meter: tuple[int, int] | None) -> Fraction:
    """The unit where no ``L:`` stands: 1/16 when the metre as a number is below 3/4, else 1/8."""
    return Fraction(1, 16) if meter is not None and Fraction(*meter) < Fraction(3, 4) else Fraction(1, 8)


def parse_tempo(text: str, unit: Fraction) -> float | None:
    """Quarter notes per minute of a ``Q:`` field (``3/8=120``, or ``120`` units); None for words only."""
    text = re.sub(r'"[^"]*"', "", text).strip()
    if not text:
        return None
    beat, equals, number = text.rpartition("=")
    if not re.fullmatch(r"\d+(?:\.\d+)?", number.strip()):
        raise Unreadable(f"the tempo {text!r} cannot be read", "write Q: as in Q:1/4=120")
    parts = [Fraction(int(top), int(bottom)) for top, bottom in _FRACTION.findall(beat) if int(bottom)]
    length = sum(parts, Fraction(0)) if equals and parts else unit
    return float(number) * float(4 * length) or None


def parse_order(text: str) -> str | None:
    """The parts in playing order of a header's ``P:`` (``ABA`` or ``A.B.A``); None if it is no order.

    ``A2`` and ``(AB)3`` are written out.
    """
    text = re.sub(r"[\s.]", "", text)
    if not re.fullmatch(r"(?:[A-Z()]|(?<=[A-Z)])[0-9]{1,2}(?![0-9]))+", text):
        return None
    while (match := re.search(r"\(([A-Z0-9]*)\)(\d*)", text)) is not None:
        inner = re.sub(r"([A-Z])(\d+)", lambda m: m[1] * int(m[2]), match[1])
        text = text[: match.start()] + inner * int(match[2] or 1) + text[match.end() :]
        if len(text) > 1000:
            return None
    text = re.sub(r"([A-Z])(\d+)", lambda m: m[1] * int(m[2]), text)
    return text if re.fullmatch(r"[A-Z]+", text) and len(text) <= 100 else None
