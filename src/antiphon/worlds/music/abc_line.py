"""One voice of ABC notation, from characters to notes and bar lines.

Durations are whole numbers of ticks, ``TICKS`` to a quarter note, so that triplets, quintuplets and
septuplets add up exactly. Grace notes, decorations, chord symbols, slurs and annotations are read over.
"""

import re
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache

import numpy as np

from antiphon.worlds.music.abc_fields import Signature, Unreadable
from antiphon.worlds.music.abc_repeats import Mark
from antiphon.worlds.music.score import rows

TICKS = 2**10 * 3**3 * 5 * 7

_SEMITONES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_SHIFT = {"^^": 2, "^": 1, "=": 0, "_": -1, "__": -2}
_LENGTH = r"\d{0,4}/{0,8}\d{0,4}"
_PITCH = r"(\^\^?|__?|=)?([A-Ga-g])([,']*)"
_INNER = re.compile(rf"{_PITCH}({_LENGTH})[ `]*(\.?-)?|\"[^\"]*\"|![^!]*!|[zx]{_LENGTH}|[H-Wh-w~.() `]")
# ``Hx|`` is no rest: there x only carries a mark that stands over the bar line.
_TOKEN = re.compile(
    rf"(?P<skip>[ \t`]+|[H-Wh-w~]x(?=\s*[|:])|[~.)]|[H-Wh-w]|y\d*|\\+|[#*;?@$]"
    rf"|\{{[^}}]*\}}|\"[^\"]*\"|![^!\s][^!]*!|\+[^+\s]+\+|!)"
    rf"|(?P<note>{_PITCH}({_LENGTH}))"
    rf"|(?P<bar>(?:[|:\]]|\[(?=[|\]]))+)(?P<pass>[ ]?\[?[1-9][0-9]?(?:[,\-][0-9]{{1,2}})*)?"
    rf"|(?P<broken><{{1,3}}|>{{1,3}})"
    rf"|(?P<tuplet>\((?P<p>[2-9])(?::(?P<q>\d{{0,2}}))?(?::(?P<r>\d{{0,2}}))?)"
    rf"|(?P<slur>\()"
    rf"|(?P<tie>-)"
    rf"|(?P<rest>[zx])(?P<rest_length>{_LENGTH})"
    rf"|(?P<bars>[ZX])(?P<bar_count>\d{{0,3}})"
    rf"|(?P<field>\[(?P<letter>[A-Za-z]):(?P<text>[^\]]*)\])"
    rf"|(?P<ending>\[[1-9][0-9]?(?:[,\-][0-9]{{1,2}})*)"
    rf"|(?P<chord>\[(?P<inner>(?:\"[^\"]*\"|[^\]\[|])*)\](?P<chord_length>{_LENGTH}))"
)


@lru_cache(maxsize=4096)
def length_factor(text: str) -> Fraction:
    """The factor of a length suffix: none 1, ``3`` 3, ``/`` 1/2, ``//`` 1/4, ``3/2`` 3/2; 0 for ``1/0``."""
    if "/" not in text:
        return Fraction(int(text)) if text else Fraction(1)
    top, bottom = text.split("/", 1)
    slashes = len(text) - len(text.replace("/", ""))
    digits = bottom.lstrip("/")
    below = int(digits) * 2 ** (slashes - 1) if digits else 2**slashes
    return Fraction(int(top or 1), below) if below else Fraction(0)


@lru_cache(maxsize=65536)
def _ticks(text: str, unit: Fraction, scale: Fraction) -> int:
    return round(4 * TICKS * unit * scale * length_factor(text))


