"""The media record: what is written is read back, and what does not fit is refused."""

import json
import math
import subprocess
import sys

import numpy as np
import pytest

from antiphon.core.errors import UserError
from antiphon.train.media import Clip, Figure, Image, Media, Pair, Series, Table, read_media, write_media


def test_round_trip(tmp_path):
    (tmp_path / "media").mkdir()
    for name in ("a.wav", "b.png"):
        (tmp_path / "media" / name).write_bytes(b"x")
    series = Series("s", np.arange(3), np.array([0.1, np.nan, 0.3], np.float32), [0, 0, 0], [1, 1, 1])
    media = Media(
        story="Once.",
        figures=(Figure("f", "x", "y", (series,)), Figure("g", "x", "y", (Series("t", ["u"], [1]),), "bar")),
        pairs=(Pair("p", (Clip("before", "media/a.wav", {"text": 0.5}),), "n"),),
        tables=(Table("t", ("a", "b"), ((1, "two"), (None, 2.5))),),
        images=(Image("i", "media/b.png"),),
    )
    path = write_media(tmp_path, media)
    assert path == tmp_path / "media" / "media.json"
    assert set(json.loads(path.read_text())) == {"story", "figures", "pairs", "tables", "images"}
    back = read_media(tmp_path)
    assert math.isnan(back.figures[0].series[0].y[1])
    assert back.figures[0].series[0].x == (0, 1, 2)
    assert (back.story, back.figures[1], back.pairs, back.tables, back.images) == (
        media.story, media.figures[1], media.pairs, media.tables, media.images,
    )  # fmt: skip
    assert read_media(tmp_path / "media") == Media()


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda: Series("s", (1.0, 2.0), (1.0,)), "give one y for each x"),
        (lambda: Series("s", (1.0,), (1.0,), (1.0,)), "give both for every value or neither"),
        (lambda: Series("s", (1.0,), (1.0,), (1.0, 2.0), (1.0, 2.0)), "give both"),
        (lambda: Figure("f", "x", "y", (), "pie"), "use line, bar or scatter"),  # pyright: ignore
        (lambda: Figure("f", "x", "y", (Series("s", ("a",), (1.0,)),)), "make it a bar figure"),
        (lambda: Table("t", ("a",), ((1, 2),)), "one cell for each column"),
    ],
)
def test_what_does_not_fit_is_refused_when_it_is_built(build, said):
    with pytest.raises(ValueError, match=said):
        build()


def test_files_must_be_there_and_records_whole(tmp_path):
    with pytest.raises(UserError, match=r"names media/no\.wav"):
        write_media(tmp_path, Media(pairs=(Pair("p", (Clip("a", "media/no.wav"),)),)))
    (tmp_path / "media").mkdir()
    for broken in ('{"story"', "[]", '{"tables": [{"title": "t"}]}', '{"figures": [{"title": "t"}]}'):
        (tmp_path / "media" / "media.json").write_text(broken)
        with pytest.raises(UserError, match="is not a media record"):
            read_media(tmp_path)


def test_no_jax():
    program = "import sys, antiphon.train.media, antiphon.report; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
