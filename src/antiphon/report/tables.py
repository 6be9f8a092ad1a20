"""Tables, images, and the closing lists of settings, versions and hardware."""

from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path
from typing import Any

from antiphon.core.errors import UserError
from antiphon.report.clips import data_uri
from antiphon.report.findings import value_html
from antiphon.train.media import Image, Table

IMAGE_TYPES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".svg": "image/svg+xml"}


def table_html(table: Table) -> str:
    """A table of a study; wide ones scroll by themselves so that the page does not."""
    head = "".join(
        f'<th scope="col"{_aligned(row[place] for row in table.rows)}>{escape(column)}</th>'
        for place, column in enumerate(table.columns)
    )
    body = "".join("<tr>" + "".join(_cell(cell) for cell in row) + "</tr>" for row in table.rows)
    note = f'<p class="note">{escape(table.note)}</p>' if table.note else ""
    return (
        f'<div class="block"><h3>{escape(table.title)}</h3>'
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(table.title)}">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>{note}</div>"
    )


def _cell(cell: object) -> str:
    return f"<td{_aligned([cell])}>{value_html(cell)}</td>"


def _aligned(cells: Iterable[object]) -> str:
    """Numbers stand on the right, and so does the head of a column of numbers."""
    numbers = all(isinstance(cell, int | float) and not isinstance(cell, bool) for cell in cells)
    return ' class="number"' if numbers else ""


def image_html(image: Image, directory: Path) -> str:
    """An image inside the page.

    Raises:
        UserError: the file is gone or is no PNG, JPEG or SVG.
    """
    path = directory / image.file
    kind = IMAGE_TYPES.get(path.suffix.lower())
    if kind is None or not path.is_file():
        raise UserError(
            "file",
            f"{path} is not a PNG, JPEG or SVG file that is there",
            "restore it or run the study again",
        )
    picture = data_uri(path.read_bytes(), kind)
    return (
        f'<figure class="image"><img alt="{escape(image.title)}" src="{picture}">'
        f"<figcaption>{escape(image.title)}</figcaption></figure>"
    )


def settings_html(title: str, values: Mapping[str, Any]) -> str:
    """A folded list of names and values; nested names are joined with dots."""
    rows = "".join(
        f"<tr><th scope='row'>{escape(name)}</th><td>{value_html(value)}</td></tr>"
        for name, value in flatten(values)
    )
    if not rows:
        return ""
    return (
        f"<details><summary>{escape(title)}</summary><div class='scroll' tabindex='0'>"
        f"<table class='settings'><tbody>{rows}</tbody></table></div></details>"
    )


def flatten(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Nested settings as dotted names, in the order in which they stand."""
    rows: list[tuple[str, Any]] = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            rows += flatten(value, f"{prefix}{name}.")
        else:
            rows.append((f"{prefix}{name}", value))
    return rows