class Line:
    """A voice being read: what was written so far, and what still holds for the next note.

    Attributes:
        events: ``(ticks, pitches, tied)`` for each note, chord or rest (no pitches) in written order;
            ``tied`` are the pitches held over into the next note.
        marks: the bar lines.
        bar_ticks: the length of each stretch between bar lines.
        opening: ticks in a full bar of the metre at the first note.
    """

    def __init__(self, signature: Signature, meter: tuple[int, int] | None, unit: Fraction) -> None:
        self.signature, self.meter, self.unit = signature, meter, unit
        self.opening = 0
        self.events: list[tuple[int, tuple[int, ...], tuple[int, ...]]] = []
        self.marks: list[Mark] = []
        self.bar_ticks: list[int] = []
        self._elapsed = 0
        self._accidentals: dict[tuple[str, int], int] = {}
        self._held: dict[tuple[str, int], int] = {}  # letters tied into the next note keep their pitch
        self._names: list[tuple[tuple[str, int], int]] = []  # letters of the latest note, for a tie after it
        self._broken = Fraction(1)
        self._tuplet = Fraction(1)
        self._tuplet_left = 0

    # -- notes ------------------------------------------------------------
    def _pitch(self, sign: str | None, letter: str, marks: str, column: int) -> int:
        upper = letter.upper()
        octave = (1 if letter != upper else 0) + marks.count("'") - marks.count(",")
        name = (upper, octave)
        if sign:
            bend = self._accidentals[name] = _SHIFT[sign]
        elif name in self._held:
            bend = self._held[name]
        else:
            bend = self._accidentals.get(name, self.signature.alterations.get(upper, 0))
        pitch = 60 + 12 * octave + _SEMITONES[upper] + bend + self.signature.shift
        if not 0 <= pitch <= 127:
            raise Unreadable(
                f"the note {letter}{marks} is outside MIDI 0 to 127", "take away octave marks", column
            )
        self._names.append((name, bend))
        return pitch

    def _add(
        self, length: str, factor: Fraction, pitches: tuple[int, ...], tied: tuple[int, ...], column: int
    ) -> None:
        scale = factor * self._broken
        if self._tuplet_left:
            scale *= self._tuplet
            self._tuplet_left -= 1
        self._broken = Fraction(1)
        ticks = _ticks(length, self.unit, scale)
        if ticks <= 0:
            raise Unreadable(f"the length {length!r} is zero", "write a positive number", column)
        if not self.events:
            self.opening = self.full_bar()
        self.events.append((ticks, pitches, tied))
        self._elapsed += ticks

    def _chord(self, inner: str, length: str, column: int) -> None:
        pitches: list[int] = []
        tied: list[int] = []
        first, position = "", 0
        while position < len(inner):
            match = _INNER.match(inner, position)
            if match is None:
                raise Unreadable(
                    f"{inner[position]!r} inside the chord [{inner}] cannot be read",
                    "write notes only between [ and ]",
                    column + 1 + position,
                )
            if match[2]:
                pitches.append(self._pitch(match[1], match[2], match[3], column + 1 + position))
                first = match[4] if len(pitches) == 1 else first
                if match[5]:
                    tied.append(pitches[-1])
            position = match.end()
        if not pitches:
            raise Unreadable(
                f"the chord [{inner}] has no note", "write at least one note between [ and ]", column
            )
        self._held = {name: bend for (name, bend), p in zip(self._names, pitches, strict=True) if p in tied}
        self._add(length, length_factor(first), tuple(sorted(set(pitches))), tuple(tied), column)

    def _tie(self) -> None:
        if self.events and self.events[-1][1]:
            ticks, pitches, _ = self.events[-1]
            self.events[-1] = (ticks, pitches, pitches)
            self._held = dict(self._names)

    def _lengthen_last(self, sign: str, column: int) -> None:
        """Broken rhythm: ``a>b`` dotted, halved; ``a>>b`` double dotted, quartered; ``<`` the other way."""
        if not self.events:
            raise Unreadable(
                f"{sign} has no note ahead of it", "write it between two notes, as in A>B", column
            )
        short = Fraction(1, 2 ** len(sign))
        here, there = (2 - short, short) if sign[0] == ">" else (short, 2 - short)
        ticks, pitches, tied = self.events[-1]
        changed = round(ticks * here)
        if changed <= 0:
            raise Unreadable(
                f"{sign} leaves the note ahead of it no length", "take some of the signs away", column
            )
        self._elapsed += changed - ticks
        self.events[-1] = (changed, pitches, tied)
        self._broken = there

    # -- bars ------------------------------------------------------------
    def _bar(self, text: str, passes: str | None) -> None:
        self._accidentals = {}
        self.bar_ticks.append(self._elapsed)
        self._elapsed = 0
        body = text.replace("[|]", "|")
        if body in ("|:|", "|::|"):  # | and :| run together, as some books print the end of a repeat
            body = body[1:]
        before = len(body) - len(body.lstrip("]:"))
        before = body[:before].count(":")
        after = body[len(body.rstrip(":[")) :].count(":")
        if "|" not in body:  # :: is both
            before, after = (body.count(":") + 1) // 2, body.count(":") // 2
        double = "||" in body or "|]" in body or "[|" in body
        ending = _passes(passes) if passes else ()
        self.marks.append(Mark(len(self.events), True, before, after > 0, double, ending))

    def part(self, label: str) -> None:
        """A new part, ``P:A``."""
        self.marks.append(Mark(len(self.events), line=False, part=label))

    def full_bar(self) -> int:
        """Ticks in a bar of the present metre (4/4 where there is none)."""
        top, bottom = self.meter or (4, 4)
        return 4 * TICKS * top // bottom

    # -- text ------------------------------------------------------------
    def read(self, text: str, position: int) -> tuple[str, str, int] | None:
        """Read music from ``position`` up to the end or to an inline field.

        Returns:
            None at the end of ``text``; else the field's letter and text and the position after it.

        Raises:
            Unreadable: at the first character that is no ABC.
        """
        match = _TOKEN.match
        while position < len(text):
            token = match(text, position)
            if token is None or token.end() == position:
                raise _unreadable(text, position)
            kind = token.lastgroup
            if token["skip"] is not None or kind == "slur":
                pass
            elif token["note"] is not None:
                _, _, sign, letter, marks, length = token.group(0, "note", 3, 4, 5, 6)
                self._names = []
                pitch = self._pitch(sign, letter, marks, position)
                self._held = {}
                self._add(length, Fraction(1), (pitch,), (), position)
            elif token["bar"] is not None:
                self._bar(token["bar"], token["pass"])
            elif kind == "broken":
                self._lengthen_last(token["broken"], position)
            elif kind == "tie":
                self._tie()
            elif token["tuplet"] is not None:
                self._begin_tuplet(token["p"], token["q"], token["r"], position)
            elif token["rest"] is not None:
                self._held = {}
                self._add(token["rest_length"], Fraction(1), (), (), position)
            elif token["bars"] is not None:
                self._rest_bars(int(token["bar_count"] or 1))
            elif token["field"] is not None:
                return token["letter"], token["text"], token.end()
            elif kind == "ending":
                self.marks.append(Mark(len(self.events), line=False, endings=_passes(token["ending"])))
            else:
                self._names = []
                self._chord(token["inner"], token["chord_length"], position)
            position = token.end()
        return None

    def _rest_bars(self, count: int) -> None:
        if not self.events:
            self.opening = self.full_bar()
        for i in range(count):
            self.events.append((self.full_bar(), (), ()))
            self._elapsed += self.full_bar()
            if i < count - 1:
                self._bar("|", None)

    def _begin_tuplet(self, p_text: str, q_text: str | None, r_text: str | None, column: int) -> None:
        p = int(p_text)
        compound = self.meter is not None and self.meter[1] == 8 and self.meter[0] in (6, 9, 12)
        n = 3 if compound else 2
        q = int(q_text) if q_text else {2: 3, 3: 2, 4: 3, 5: n, 6: 2, 7: n, 8: 3, 9: n}[p]
        if q == 0:
            raise Unreadable("a tuplet in the time of 0 notes", "write (p:q:r with q of at least 1", column)
        self._tuplet = Fraction(q, p)
        self._tuplet_left = int(r_text) if r_text else p


