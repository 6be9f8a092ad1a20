"""Chorales: against the MusicXML itself, and the kept copy against the first reading."""

import sys
import xml.etree.ElementTree as ElementTree
import zipfile
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("music21")

from antiphon.core.errors import UserError
from antiphon.worlds.music.chorales import load_chorales, read_chorale
from antiphon.worlds.music.score import Key, pickup
from antiphon.worlds.music.sources import corpus_folder

_STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}


def _printed(path: Path) -> list[list[tuple[float, float, int]]]:
    """Notes of each part straight from the XML: a cursor, forward and backup ignored, ties joined."""
    with zipfile.ZipFile(path) as archive:
        name = next(n for n in archive.namelist() if not n.startswith("META"))
        root = ElementTree.fromstring(archive.read(name))
    parts = []
    for part in root.iter("part"):
        now, divisions, notes = 0.0, 1.0, []
        for element in part.iter():
            if element.tag == "divisions":
                divisions = float(element.text or 1)
            if element.tag != "note":
                continue
            length = float(element.findtext("duration") or 0) / divisions
            if element.find("rest") is None:
                pitch = (
                    12 * (int(element.findtext("pitch/octave") or 0) + 1)
                    + _STEPS[element.findtext("pitch/step") or ""]
                )
                pitch += int(element.findtext("pitch/alter") or 0)
                if any(tie.get("type") == "stop" for tie in element.findall("tie")):
                    onset, before, _ = notes[-1]
                    notes[-1] = (onset, before + length, pitch)
                else:
                    notes.append((now, length, pitch))
            now += length
        parts.append(notes)
    return parts


@pytest.mark.parametrize(("name", "start"), [("bwv66.6", -1.0), ("bwv269", -1.0), ("bwv187.7", 0.0)])
def test_four_voices_as_in_the_file(name: str, start: float):
    path = corpus_folder() / "bach" / f"{name}.mxl"
    score = read_chorale(path, "chorales", "terms")
    printed = _printed(path)
    assert len(score.voices) == len(printed) == 4
    assert score.voices[0][0, 0] == start
    assert name.removeprefix("bwv") in score.title
    assert pickup(score) == -start
    for voice, notes in zip(score.voices, printed, strict=True):
        np.testing.assert_allclose(voice - [start, 0, 0], notes)
    means = [voice[:, 2].mean() for voice in score.voices]
    assert means == sorted(means, reverse=True)


def test_the_soprano_of_bwv_66_6():
    score = read_chorale(corpus_folder() / "bach" / "bwv66.6.mxl", "chorales", "terms")
    assert score.voices[0][:5].tolist() == [
        [-1, 0.5, 73],
        [-0.5, 0.5, 71],
        [0, 1, 69],
        [1, 1, 71],
        [2, 1, 73],
    ]
    assert (score.key, score.meter, score.rhythm) == (Key(6, "minor"), (4, 4), "chorale")
    assert score.title == "BWV 66.6"


def test_what_is_no_chorale_is_said():
    with pytest.raises(UserError, match=r"bwv846\.mxl: parts .* no four-part chorale; leave it out"):
        read_chorale(corpus_folder() / "bach" / "bwv846.mxl", "chorales", "terms")


def test_the_kept_copy_is_the_first_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    paths = [corpus_folder() / "bach" / f"bwv{n}.mxl" for n in ("269", "846", "253")]
    seen: list[tuple[int, int]] = []
    first, skipped = load_chorales(
        paths, "chorales", "terms", tmp_path, lambda done, of: seen.append((done, of))
    )
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert first[0].title == "Aus meines Herzens Grunde (BWV 269)"
    assert len(first) == 2
    assert len(skipped) == 1
    assert len(list(tmp_path.iterdir())) == 1

    monkeypatch.setitem(sys.modules, "music21", None)  # a second reading would fail
    again, skipped_again = load_chorales(paths, "chorales", "terms", tmp_path)
    assert skipped_again == skipped
    for one, other in zip(first, again, strict=True):
        assert (one.title, one.key, one.meter) == (other.title, other.key, other.meter)
        for a, b in zip(one.voices, other.voices, strict=True):
            np.testing.assert_array_equal(a, b)


def test_without_music21_the_mend_is_the_pip_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = corpus_folder() / "bach" / "bwv269.mxl"
    monkeypatch.setitem(sys.modules, "music21", None)
    with pytest.raises(UserError, match=r"pip install 'antiphon\[music\]'"):
        load_chorales([path], "chorales", "terms", tmp_path)
    assert not list(tmp_path.iterdir())


def test_changed_files_are_read_anew(tmp_path: Path):
    source = corpus_folder() / "bach" / "bwv269.mxl"
    path = tmp_path / "a.mxl"
    path.write_bytes(source.read_bytes())
    load_chorales([path], "chorales", "terms", tmp_path / "kept")
    path.write_bytes((corpus_folder() / "bach" / "bwv253.mxl").read_bytes())
    changed, _ = load_chorales([path], "chorales", "terms", tmp_path / "kept")
    assert len(list((tmp_path / "kept").iterdir())) == 2
    other = read_chorale(path, "chorales", "terms")
    np.testing.assert_array_equal(changed[0].voices[0], other.voices[0])
