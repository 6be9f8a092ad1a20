"""Charts as inline SVG: lines with bands, bars with whiskers, points; each with its numbers beside it.

Colours come from the page's style sheet, so that one drawing serves light and dark. The drawing is small
(480 units wide) and scales with its column: text stays readable on a phone.
"""

import math
from html import escape

from antiphon.report.scale import Scale, linear, number, snug
from antiphon.train.media import Figure, Series

WIDTH, HEIGHT = 480.0, 280.0
LEFT, RIGHT, TOP, BOTTOM = 54.0, 14.0, 28.0, 46.0
BAR_BOTTOM = 62.0
"""Names of bars take up to two lines."""
COLOURS = 8
"""Styles of series that the page has; a figure of more repeats them."""
TABLE_ROWS = 40
_CHARACTER = 7.6
"""Mean width of a character of the tick labels at their largest, which is on a phone; drawing units."""


def figure_html(figure: Figure, identity: str) -> str:
    """A ``<figure>``: title, legend, drawing, note, and the numbers in a table that folds out.

    Args:
        figure: what to draw.
        identity: unique in the page; ties the drawing to its title for screen readers.
    """
    body = _bars(figure) if figure.kind == "bar" else _plane(figure)
    note = f'<p class="note">{escape(figure.note)}</p>' if figure.note else ""
    return (
        f'<figure class="chart" aria-labelledby="{identity}">'
        f'<figcaption id="{identity}">{escape(figure.title)}</figcaption>{_legend(figure)}'
        f'<svg viewBox="0 0 {WIDTH:g} {HEIGHT:g}" role="img" aria-label="{escape(_spoken(figure))}">'
        f"{body}{_labels(figure)}</svg>{note}{_numbers(figure)}</figure>"
    )


def _plane(figure: Figure) -> str:
    """Lines or points between two linear axes."""
    xs = [float(x) for series in figure.series for x in series.x]
    ys = [y for series in figure.series for y in (*series.y, *series.low, *series.high)]
    place_x = snug if figure.kind == "line" else linear
    x = place_x(xs, LEFT, WIDTH - RIGHT)
    y = linear(ys, HEIGHT - BOTTOM, TOP)
    marks = [_grid(y)]
    marks += [_tick(x(value), number(value)) for value in x.ticks]
    draw = _line if figure.kind == "line" else _points
    # Bands first: no band may cover another series' line.
    marks += [_band(series, x, y, index) for index, series in enumerate(figure.series) if series.low]
    marks += [draw(series, x, y, index) for index, series in enumerate(figure.series)]
    return "".join(marks)


def _line(series: Series, x: Scale, y: Scale, index: int) -> str:
    path, pen_down = [], False
    for at, value in zip(series.x, series.y, strict=True):
        if not math.isfinite(value):
            pen_down = False
            continue
        path.append(f"{'L' if pen_down else 'M'}{x(float(at)):.1f} {y(value):.1f}")
        pen_down = True
    line = f'<path class="line s{index % COLOURS}" d="{"".join(path)}"/>'
    # A single value draws no line, and few values are worth pointing at.
    return line + (_points(series, x, y, index) if len(series.x) <= 12 else "")


def _points(series: Series, x: Scale, y: Scale, index: int) -> str:
    return "".join(
        f'<circle class="point s{index % COLOURS}" cx="{x(float(at)):.1f}" cy="{y(value):.1f}" r="3.2">'
        f"<title>{escape(_told(series, place))}</title></circle>"
        for place, (at, value) in enumerate(zip(series.x, series.y, strict=True))
        if math.isfinite(value)
    )


def _band(series: Series, x: Scale, y: Scale, index: int) -> str:
    ends = [
        (float(at), low, high)
        for at, low, high in zip(series.x, series.low, series.high, strict=True)
        if math.isfinite(low) and math.isfinite(high)
    ]
    if len(ends) <= 12:
        return "".join(_whisker(x(at), y(low), y(high), index) for at, low, high in ends)
    above = [f"{x(at):.1f} {y(high):.1f}" for at, _, high in ends]
    below = [f"{x(at):.1f} {y(low):.1f}" for at, low, _ in reversed(ends)]
    return f'<path class="band s{index % COLOURS}" d="M{"L".join(above + below)}Z"/>'


def _whisker(x: float, low: float, high: float, index: int) -> str:
    return (
        f'<path class="whisker s{index % COLOURS}" '
        f'd="M{x:.1f} {low:.1f}V{high:.1f}M{x - 4:.1f} {low:.1f}h8M{x - 4:.1f} {high:.1f}h8"/>'
    )


def _bars(figure: Figure) -> str:
    """Groups of bars, one group for each x, one bar for each series, standing on zero."""
    names = list(dict.fromkeys(x for series in figure.series for x in series.x))
    ys = [y for series in figure.series for y in (*series.y, *series.low, *series.high)]
    y = linear(ys, HEIGHT - BAR_BOTTOM, TOP, zero=True)
    slot = (WIDTH - LEFT - RIGHT) / max(len(names), 1)
    width = min(slot * 0.72 / max(len(figure.series), 1), 64.0)
    marks = [_grid(y)]
    for place, name in enumerate(names):
        centre = LEFT + (place + 0.5) * slot
        marks.append(_name(centre, name if isinstance(name, str) else number(name), slot))
        for index, series in enumerate(figure.series):
            if name not in series.x:
                continue
            item = series.x.index(name)
            middle = centre + (index - (len(figure.series) - 1) / 2) * width
            marks.append(_bar(series, item, middle, width, y, index))
    return "".join(marks)


