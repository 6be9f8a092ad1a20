"""The order in which a written line with repeats and endings is played.

ABC standard 2.1, sections 4.8 to 4.10: an end repeat without a start goes back to the latest end repeat or
double bar, or to the beginning. *Da capo* and *dal segno* words are not followed.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Mark:
    """A bar line, seen from the order of play.

    Attributes:
        position: number of notes and rests written before it.
        line: whether a bar line is drawn (an ending ``[2`` or a part label alone is none).
        back: how many times the music before it is repeated, 1 for ``:|``, 2 for ``::|``, 0 for none.
        start: whether a repeat begins here, ``|:``.
        double: whether it closes a section, ``||`` or ``|]``.
        endings: the passes on which the music after it is played, ``(1,)`` for ``|1``; empty for all.
        part: the label of the part that begins here, or None.
    """

    position: int
    line: bool = True
    back: int = 0
    start: bool = False
    double: bool = False
    endings: tuple[int, ...] = ()
    part: str | None = None


def merged(marks: Sequence[Mark]) -> list[Mark]:
    """Marks with no music between them made one, so that ``:|`` at a line's end meets ``|2`` on the next."""
    out: list[Mark] = []
    for mark in marks:
        if out and out[-1].position == mark.position:
            last = out[-1]
            out[-1] = Mark(
                mark.position,
                last.line or mark.line,
                max(last.back, mark.back),
                last.start or mark.start,
                last.double or mark.double,
                mark.endings or last.endings,
                mark.part or last.part,
            )
        else:
            out.append(mark)
    return out


def playing_order(marks: Sequence[Mark], count: int, order: str | None = None) -> list[tuple[int, int]]:
    """Half-open ranges of the ``count`` written events in the order they are played.

    Args:
        marks: the bar lines by position.
        count: number of events.
        order: labels of the parts in playing order (``"ABA"``); followed only if every label was written.
    """
    marks = merged(marks)
    labelled = [mark for mark in marks if mark.part]
    if not order or not labelled or not set(order) <= {str(mark.part) for mark in labelled}:
        return _section(marks, 0, count)
    stops = [mark.position for mark in labelled[1:]] + [count]
    parts = {str(mark.part): (mark.position, stop) for mark, stop in zip(labelled, stops, strict=True)}
    ranges = _section(marks, 0, labelled[0].position)
    for label in order:
        ranges += _section(marks, *parts[label])
    return ranges


def _section(marks: Sequence[Mark], begin: int, end: int) -> list[tuple[int, int]]:
    """The order of play of the events ``begin`` to ``end``, whose repeats do not reach outside."""
    ranges: list[tuple[int, int]] = []
    start, explicit = begin, False
    variants: list[
        tuple[tuple[int, ...], int, int]
    ] = []  # endings heard so far: passes, first event, one past last
    opened: tuple[tuple[int, ...], int] | None = None  # the ending being written

    def close(at: int) -> None:
        """Play the section with its endings, and begin a new one."""
        nonlocal start, explicit, opened, variants
        if opened is not None:
            variants.append((opened[0], opened[1], at))
        if variants:
            body = (start, variants[0][1])
            last = max(max(passes) for passes, _, _ in variants)
            if len(variants) == 1:  # a first ending alone: the second time round it is left out
                last += 1
            for count in range(1, last + 1):
                ranges.append(body)
                ranges.extend((first, past) for passes, first, past in variants if count in passes)
        else:
            ranges.append((start, at))
        start, explicit, opened, variants = at, False, None, []

    for mark in marks:
        at = mark.position
        if not begin <= at <= end:
            continue
        used = {count for passes, _, _ in variants for count in passes} | set(opened[0] if opened else ())
        if opened is not None and mark.endings and not used & set(mark.endings):
            variants.append((opened[0], opened[1], at))
            opened = (mark.endings, at)
            continue
        if opened is not None:
            last_ending = bool(variants)
            if mark.back or mark.start or mark.endings or (mark.double and last_ending):
                close(at)
        elif mark.back:
            ranges.extend([(start, at)] * mark.back)
            close(at)
        elif mark.start or (mark.double and not explicit):
            close(at)
        if mark.start:
            start, explicit = at, True
        if mark.endings and at < end:
            opened = (mark.endings, at)
    close(end)
    return [(a, b) for a, b in ranges if a < b]
