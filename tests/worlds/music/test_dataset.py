"""Data sets: the same bytes whatever happened on the way, and nothing mixed up unnoticed."""

import importlib.util
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from antiphon.core.errors import UserError
from antiphon.worlds.music import dataset as module
from antiphon.worlds.music import sources
from antiphon.worlds.music.attributes import Attributes
from antiphon.worlds.music.codec import FRAME
from antiphon.worlds.music.dataset import (
    Dataset,
    DatasetConfig,
    arrange_clip,
    build,
    caption_clip,
    render_clip,
    to_float,
)

CONFIG = DatasetConfig(train=5, valid=2, test=3, seconds=0.4, seed=3)
SOUND = pytest.mark.skipif(
    importlib.util.find_spec("pretty_midi") is None or importlib.util.find_spec("soxr") is None,
    reason="rendering needs pretty_midi's sound font and soxr",
)


@pytest.fixture(scope="module")
def tunes(tmp_path_factory) -> str:
    """Eighty tunes of two bars, enough for every split to get some."""
    rng = np.random.default_rng(0)
    book = []
    for i in range(80):
        bars = ["".join(rng.choice(list("CDEFGABcde"), 8)) for _ in range(2)]
        book.append(f"X:{i + 1}\nT:Tune number {i}\nM:4/4\nL:1/8\nK:C\n{'|'.join(bars)}|\n")
    path = tmp_path_factory.mktemp("tunes") / "book.abc"
    path.write_text("\n".join(book))
    return str(path)


@pytest.fixture(scope="module")
def built(tunes, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "SHARD", 2)
        progress = list(build(CONFIG, folder, tunes=tunes))
    assert progress == [(0, 10), (2, 10), (4, 10), (5, 10), (7, 10), (9, 10), (10, 10)]
    return folder


