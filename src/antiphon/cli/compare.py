"""``antiphon compare``: findings and final metrics of several runs, side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from antiphon.cli.output import emit, show_table
from antiphon.cli.parsing import parse
from antiphon.core.errors import UserError


@dataclass(frozen=True)
class CompareArguments:
    """Findings and final metrics of several runs, side by side, with their intervals."""

    directories: Annotated[
        tyro.conf.Positional[tuple[Path, ...]],
        tyro.conf.arg(metavar="DIR DIR…", help_behavior_hint="(required)"),
    ]
    """Two or more run directories."""

    html: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="(default: no page)")] = (
        None
    )
    """Also write one page with the tables and the curves over each other."""

    json: bool = False
    """Make the last line of output one JSON object."""


def main(argv: Sequence[str]) -> int:
    """Compares runs."""
    arguments = parse(CompareArguments, argv, "antiphon compare")
    if len(arguments.directories) < 2:
        raise UserError("usage", "one run directory alone cannot be compared", "name two or more")
    from antiphon.report.comparison import findings_table, metrics_table, write_comparison
    from antiphon.report.curves import final_metrics
    from antiphon.report.record import read_record

    runs = [read_record(directory) for directory in arguments.directories]
    page = write_comparison(runs, arguments.html) if arguments.html else None
    if arguments.json:
        compared = [
            {"run": run.directory, **run.description, "findings": run.findings, "metrics": final_metrics(run)}
            for run in runs
        ]
        emit({"runs": compared, "html": page})
        return 0
    for table in (findings_table(runs), metrics_table(runs)):
        if table.rows:
            show_table(table.columns, [[str(cell) for cell in row] for row in table.rows], table.title)
            print(f"{table.note}\n")
    if page:
        print(f"page: {page}")
    return 0
