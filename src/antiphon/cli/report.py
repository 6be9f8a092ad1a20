"""``antiphon report``: the page of a run directory, built again."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from antiphon.cli.output import emit
from antiphon.cli.parsing import parse
from antiphon.studies import registry


@dataclass(frozen=True)
class ReportArguments:
    """Build report.html of a run directory again, whether the run finished or not."""

    directory: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="DIR")]
    """A run directory, as runs/STUDY/TIME-sSEED."""

    json: bool = False
    """Make the last line of output one JSON object."""


def main(argv: Sequence[str]) -> int:
    """Builds the page."""
    arguments = parse(ReportArguments, argv, "antiphon report")
    from antiphon.report.page import write_report
    from antiphon.report.record import read_record

    study = read_record(arguments.directory).description["study"]
    entry = next((entry for entry in registry.STUDIES if entry.name == study), None)
    # A run of a study that this version does not know still has a page.
    path = (
        write_report(arguments.directory, entry.title, entry.paper)
        if entry
        else write_report(arguments.directory)
    )
    if arguments.json:
        emit({"run": arguments.directory, "report": path})
    else:
        print(f"report: {path}")
    return 0