def _passes(text: str) -> tuple[int, ...]:
    """The numbers of an ending: ``1``, ``1,3``, ``1-3``."""
    numbers: list[int] = []
    for part in re.findall(r"\d+(?:-\d+)?", text):
        low, _, high = part.partition("-")
        numbers.extend(range(int(low), min(int(high or low), 20) + 1))
    return tuple(sorted({n for n in numbers if 0 < n <= 20})) or (1,)


def _unreadable(text: str, column: int) -> Unreadable:
    sign = text[column]
    if sign == "&":
        return Unreadable("voice overlay & is not read", "write the second voice as V:2", column)
    if sign in "^_=":
        wrong = f"the accidental {text[column : column + 2]!r} has no note (quarter tones are not read)"
        return Unreadable(wrong, "write it directly in front of the note, as in ^f", column)
    if sign in '"{[':
        closing = {'"': '"', "{": "}", "[": "]"}[sign]
        return Unreadable(f"{sign} is never closed on this line", f"add {closing}", column)
    return Unreadable(f"{sign!r} is no ABC", "take it away, or put it into quotes if it is a remark", column)


def sounded(
    events: Sequence[tuple[int, tuple[int, ...], tuple[int, ...]]],
    order: Sequence[tuple[int, int]],
    start: int,
) -> np.ndarray | None:
    """Notes ``[N, 3]`` of events played in ``order`` from tick ``start``, ties joined; None without notes.

    A tie to a note of another pitch is a slur and joins nothing.
    """
    onsets: list[int] = []
    durations: list[int] = []
    pitches: list[int] = []
    held: dict[int, int] = {}  # pitch -> its row
    now = start
    for first, past in order:
        for ticks, chord, tied in events[first:past]:
            holding: dict[int, int] = {}
            for pitch in chord:
                row = held.get(pitch)
                if row is None:
                    row = len(onsets)
                    onsets.append(now)
                    durations.append(ticks)
                    pitches.append(pitch)
                else:
                    durations[row] += ticks
                if pitch in tied:
                    holding[pitch] = row
            held = holding
            now += ticks
    if not onsets:
        return None
    return rows(np.asarray(onsets) / TICKS, np.asarray(durations) / TICKS, pitches)
