"""``antiphon run``: one study, its findings, its report."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from antiphon.cli.compilation import keep_compilations
from antiphon.cli.output import emit, say, show_table
from antiphon.cli.parsing import parse
from antiphon.cli.studying import Outcome, carry_out, find_study, start, take_up

Size = Literal["smoke", "laptop", "gpu"]


@dataclass(frozen=True)
class RunArguments:
    """Run a study and measure its paper's claims."""

    study: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="STUDY")]
    """A study that 'antiphon list' names."""

    size: Annotated[
        Size | None, tyro.conf.arg(metavar="{smoke,laptop,gpu}", help_behavior_hint="(default: smoke)")
    ] = None
    """How long and large: seconds to minutes, an evening on a laptop, or a GPU."""

    seed: Annotated[int | None, tyro.conf.arg(metavar="N", help_behavior_hint="(default: the study's)")] = (
        None
    )
    """Same seed, same machine, same figures."""

    out: Annotated[Path, tyro.conf.arg(metavar="DIR")] = Path("runs")
    """Where the run directory is made, as DIR/STUDY/TIME-sSEED."""

    resume: Annotated[
        Path | None, tyro.conf.arg(metavar="DIR", help_behavior_hint="(default: a new run)")
    ] = None
    """Go on with this run directory."""

    set: Annotated[
        tuple[tuple[str, ...], ...],
        tyro.conf.UseAppendAction,
        tyro.conf.arg(metavar="FIELD=VALUE …", help_behavior_hint="(repeatable)"),
    ] = ()
    """Change fields of the study's Config: dots reach into nested ones, commas part the items of a tuple."""

    strict: bool = False
    """Leave with status 1 if a claim does not hold."""

    json: bool = False
    """Make the last line of output one JSON object."""


def main(argv: Sequence[str]) -> int:
    """Runs a study."""
    arguments = parse(RunArguments, argv, "antiphon run")
    entry = find_study(arguments.study)
    settings = tuple(setting for group in arguments.set for setting in group)
    keep_compilations()
    if arguments.resume is not None:
        prepared = take_up(entry, arguments.resume, arguments.size, arguments.seed, settings)
    else:
        prepared = start(entry, arguments.size or "smoke", arguments.seed, settings, arguments.out)
    outcome = carry_out(entry, prepared)
    if arguments.json:
        emit(outcome.as_json())
    else:
        show_outcome(outcome)
    for finding in outcome.failed:
        say(f"Claim {finding.id} does not hold at this size.")
    return int(arguments.strict and bool(outcome.failed))


def show_outcome(outcome: Outcome) -> None:
    """The findings as a table, and where the report is."""
    from antiphon.report.comparison import measured_cell
    from antiphon.report.findings import verdict
    from antiphon.report.scale import number

    rows = [
        (finding.claim, number(finding.expected), measured_cell(finding), verdict(finding.holds))
        for finding in outcome.findings
    ]
    show_table(("claim", "paper", "measured here", "verdict"), rows)
    print(f"\nreport: {outcome.report}")