@pytest.fixture
def copy(built, tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr(module, "SHARD", 2)
    return Path(shutil.copytree(built, tmp_path / "copy"))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


# --- without sound


@pytest.mark.parametrize(
    "change", [{"train": -1}, {"seconds": 0.0}, {"seconds": 61.0}, {"seconds": float("nan")}]
)
def test_sizes_that_cannot_be_built_are_refused(change):
    with pytest.raises(UserError, match=r"clips"):
        DatasetConfig(**change)


def test_lengths_are_whole_token_frames():
    assert DatasetConfig(seconds=5.12).frames == 128
    assert DatasetConfig(seconds=0.41).frames == 10


def test_test_clips_are_held_out_combinations_of_test_tunes(tunes):
    where = {score.title: sources.split(score) for score in sources.load_abc_folder(tunes).scores}
    for split in ("train", "valid", "test"):
        made = [arrange_clip(CONFIG, split, i, tunes) for i in range(60)]
        assert {m.attributes.held_out for m in made} == {split == "test"}
        assert {where[m.title] for m in made} == {split}


def test_clips_depend_on_seed_split_and_number_alone(tunes):
    def notes(config, split, index):
        made = arrange_clip(config, split, index, tunes)
        return made.title, made.attributes, made.notes.start.tolist(), made.notes.pitch.tolist()

    same = DatasetConfig(train=99, seconds=CONFIG.seconds, seed=CONFIG.seed)
    assert notes(CONFIG, "train", 7) == notes(same, "train", 7)
    other = DatasetConfig(seconds=CONFIG.seconds, seed=4)
    assert notes(CONFIG, "train", 7) != notes(other, "train", 7)
    assert notes(CONFIG, "train", 7) != notes(CONFIG, "train", 8)
    first = arrange_clip(CONFIG, "train", 0, tunes).attributes
    assert caption_clip(CONFIG, "train", 0, first) == caption_clip(same, "train", 0, first)
    assert caption_clip(CONFIG, "train", 0, first) != caption_clip(CONFIG, "train", 1, first)


def test_a_split_without_tunes_is_an_error(tmp_path):
    one = tmp_path / "one.abc"
    one.write_text("X:1\nT:Alone\nM:4/4\nL:1/8\nK:C\nCDEFGABc|\n")
    where = sources.split(sources.load_abc_folder(one).scores[0])
    empty = "test" if where != "test" else "train"
    with pytest.raises(UserError, match=f"no tune for split {empty}"):
        arrange_clip(CONFIG, empty, 0, str(one))


def test_missing_packages_and_fonts_surface_before_anything_is_made(tunes, tmp_path, monkeypatch):
    with pytest.raises(UserError, match=r"no sound font at .*nowhere\.sf2"):
        next(build(CONFIG, tmp_path / "a", font=str(tmp_path / "nowhere.sf2"), tunes=tunes))
    font = tmp_path / "some.sf2"
    font.write_bytes(b"never read so far")
    with pytest.raises(UserError, match=r"missing\.abc does not exist"):
        next(build(CONFIG, tmp_path / "a", font=str(font), tunes=tmp_path / "missing.abc"))

    def without_music21(name, package=None, found=importlib.util.find_spec):
        return None if name == "music21" else found(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", without_music21)
    module._scores.cache_clear()
    module._scores_of.cache_clear()
    with pytest.raises(UserError, match="scores need the package music21") as caught:
        next(build(CONFIG, tmp_path / "a", font=str(font)))
    assert caught.value.kind == "missing-extra"
    assert not (tmp_path / "a" / "config.json").exists()


def test_a_folder_without_a_data_set_is_refused(tmp_path):
    with pytest.raises(UserError, match="holds no music data set"):
        Dataset.open(tmp_path)
    (tmp_path / "config.json").write_text('{"train": 3}')
    with pytest.raises(UserError, match="lacks valid, test"):
        Dataset.open(tmp_path)


# --- with sound


@SOUND
def test_what_was_built_can_be_read_back(built, tunes):
    data = Dataset.open(built)
    assert data.config == CONFIG
    assert data.verify() == 10
    for split in ("train", "valid", "test"):
        records, audio = data.records(split), np.concatenate(data.audio(split))
        assert [r["clip"] for r in records] == list(range(CONFIG.count(split)))
        assert audio.shape == (CONFIG.count(split), CONFIG.frames * FRAME)
        assert audio.dtype == np.int16
        for record, samples in zip(records, audio, strict=True):
            made = arrange_clip(CONFIG, split, record["clip"], tunes)
            attributes = Attributes(**record["attributes"])
            assert attributes == made.attributes
            assert record["title"] == made.title
            assert record["captions"] == caption_clip(CONFIG, split, record["clip"], attributes)
            np.testing.assert_allclose(to_float(samples), render_clip(CONFIG, made), atol=1e-4)
            assert np.abs(to_float(samples)).max() > 0.3


@SOUND
def test_an_interrupted_build_ends_in_the_same_bytes(built, copy, tunes):
    (copy / "train" / "00001.jsonl").unlink()  # audio without a manifest is unfinished
    (copy / "train" / "00001.npy").write_bytes(b"half")
    (copy / "test" / "00001.npy").unlink()
    (copy / "test" / "00001.jsonl").unlink()
    progress = list(build(CONFIG, copy, tunes=tunes))
    assert progress == [(7, 10), (9, 10), (10, 10)]
    assert contents(copy) == contents(built)
    before = {p: p.stat().st_mtime_ns for p in copy.rglob("*.npy")}
    assert list(build(CONFIG, copy, tunes=tunes)) == [(10, 10)]
    assert {p: p.stat().st_mtime_ns for p in copy.rglob("*.npy")} == before


@SOUND
def test_workers_do_not_change_the_bytes(tunes, tmp_path):
    config = DatasetConfig(train=1, valid=1, test=1, seconds=0.2)
    for workers in (1, 2):
        progress = list(build(config, tmp_path / str(workers), tunes=tunes, workers=workers))
        assert progress == [(0, 3), (1, 3), (2, 3), (3, 3)]
    assert contents(tmp_path / "1") == contents(tmp_path / "2")


@SOUND
def test_another_configuration_font_or_set_of_tunes_is_refused(copy, tunes, tmp_path):
    for change, said in (
        (DatasetConfig(5, 2, 3, 0.4, seed=4), "seed = 3, not 4"),
        (DatasetConfig(6, 2, 3, 0.4, seed=3), "train = 5"),
    ):
        with pytest.raises(UserError, match=said):
            next(build(change, copy, tunes=tunes))
    fewer = tmp_path / "fewer.abc"
    fewer.write_text(Path(tunes).read_text().replace("T:Tune number 5\n", "T:Another tune\n"))
    with pytest.raises(UserError, match="begun with another set of tunes"):
        next(build(CONFIG, copy, tunes=fewer))
    font = tmp_path / "other.sf2"
    font.write_bytes(b"another font")
    with pytest.raises(UserError, match="begun with another sound font"):
        next(build(CONFIG, copy, tunes=tunes, font=str(font)))


@SOUND
def test_damage_is_found(copy):
    data = Dataset.open(copy)
    path = copy / "train" / "00000.npy"
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[-1000] ^= 1
    path.write_bytes(flipped)
    with pytest.raises(UserError, match=r"00000\.jsonl gives another checksum for clip 1") as caught:
        data.verify()
    assert "delete" in caught.value.mend
    path.write_bytes(whole[:-1000])
    for read in (data.verify, lambda: data.audio("train")):
        with pytest.raises(UserError, match=r"00000\.jsonl stands beside missing or damaged audio"):
            read()
    path.write_bytes(whole)
    manifest = copy / "valid" / "00000.jsonl"
    lines = manifest.read_text().splitlines()
    manifest.write_text(lines[0] + "\n")
    with pytest.raises(UserError, match="lists 1 clips, its audio has 2"):
        data.verify()
    manifest.write_text(lines[0] + "\n" + lines[1][:50])
    with pytest.raises(UserError, match=r"valid/00000\.jsonl is damaged"):
        data.records("valid")


@SOUND
def test_a_data_set_of_before_checksums_of_its_ingredients_opens_and_continues(copy, tunes):
    stored = json.loads((copy / "config.json").read_text())
    del stored["made_from"]
    (copy / "config.json").write_text(json.dumps(stored))
    assert Dataset.open(copy).config == CONFIG
    assert list(build(CONFIG, copy, tunes=tunes)) == [(10, 10)]
