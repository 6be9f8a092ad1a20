"""The table a report opens with: each claim, the paper's figure, ours with its interval, the verdict."""

import math
import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from antiphon.report.scale import linear, number
from antiphon.train.findings import Finding

_ARXIV = re.compile(r"(?:arXiv[: ]\s*)?(\d{4}\.\d{4,5})", re.IGNORECASE)
_HEADS = ("Claim", "Paper", "Measured here", "Verdict", "Note")


def findings_html(findings: Sequence[Finding]) -> str:
    """The findings as a table that becomes a list of cards on a phone.

    The cards are no table to a browser's layout, so the roles are spelled out for screen readers.
    """
    if not findings:
        return (
            '<p class="note">This run has not come to its findings: it was stopped, or is still going on.</p>'
        )
    head = "".join(f'<th scope="col" role="columnheader">{name}</th>' for name in _HEADS)
    rows = "".join(_row(finding) for finding in findings)
    table = (
        f'<table class="findings" role="table"><thead><tr role="row">{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table>"
    )
    if not any(_drawable(finding) for finding in findings):
        return table
    return table + (
        '<p class="note key"><span><b class="dot"></b>measured here</span>'
        '<span><b class="reach"></b>its interval</span>'
        '<span><b class="upright"></b>the paper’s figure</span></p>'
    )


def verdict(holds: bool | None) -> str:
    """The verdict in words."""
    return "not tested" if holds is None else "holds" if holds else "does not hold"


def summary(findings: Sequence[Finding]) -> str:
    """How many claims hold, do not, and were not tested, in words."""
    held, failed, untested = (
        sum(finding.holds is holds for finding in findings) for holds in (True, False, None)
    )
    words = [f"{held} of {len(findings)} claims hold"]
    words += [f"{failed} {'does' if failed == 1 else 'do'} not"] if failed else []
    words += [f"{untested} not tested"] if untested else []
    return ", ".join(words)


def _row(finding: Finding) -> str:
    sign, css = {True: ("✓", "holds"), False: ("✗", "fails"), None: ("○", "open")}[finding.holds]
    source = f'<span class="source">{linked(finding.source)}</span>'
    return (
        f'<tr role="row" id="finding-{escape(finding.id)}">'
        f'<th scope="row" role="rowheader">{escape(finding.claim)}{source}</th>'
        f'<td role="cell" data-label="Paper"><div>{value_html(finding.expected)}</div></td>'
        f'<td role="cell" data-label="Measured here"><div>{_measured(finding)}</div></td>'
        f'<td role="cell" data-label="Verdict">'
        f'<div class="verdict {css}"><span aria-hidden="true">{sign}</span> '
        f"{verdict(finding.holds)}</div></td>"
        f'<td role="cell" data-label="Note" class="small"><div>{escape(finding.note) or "–"}</div></td></tr>'
    )


def _measured(finding: Finding) -> str:
    text = f'<span class="measured">{value_html(finding.measured)}</span>'
    if finding.interval is None:
        return text
    low, high = finding.interval
    text += f' <span class="interval">[{value_html(low)}, {value_html(high)}]</span>'
    return text + (_drawing(finding) if _drawable(finding) else "")


def _drawable(finding: Finding) -> bool:
    return finding.interval is not None and all(map(_finite, (finding.measured, *finding.interval)))


def _drawing(finding: Finding) -> str:
    """The interval to scale, with the paper's figure as an upright mark where it is a number.

    It repeats what the cell says in numbers, so screen readers skip it.
    """
    shown = [finding.measured, *(finding.interval or ())]
    shown += [finding.expected] if _finite(finding.expected) else []
    places = [float(value) for value in shown if isinstance(value, int | float)]
    x = linear(places, 5, 155, ticks=3)
    measured, low, high = (x(place) for place in places[:3])
    paper = "".join(f'<path class="paper" d="M{x(place):.1f} 2V18"/>' for place in places[3:])
    return (
        '<svg class="range" viewBox="0 0 160 20" aria-hidden="true"><path class="base" d="M5 10H155"/>'
        f'<path class="reach" d="M{low:.1f} 10H{high:.1f}"/>{paper}'
        f'<circle cx="{measured:.1f}" cy="10" r="4"/></svg>'
    )


def value_html(value: Any) -> str:
    """A value rounded for reading that keeps its exact figure in ``<data value>``."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return escape(number(value))
    if isinstance(value, Mapping):
        return ", ".join(f"{escape(str(name))} {value_html(item)}" for name, item in value.items())
    if isinstance(value, Sequence):
        return "[" + ", ".join(value_html(item) for item in value) + "]"
    return f'<data value="{value!r}">{number(value)}</data>'


def linked(source: str) -> str:
    """A source with its first arXiv number as a link."""
    found = _ARXIV.search(source)
    if not found:
        return escape(source)
    before, after = escape(source[: found.start()]), escape(source[found.end() :])
    link = f'<a href="https://arxiv.org/abs/{found[1]}" rel="noreferrer">arXiv {found[1]}</a>'
    return f"{before}{link}{after}"


def _finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
