"""Several runs side by side: what each found, and where its metrics ended."""

from collections.abc import Sequence
from pathlib import Path

from antiphon.report.curves import Final, final_metrics, metric_figures
from antiphon.report.findings import verdict
from antiphon.report.page import charts_html, page
from antiphon.report.record import RunRecord
from antiphon.report.scale import number
from antiphon.report.tables import table_html
from antiphon.train.files import write_atomically
from antiphon.train.findings import Finding
from antiphon.train.media import Table

METRICS_NOTE = (
    "The interval is the recorded one; a metric recorded without one shows the middle 80 % of the last tenth "
    "of its values: how much it still moves."
)


def findings_table(runs: Sequence[RunRecord]) -> Table:
    """One row for each claim of any run, one column for each run."""
    claims = {finding.id: finding for run in runs for finding in run.findings}
    found = [{finding.id: finding for finding in run.findings} for run in runs]
    rows = tuple(
        (claim.claim, number(claim.expected), *(finding_cell(findings.get(name)) for findings in found))
        for name, claim in claims.items()
    )
    return Table("Findings", ("claim", "paper", *(run.name for run in runs)), rows)


def metrics_table(runs: Sequence[RunRecord]) -> Table:
    """One row for each metric of any run, one column for each run."""
    finals = [final_metrics(run) for run in runs]
    names = list(dict.fromkeys(name for final in finals for name in final))
    rows = tuple((name, *(final_cell(final.get(name)) for final in finals)) for name in names)
    return Table("Final metrics", ("metric", *(run.name for run in runs)), rows, METRICS_NOTE)


def write_comparison(runs: Sequence[RunRecord], path: Path | str) -> Path:
    """Writes the comparison as one HTML page and returns its path.

    Raises:
        RunError: the disk refused.
    """
    path = Path(path)
    tables = [table_html(table) for table in (findings_table(runs), metrics_table(runs)) if table.rows]
    sections = [
        ("Side by side", "".join(tables)),
        ("Curves over each other", charts_html(metric_figures(runs), "curve")),
    ]
    text = page(f"{len(runs)} runs compared", "", sections)
    write_atomically(path, text.encode())
    return path


def finding_cell(finding: Finding | None) -> str:
    """What one run says of a claim."""
    if finding is None:
        return "–"
    return f"{measured_cell(finding)} · {verdict(finding.holds)}"


def measured_cell(finding: Finding) -> str:
    """What was measured, with its interval."""
    interval = finding.interval
    reach = f" [{number(interval[0])}, {number(interval[1])}]" if interval else ""
    return f"{number(finding.measured)}{reach}"


def final_cell(final: Final | None) -> str:
    """Where a metric ended, with its interval."""
    if final is None:
        return "–"
    return f"{number(final.value)} [{number(final.low)}, {number(final.high)}]"
