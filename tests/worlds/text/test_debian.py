"""Debian's index to examples, on a small index written for this test."""

import pytest

from antiphon.core.errors import UserError
from antiphon.worlds.text import debian
from antiphon.worlds.text.debian_index import fetch_index, read_index

BODY = (
    "A gadget that counts sheep at night and tells the shepherd in the morning how many there were in all, "
    "and which of them limped."
)
PACKAGES = """Package: sheep
Source: flock (1.2)
Version: 1

Package: sheep-dev
Source: flock

Package: terse
Version: 3
"""
ENGLISH = f"""Package: sheep
Description-md5: aa
Description-en: counter of sheep
 {BODY}
 .
 It has:
  - a bell,
  - a list that goes
    over two lines.

Package: sheep-dev
Description-md5: bb
Description-en: counter of sheep, for developers
 {BODY}
 .
 It has headers.

Package: terse
Description-md5: cc
Description-en: says little
 Too short.

Package: unknown
Description-md5: dd
Description-en: not in the archive
 {BODY}
"""
GERMAN = """Package: sheep
Description-md5: aa
Description-de: Zähler für Schafe
 Ein Gerät, das Schafe zählt.
 .
 Es hat:
  - eine Glocke,
  - a list that goes over two lines.

Package: terse
Description-md5: cc
Description-de: sagt wenig
 Zu kurz.
 .
 Noch ein Absatz.
"""


@pytest.fixture
def both():
    return debian.descriptions(PACKAGES, ENGLISH, "en"), debian.descriptions(PACKAGES, GERMAN, "de")


def test_descriptions_know_their_source(both):
    english, _ = both
    assert [(d.package, d.source) for d in english] == [
        ("sheep", "flock"), ("sheep-dev", "flock"), ("terse", "terse"),
    ]  # fmt: skip
    assert english[0].paragraphs == (BODY, "It has:", "- a bell,", "- a list that goes over two lines.")


def test_synopses_leave_out_siblings_and_the_short(both):
    rows = debian.synopsis_rows(both[0])
    assert [row.completion for row in rows] == [" counter of sheep"]
    assert rows[0].prompt.startswith(BODY)
    assert rows[0].prompt.endswith("\n\nSynopsis:")


def test_translations_are_aligned_by_paragraph(both):
    rows = debian.translation_rows(*both)
    said = [(row.prompt.removesuffix("\n\nGerman:"), row.completion) for row in rows]
    # The untranslated list item and the description with another number of paragraphs are left out.
    assert said == [
        ("counter of sheep", " Zähler für Schafe"),
        (BODY, " Ein Gerät, das Schafe zählt."),
        ("It has:", " Es hat:"),
        ("- a bell,", " - eine Glocke,"),
    ]


def test_parts_go_by_source():
    rows = [debian.Row(f"source-{i // 2}", "x", "y") for i in range(4000)]
    parts = debian.split(rows)
    assert sum(map(len, parts.values())) == 4000
    sources = {name: {row.source for row in part} for name, part in parts.items()}
    assert not sources["train"] & (sources["validation"] | sources["test"])
    assert 0.87 < len(parts["train"]) / 4000 < 0.93
    assert min(len(parts["validation"]), len(parts["test"])) > 100


def test_the_archive_with_all_languages_is_taken(tmp_path):
    for name, text in {"p": PACKAGES, "Translation-en": ENGLISH, "Translation-de": GERMAN}.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    lines = [
        f"Packages|{tmp_path}/p|a bookworm/main",
        f"Translations|{tmp_path}/Translation-en|a bookworm/main",
        f"Translations|{tmp_path}/Translation-de|a bookworm/main",
        f"Packages|{tmp_path}/p|b updates/main",
        f"Translations|{tmp_path}/Translation-en|b updates/main",
    ]
    index = read_index("\n".join(lines))
    assert index.archive == "a bookworm/main"
    assert (index.packages, index.translations["de"]) == (PACKAGES, GERMAN)
    with pytest.raises(UserError, match="none of this machine's 1 archives has descriptions in en and de"):
        read_index("\n".join(lines[3:]))


def test_without_apt(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="there is no apt-get on this machine"):
        fetch_index(tmp_path)


def test_apt_that_fails_says_why(tmp_path, monkeypatch):
    (tmp_path / "apt-get").write_text("#!/bin/sh\necho 'E: Could not resolve the mirror' >&2\nexit 100\n")
    (tmp_path / "apt-get").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    with pytest.raises(UserError, match="apt-get update failed") as raised:
        fetch_index(tmp_path / "state")
    assert "Could not resolve the mirror" in raised.value.message
