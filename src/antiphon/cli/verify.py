"""``antiphon verify``: every study, and one table of what the papers claim and what was measured here."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from antiphon.cli.compilation import keep_compilations
from antiphon.cli.errors import Stopped, explain
from antiphon.cli.output import emit, say, show_table
from antiphon.cli.parsing import parse
from antiphon.cli.run import Size
from antiphon.cli.studying import Outcome, carry_out, start
from antiphon.studies import registry


@dataclass(frozen=True)
class VerifyArguments:
    """Run every study; one table: claim, paper, measured here, holds."""

    size: Annotated[Size, tyro.conf.arg(metavar="{smoke,laptop,gpu}")] = "smoke"
    """How long and large."""

    seed: Annotated[int | None, tyro.conf.arg(metavar="N", help_behavior_hint="(default: each study's)")] = (
        None
    )
    """One seed for all studies."""

    out: Annotated[Path, tyro.conf.arg(metavar="DIR")] = Path("runs")
    """Where the run directories are made."""

    strict: bool = False
    """Leave with status 1 if a claim does not hold."""

    json: bool = False
    """Make the last line of output one JSON object."""


def main(argv: Sequence[str]) -> int:
    """Runs every study; one that fails does not keep the others from being measured."""
    arguments = parse(VerifyArguments, argv, "antiphon verify")
    keep_compilations()
    began, failed, outcomes = time.monotonic(), [], []
    for entry in registry.STUDIES:
        try:
            outcomes.append(
                (entry, carry_out(entry, start(entry, arguments.size, arguments.seed, (), arguments.out)))
            )
        except Stopped:
            raise
        except Exception as error:
            explain(error, as_json=False)
            failed.append({"study": entry.name, "message": str(error)})
    claims_failed = any(outcome.failed for _, outcome in outcomes)
    if arguments.json:
        emit(
            {
                "size": arguments.size,
                "seed": arguments.seed,
                "seconds": round(time.monotonic() - began, 3),
                "studies": [{"study": entry.name, **outcome.as_json()} for entry, outcome in outcomes],
                "failed": failed,
            }
        )
    else:
        _show(outcomes)
    for one in failed:
        say(f"antiphon: study {one['study']} did not finish.")
    return int(bool(failed) or (arguments.strict and claims_failed))


def _show(outcomes: Sequence[tuple[registry.StudyEntry, Outcome]]) -> None:
    from antiphon.report.comparison import measured_cell
    from antiphon.report.findings import verdict
    from antiphon.report.scale import number

    rows = [
        (entry.name, finding.claim, number(finding.expected), measured_cell(finding), verdict(finding.holds))
        for entry, outcome in outcomes
        for finding in outcome.findings
    ]
    show_table(("study", "claim", "paper", "measured here", "verdict"), rows)
    for _, outcome in outcomes:
        print(f"report: {outcome.report}")
