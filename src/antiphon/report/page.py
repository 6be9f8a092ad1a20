"""The report: a run directory as one HTML page that needs nothing beside it."""

import re
from collections.abc import Sequence
from html import escape
from importlib import resources
from pathlib import Path
from string import Template

from antiphon.report.clips import pair_html
from antiphon.report.curves import final_metrics, metric_figures
from antiphon.report.figures import figure_html
from antiphon.report.findings import findings_html, linked, summary
from antiphon.report.record import RunRecord, read_record
from antiphon.report.tables import image_html, settings_html, table_html
from antiphon.train.files import write_atomically
from antiphon.train.media import Figure


def write_report(directory: Path | str, title: str = "", paper: str = "") -> Path:
    """Builds ``report.html`` in a run directory and returns its path.

    Args:
        directory: the run directory.
        title: the heading; the study's name if not given.
        paper: where the claims come from, shown under the heading.

    Raises:
        UserError: the run directory, or a file that it names, cannot be read.
        RunError: the disk refused.
    """
    text = report_page(read_record(directory), title, paper)
    path = Path(directory) / "report.html"
    write_atomically(path, text.encode())
    return path


def report_page(run: RunRecord, title: str = "", paper: str = "") -> str:
    """The whole page as text."""
    media, about = run.media, run.description
    facts = [linked(paper)] if paper else []
    facts.append(escape(summary(run.findings)) if run.findings else "not finished")
    facts += [
        f"{name} {escape(str(about[name]))}" for name in ("size", "seed") if about.get(name) is not None
    ]
    lead = f'<p class="lead">{escape(media.story)}</p>' if media.story else ""
    sections = [
        ("Findings", findings_html(run.findings)),
        ("Figures", charts_html(media.figures, "figure")),
        ("Curves of the run", charts_html(metric_figures([run]), "curve")),
        ("Listen", "".join(pair_html(pair, run.directory) for pair in media.pairs)),
        ("Tables", "".join(table_html(table) for table in media.tables)),
        ("Images", "".join(image_html(image, run.directory) for image in media.images)),
        ("This run", _colophon(run)),
    ]
    return page(title or str(about["study"]), f'<p class="facts">{" · ".join(facts)}</p>{lead}', sections)


def page(title: str, opening: str, sections: Sequence[tuple[str, str]]) -> str:
    """Heading, opening and the sections that hold something, with a way to each, in the house's style.

    Args:
        title: plain text.
        opening: HTML under the heading.
        sections: name and HTML of each; empty ones are left out.
    """
    kept = [(name, re.sub(r"\W+", "-", name.lower()), body) for name, body in sections if body]
    contents = "".join(f'<a href="#{anchor}">{escape(name)}</a>' for name, anchor, _ in kept)
    body = "".join(
        f'<section aria-labelledby="{anchor}"><h2 id="{anchor}">{escape(name)}</h2>{body}</section>\n'
        for name, anchor, body in kept
    )
    return Template(_asset("page.html")).substitute(
        title=escape(title),
        opening=opening,
        contents=contents,
        sections=body,
        style=_asset("page.css"),
        script=_asset("page.js"),
    )


def charts_html(figures: Sequence[Figure], kind: str) -> str:
    """Charts in as many columns as the page has room for; nothing for no charts."""
    charts = "".join(figure_html(figure, f"{kind}-{index}") for index, figure in enumerate(figures))
    return f'<div class="charts">{charts}</div>' if charts else ""


def _colophon(run: RunRecord) -> str:
    finals = {name: final.value for name, final in sorted(final_metrics(run).items())}
    return (
        settings_html("Final metrics", finals)
        + settings_html("Settings", run.description)
        + settings_html("Versions and hardware", run.environment)
        + f'<p class="note">Made from <code>{escape(run.directory.resolve().name)}</code>, '
        "whose <code>findings.json</code> and <code>metrics.jsonl</code> hold every figure unrounded.</p>"
    )


def _asset(name: str) -> str:
    return resources.files("antiphon.report").joinpath(name).read_text(encoding="utf-8")
