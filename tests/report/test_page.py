"""The page: it stands alone, says what the files say, and is well formed."""

import base64
import json
import re
import wave
from html.parser import HTMLParser

import numpy as np
import pytest

from antiphon.core.errors import UserError
from antiphon.report import read_record, write_comparison, write_report
from antiphon.report.curves import STRETCHES, final_metrics, metric_figures
from antiphon.train.findings import Finding
from antiphon.train.media import Clip, Figure, Image, Media, Pair, Series, Table, write_media
from antiphon.train.metrics import MetricsFile, Record
from antiphon.train.run_directory import RunDirectory

FINDINGS = (
    Finding(
        "a", "A <b>rises</b>.", "arXiv 2402.04229, Table 1", 0.72, 0.68412345, (0.6312, 0.7331), True, "x & y"
    ),
    Finding("b", "B falls.", "section 2", "never", -12.25, None, False),
    Finding("c", "C is liked.", "Fig. 3", None, None, None, None, "not asked"),
)
VOID = {"meta", "img", "link", "br", "hr", "input"}


class Page(HTMLParser):
    """Checks nesting, and keeps tags with their attributes and the exact values in <data>."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.words = [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("script", "style"):
            self.words.append(data)

    def all(self, name):
        return [attrs for tag, attrs in self.tags if tag == name]

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


def wav(path):
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        tone = 9000 * np.sin(2 * np.pi * 440 * np.arange(8000) / 16000)
        file.writeframes(tone.astype("<i2").tobytes())


@pytest.fixture
def run(tmp_path):
    run = RunDirectory.create(
        "musicrl", {"steps": 7, "net": {"width": 3}}, seed=4, size="smoke", root=tmp_path
    )
    losses = [Record("main", step, step * 0.1, {"loss": 1 / step}) for step in range(1, 1001)]
    records = [Record("main", 1, 0.1, {"once": 3.0}), *losses]
    records += [
        Record("judge", s, 1.0, {"win": s / 4, "win_low": s / 4 - 0.1, "win_high": s / 4 + 0.1})
        for s in (1, 2)
    ]
    metrics = MetricsFile(run.metrics)
    metrics.append(records)
    metrics.close()
    wav(run.media / "before.wav")
    wav(run.media / "after.wav")
    (run.media / "i.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"/>')
    names = ("a & b", "a_very_long_name of a bar that nobody can read")
    figures = (
        Figure(
            "Lines", "x", "y", (Series("s", (0, 1, 2), (1, float("nan"), 3)), Series("t", (0, 1), (5, 6)))
        ),
        Figure("Bars", "x", "y", (Series("s", names, (1, -2), (0, -3), (2, -1)),), "bar"),
        Figure("Points", "x", "y", (Series("s", (0, 1), (1, 2)),), "scatter", "a note"),
        Figure("Nothing", "x", "y", ()),
    )
    clips = (Clip("before", "media/before.wav", {"text": 0.125}), Clip("after", "media/after.wav"))
    media = Media(
        "The <story>.",
        figures,
        (Pair('say "cheese"', clips, "note"),),
        (Table("T", ("k", "v"), (("<k>", 1.5),)),),
        (Image("An image", "media/i.svg"),),
    )
    write_media(run.path, media)
    run.write_findings(FINDINGS)
    return run


def test_the_page_stands_alone_and_is_well_formed(run):
    text = write_report(run.path, "A <title>", "arXiv 2402.04229").read_text(encoding="utf-8")
    page = Page(text)
    loading = [
        attrs.get(name)
        for _, attrs in page.tags
        for name in ("src", "srcset", "poster", "data")
        if name in attrs
    ]
    assert loading
    assert all(source.startswith("data:") for source in loading)
    assert page.all("link") == []
    assert {attrs["href"] for attrs in page.all("a") if not attrs["href"].startswith("#")} == {
        "https://arxiv.org/abs/2402.04229"
    }
    assert not re.search(r"@import|url\(|fetch\(|XMLHttpRequest", text)
    anchors = {attrs["id"] for _, attrs in page.tags if "id" in attrs}
    assert len(anchors) == sum("id" in attrs for _, attrs in page.tags)
    for _, attrs in page.tags:
        for name in ("href", "aria-labelledby"):
            target = attrs.get(name, "")
            if target and not target.startswith("http"):
                assert target.removeprefix("#") in anchors


def test_it_can_be_read_without_eyes_and_on_a_phone(run):
    page = Page(write_report(run.path).read_text(encoding="utf-8"))
    assert page.all("html")[0]["lang"] == "en"
    assert any(attrs.get("name") == "viewport" for attrs in page.all("meta"))
    assert all(attrs["alt"] for attrs in page.all("img"))
    assert all(attrs["aria-label"] for attrs in page.all("audio"))
    for attrs in page.all("svg"):
        assert attrs.get("aria-hidden") == "true" or attrs["aria-label"]
    headings = [tag for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert headings[0] == "h1"
    assert headings.count("h1") == 1
    text = (run.path / "report.html").read_text(encoding="utf-8")
    assert "prefers-color-scheme: dark" in text
    assert "max-width: 46rem" in text


def test_numbers_are_those_of_the_files(run):
    text = write_report(run.path).read_text(encoding="utf-8")
    table = re.search(r'<table class="findings".*?</table>', text, re.DOTALL)
    assert table
    shown = [float(value) for value in re.findall(r'<data value="([^"]+)"', table[0])]
    findings = json.loads((run.path / "findings.json").read_text())
    exact = [
        number
        for finding in findings
        for number in (finding["expected"], finding["measured"], *(finding["interval"] or ()))
        if isinstance(number, float)
    ]
    assert shown == exact
    for finding, verdict in zip(findings, ("✓ holds", "✗ does not hold", "○ not tested"), strict=True):
        row = re.search(rf'id="finding-{finding["id"]}".*?</tr>', table[0], re.DOTALL)
        assert row
        assert verdict in re.sub("<[^>]+>", "", row[0])


def test_order_and_escapes(run):
    text = write_report(run.path, "A <title>", "arXiv 2402.04229").read_text(encoding="utf-8")
    page = Page(text)
    assert "A <title>" in page.text
    assert "A <b>rises</b>." in page.text
    assert "The <story>." in page.text
    assert "1 of 3 claims hold, 1 does not, 1 not tested" in page.text
    order = [text.index(f'<h2 id="{name}"') for name in ("findings", "figures", "listen", "this-run")]
    assert order == sorted(order)
    assert text.index("The &lt;story") < order[0]
    for setting in ("config.net.width", "versions.jax", "seed"):
        assert f">{setting}</th>" in text


def test_sounds_and_pictures_are_the_files(run):
    page = Page(write_report(run.path).read_text(encoding="utf-8"))
    sounds = [base64.b64decode(attrs["src"].split(",")[1]) for attrs in page.all("audio")]
    assert sounds == [(run.media / name).read_bytes() for name in ("before.wav", "after.wav")]
    kinds = [attrs["src"].split(";")[0] for attrs in page.all("img")]
    assert kinds == ["data:image/png", "data:image/png", "data:image/svg+xml"]


def test_curves(run):
    record = read_record(run.path)
    figures = {figure.title: figure for figure in metric_figures([record])}
    # 'once' has a single value: no curve, but a final metric.
    assert list(figures) == ["loss", "win"]
    (loss,) = figures["loss"].series
    assert len(loss.x) == STRETCHES
    first = [1 / step for step in range(1, 1 + 1000 // STRETCHES)]
    assert loss.y[0] == pytest.approx(np.mean(first))
    assert loss.x[-1] == 1000
    assert all(
        low <= y <= high or place == 0
        for place, (low, y, high) in enumerate(zip(loss.low, loss.y, loss.high, strict=True))
    )
    (win,) = figures["win"].series
    assert (win.y, win.low, win.high) == ((0.25, 0.5), (0.15, 0.4), (0.35, 0.6))
    finals = final_metrics(record)
    assert set(finals) == {"main/loss", "main/once", "judge/win"}
    assert finals["main/loss"].value == 0.001
    assert 0.001 < finals["main/loss"].low < finals["main/loss"].high < 1 / 900
    assert (finals["judge/win"].low, finals["judge/win"].high) == (0.4, 0.6)


def test_a_comparison_is_a_page_too(run, tmp_path):
    record = read_record(run.path)
    text = write_comparison([record, record], tmp_path / "both.html").read_text(encoding="utf-8")
    page = Page(text)
    assert page.text.count("0.684 [0.631, 0.733] · holds") == 2
    assert "A <b>rises</b>." in page.text


def test_an_unfinished_run_has_a_page(tmp_path):
    run = RunDirectory.create("musicrl", {}, seed=0, root=tmp_path)
    (run.path / "metrics.jsonl").write_text('{"fit": "m", "step": 1, "seconds": 0, "a": 1}\n{"fit": "m", "st')
    page = Page(write_report(run.path).read_text(encoding="utf-8"))
    assert "has not come to its findings" in page.text


def test_what_is_missing_or_damaged_is_named(run, tmp_path):
    with pytest.raises(UserError, match="is not a run directory"):
        read_record(tmp_path / "nowhere")
    (run.media / "after.wav").unlink()
    with pytest.raises(UserError, match=r"after\.wav is gone"):
        write_report(run.path)
    for name, broken in (("findings.json", '[{"id": 1}]'), ("findings.json", "{}x"), ("findings.json", "[3]"),
                         ("config.json", "[]"), ("config.json", "{}")):  # fmt: skip
        whole = (run.path / name).read_text()
        (run.path / name).write_text(broken)
        with pytest.raises(UserError):
            read_record(run.path)
        (run.path / name).write_text(whole)
