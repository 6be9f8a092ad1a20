"""Where words go: progress and complaints to stderr, results to stdout, one JSON object as the last line."""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any


def say(text: str) -> None:
    """A line for the person who watches."""
    print(text, file=sys.stderr, flush=True)


def emit(value: Mapping[str, Any]) -> None:
    """A JSON object on one line of stdout; call it last.

    Dataclasses, tuples, arrays and paths become what JSON has; numbers that are not finite become strings.
    """
    from antiphon.train.files import plain

    print(json.dumps(plain(value), allow_nan=False, ensure_ascii=False), flush=True)


def show_table(columns: Sequence[str], rows: Sequence[Sequence[str]], title: str = "") -> None:
    """A table on stdout: framed and coloured on a terminal, aligned plain text elsewhere."""
    if sys.stdout.isatty():
        _rich_table(columns, rows, title)
        return
    widths = [max(len(row[place]) for row in (columns, *rows)) for place in range(len(columns))]
    if title:
        print(title)
    for row in (columns, ["-" * width for width in widths], *rows):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _rich_table(columns: Sequence[str], rows: Sequence[Sequence[str]], title: str) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, title=title or None, title_justify="left", pad_edge=False)
    colours = {"holds": "green", "does not hold": "red", "not tested": "dim"}
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        # Text, not str: a claim may hold square brackets, which rich would read as markup.
        table.add_row(*(Text(cell, style=colours.get(cell, "")) for cell in row))
    Console().print(table)
