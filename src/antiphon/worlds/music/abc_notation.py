"""Tunes and tune books in ABC notation, read into scores.

Read: X T M L K R Q V P I fields, key signatures with modes and explicit accidentals, accidentals that hold
to the bar line, lengths, rests, ties, broken rhythm, tuplets, double stops, inline fields, several voices;
repeats, endings and parts (``P:ABA``) are written out. Read over: slurs, grace notes, decorations, chord
symbols, lyrics, remarks. Not read, and said
so: voice overlay, quarter tones. *Da capo* words are not followed.

Source: the ABC standard 2.1 (abcnotation.com/wiki/abc:standard:v2.1).
"""

import re
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from antiphon.core.errors import UserError
from antiphon.worlds.music.abc_fields import (
    Signature,
    Unreadable,
    default_unit,
    parse_key,
    parse_meter,
    parse_order,
    parse_tempo,
    parse_unit,
)
from antiphon.worlds.music.abc_line import Line, sounded
from antiphon.worlds.music.abc_repeats import playing_order
from antiphon.worlds.music.score import Score

_FIELD = re.compile(r"([A-Za-z+]):(?![|:\]])")
_COMMENT = re.compile(r"(?<!\\)%.*")
_REMARKS = frozenset("HNZBS")  # fields whose text old books run over several lines


class AbcError(UserError):
    """A tune that cannot be read.

    Attributes:
        where: the file or book, as the caller named it.
        tune: its X: number, "" if it has none.
        title: its first title, "" if it has none.
        line: line in the book, from 1.
        column: column in the line, from 1.
        problem: what is wrong there.
    """

    def __init__(
        self, where: str, tune: str, title: str, line: int, column: int, problem: str, mend: str
    ) -> None:
        name = f"tune {tune}" if tune else "the tune without X:"
        name += f" {title!r}" if title else ""
        super().__init__("abc", f"{where}:{line}:{column}: {name}: {problem}", mend)
        self.args = (where, tune, title, line, column, problem, mend)
        self.where, self.tune, self.title = where, tune, title
        self.line, self.column, self.problem = line, column, problem


@dataclass(frozen=True)
class Book:
    """What a tune book held: the tunes that could be read, and one error for each that could not."""

    scores: tuple[Score, ...]
    errors: tuple[AbcError, ...]


def parse_tune(
    text: str, source: str = "", licence: str = "", where: str = "abc", repeats: bool = True
) -> Score:
    """The score of one tune.

    Args:
        text: the tune, from its ``X:`` (which may be missing) to its last bar.
        source: collection identifier put into the score.
        licence: licence put into the score.
        where: name of the file for error messages.
        repeats: whether repeats, endings and parts are written out; without, everything once as printed.

    Raises:
        AbcError: when it cannot be read, or ``text`` holds more than one tune.
    """
    tunes, header = _tunes(text)
    if len(tunes) > 1:
        second = tunes[1][0][0]
        raise AbcError(
            where, "", "", second, 1, f"{len(tunes)} tunes where one is expected", "read it with parse_book"
        )
    lines = tunes[0] if tunes else [(i + 1, line) for i, line in enumerate(text.splitlines())]
    return _parse(lines, header if tunes else {}, source, licence, where, repeats)


def parse_book(
    text: str, source: str = "", licence: str = "", where: str = "abc", repeats: bool = True
) -> Book:
    """Every tune of a book, in order; tunes that cannot be read become errors and stop nothing.

    Args: as for ``parse_tune``.
    """
    scores: list[Score] = []
    errors: list[AbcError] = []
    tunes, header = _tunes(text)
    for lines in tunes:
        try:
            scores.append(_parse(lines, header, source, licence, where, repeats))
        except AbcError as error:
            errors.append(error)
    if not tunes:
        errors.append(AbcError(where, "", "", 1, 1, "no tune found", "begin each tune with a line X:1"))
    return Book(tuple(scores), tuple(errors))


def _tunes(text: str) -> tuple[list[list[tuple[int, str]]], dict[str, tuple[int, str]]]:
    """Numbered lines of each tune, and the fields ahead of the first one, which hold for all tunes."""
    tunes: list[list[tuple[int, str]]] = []
    shared: dict[str, tuple[int, str]] = {}
    current: list[tuple[int, str]] | None = None
    hidden = False  # between %%begintext and %%endtext, or the like
    for number, raw in enumerate(text.removeprefix("\ufeff").splitlines(), start=1):
        if raw.startswith(("%%begin", "%%end")):
            hidden = raw.startswith("%%begin")
        if hidden or raw.startswith("%"):
            continue
        line = _COMMENT.sub("", raw).rstrip()
        if line.startswith("X:"):
            current = [(number, line)]
            tunes.append(current)
        elif not raw.strip():  # an empty line ends a tune; some books leave one inside the header
            current = None if current and any(above.startswith("K:") for _, above in current) else current
        elif current is not None:
            current.append((number, line))
        elif not tunes and (match := _FIELD.match(line)):
            shared.setdefault(match[1], (number, line[2:].strip()))
    return tunes, shared