def _bar(series: Series, item: int, middle: float, width: float, y: Scale, index: int) -> str:
    value = series.y[item]
    if not math.isfinite(value):
        return ""
    top, foot = sorted((y(value), y(0.0)))
    bar = (
        f'<rect class="bar s{index % COLOURS}" x="{middle - width * 0.46:.1f}" y="{top:.1f}" '
        f'width="{width * 0.92:.1f}" height="{foot - top:.1f}" rx="1.5">'
        f"<title>{escape(_told(series, item))}</title></rect>"
    )
    if series.low and math.isfinite(series.low[item]) and math.isfinite(series.high[item]):
        low, high = y(series.low[item]), y(series.high[item])
        bar += f'<path class="whisker ink" d="M{middle:.1f} {low:.1f}V{high:.1f}"/>'
    return bar


def _name(x: float, name: str, slot: float) -> str:
    """A category under its bars, on up to two lines; the whole name stands in its title."""
    room = max(int(slot / _CHARACTER), 3)
    lines: list[str] = []
    for word in name.replace("_", " ").split():
        if lines and len(lines[-1]) + 1 + len(word) <= room:
            lines[-1] += f" {word}"
        else:
            lines.append(word if len(word) <= room else f"{word[: room - 1]}…")
    shown = lines if len(lines) <= 2 else [lines[0], f"{lines[1][: room - 1]}…"]
    spans = "".join(
        f'<tspan x="{x:.1f}" dy="{14 if row else 0}">{escape(line)}</tspan>' for row, line in enumerate(shown)
    )
    whole = f"<title>{escape(name)}</title>"
    return f'<text class="tick middle" y="{HEIGHT - BAR_BOTTOM + 17:.1f}">{spans}{whole}</text>'


def _grid(y: Scale) -> str:
    lines = []
    for value in y.ticks:
        kind = "zero" if value == 0 and y.low < 0 else "grid"
        lines.append(f'<path class="{kind}" d="M{LEFT:g} {y(value):.1f}H{WIDTH - RIGHT:g}"/>')
        lines.append(
            f'<text class="tick end" x="{LEFT - 7:g}" y="{y(value) + 3.8:.1f}">{number(value)}</text>'
        )
    lines.append(f'<path class="axis" d="M{LEFT:g} {y.start:g}H{WIDTH - RIGHT:g}"/>')
    return "".join(lines)


def _tick(x: float, text: str) -> str:
    foot = HEIGHT - BOTTOM
    return (
        f'<path class="axis" d="M{x:.1f} {foot:g}v4"/>'
        f'<text class="tick middle" x="{x:.1f}" y="{foot + 16:g}">{text}</text>'
    )


def _labels(figure: Figure) -> str:
    return (
        f'<text class="label" x="0" y="12">{escape(figure.y_label)}</text>'
        f'<text class="label end" x="{WIDTH - RIGHT:g}" y="{HEIGHT - 6:g}">{escape(figure.x_label)}</text>'
    )


def _legend(figure: Figure) -> str:
    if len(figure.series) < 2:
        return ""
    items = "".join(
        f'<li><span class="swatch s{index % COLOURS}"></span>{escape(series.name)}</li>'
        for index, series in enumerate(figure.series)
    )
    return f'<ul class="legend">{items}</ul>'


def _told(series: Series, item: int) -> str:
    """One value in words: for a pointer held over it."""
    at = series.x[item]
    interval = f" [{number(series.low[item])}, {number(series.high[item])}]" if series.low else ""
    return f"{series.name}, {at if isinstance(at, str) else number(at)}: {number(series.y[item])}{interval}"


def _spoken(figure: Figure) -> str:
    """What a screen reader says in place of the drawing: each series from its first to its last value."""
    parts = [f"{figure.title}: {figure.y_label} against {figure.x_label}."]
    for series in figure.series:
        finite = [value for value in series.y if math.isfinite(value)]
        if figure.kind == "line" and len(finite) > 1:
            parts.append(f"{series.name} goes from {number(finite[0])} to {number(finite[-1])}.")
        elif figure.kind == "bar":
            parts.append("; ".join(_told(series, item) for item in range(len(series.x))) + ".")
    return " ".join(parts)


def _numbers(figure: Figure) -> str:
    """The values as a table, thinned to ``TABLE_ROWS`` rows a series."""
    heads = ("series", figure.x_label, figure.y_label, "interval")
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in heads)
    rows = "".join(_number_row(series, item) for series in figure.series for item in _thinned(len(series.x)))
    return (
        '<details><summary>Numbers</summary><div class="scroll" tabindex="0">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div></details>"
    )


def _thinned(length: int) -> list[int]:
    """Every so-manieth place, and always the last."""
    stride = math.ceil(length / TABLE_ROWS) or 1
    return [item for item in range(length) if item % stride == 0 or item == length - 1]


def _number_row(series: Series, item: int) -> str:
    at = series.x[item]
    interval = f"{number(series.low[item])} to {number(series.high[item])}" if series.low else "–"
    return (
        f'<tr><th scope="row">{escape(series.name)}</th>'
        f"<td>{escape(at if isinstance(at, str) else number(at))}</td>"
        f"<td>{number(series.y[item])}</td><td>{interval}</td></tr>"
    )