def _parse(
    numbered: list[tuple[int, str]],
    shared: dict[str, tuple[int, str]],
    source: str,
    licence: str,
    where: str,
    repeats: bool,
) -> Score:
    fields, body, strays = _header(numbered)
    fields = shared | fields

    def text(letter: str, default: str = "") -> str:
        return fields.get(letter, (0, default))[1]

    def error(line: int, column: int, problem: str, mend: str) -> AbcError:
        return AbcError(where, text("X"), text("T"), line, column, problem, mend)

    first = numbered[0][0] if numbered else 1
    if strays:
        raise error(
            strays[0][0], 1, f"{strays[0][1][:30]!r} stands above the K: field", "write K: before the music"
        )
    if "K" not in fields:
        raise error(first, 1, "there is no K: field", "write K: (for example K:G) above the music")
    letter = "M"
    try:
        meter = parse_meter(text("M", "4/4"))
        letter = "L"
        unit = parse_unit(text("L")) if text("L") else default_unit(meter)
        letter = "Q"
        tempo = parse_tempo(text("Q"), unit)
        letter = "K"
        signature = parse_key(text("K"))
    except Unreadable as problem:
        raise error(fields[letter][0], 1, problem.problem, problem.mend) from None
    voices = _Voices(signature, meter, unit)
    for number, line in body:
        try:
            voices.read(line)
        except Unreadable as problem:
            raise error(number, problem.column + 1, problem.problem, problem.mend) from None
    order = parse_order(text("P")) if repeats else None
    lines = [line for line in voices.lines.values() if line.events]
    begin = -_pickup(lines[0]) if lines else 0
    arrays = [array for line in lines if (array := _voice(line, begin, order, repeats)) is not None]
    if not arrays:
        raise error(first, 1, "there are no notes", "write music below the K: field")
    opening = voices.opening or (4, 4)
    return Score(text("T"), source, licence, signature.key, opening, text("R").lower(), tuple(arrays), tempo)


def _header(
    lines: list[tuple[int, str]],
) -> tuple[dict[str, tuple[int, str]], list[tuple[int, str]], list[tuple[int, str]]]:
    """Fields up to K: (the first of each letter, with its line), the lines below, lines that are no field."""
    fields: dict[str, tuple[int, str]] = {}
    strays: list[tuple[int, str]] = []
    latest = ""
    for index, (number, line) in enumerate(lines):
        match = _FIELD.match(line)
        if match is not None:
            latest = match[1]
            fields.setdefault(latest, (number, line[2:].strip()))
            if latest == "K":
                return fields, lines[index + 1 :], strays
        elif line.strip() and latest not in _REMARKS:
            strays.append((number, line))
    return fields, [], strays


class _Voices:
    """The body of a tune being read: its voices by name, and which of them is being written.

    Attributes:
        lines: the voices in the order they begin.
        opening: the metre in force at the first note, None where it is free.
    """

    def __init__(self, signature: Signature, meter: tuple[int, int] | None, unit: Fraction) -> None:
        self._new = lambda: Line(signature, meter, unit)
        self._current = self._new()
        self.lines = {"": self._current}
        self.opening = meter

    def read(self, text: str) -> None:
        """Read one line of the body: a field, or music with inline fields."""
        match = _FIELD.match(text)
        if match is not None:
            self._field(match[1], text[2:].strip())
            return
        column = 0
        while (field := self._current.read(text, column)) is not None:
            try:
                self._field(field[0], field[1].strip())
            except Unreadable as problem:
                raise Unreadable(problem.problem, problem.mend, column=field[2] - 1) from None
            column = field[2]

    def _field(self, letter: str, text: str) -> None:
        line = self._current
        if letter == "V":
            name = text.split()[0] if text else ""
            self._current = self.lines.setdefault(name, self._new())
        elif letter == "K" and text:
            line.signature = parse_key(text)
        elif letter == "L":
            line.unit = parse_unit(text)
        elif letter == "M":
            line.meter = parse_meter(text)
            if not any(other.events for other in self.lines.values()):
                self.opening = line.meter
        elif letter == "P" and text:
            line.part(text[0])


def _pickup(line: Line) -> int:
    """Ticks ahead of the first full bar line."""
    stretches = [ticks for ticks in line.bar_ticks if ticks]
    if not stretches or stretches[0] >= line.opening:
        return 0
    if len(stretches) > 3 and 2 * stretches.count(stretches[0]) > len(stretches):
        return 0  # most bars are as short as the first: the metre is misprinted
    return stretches[0]


def _voice(line: Line, begin: int, order: str | None, repeats: bool) -> np.ndarray | None:
    """The notes of one voice in the order they are played, from tick ``begin``."""
    count = len(line.events)
    ranges = playing_order(line.marks, count, order) if repeats else [(0, count)]
    return sounded(line.events, ranges, begin)
