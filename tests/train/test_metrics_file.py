import errno
import math
import sys
import types

import pytest

from antiphon.train import metrics
from antiphon.train.errors import RunError
from antiphon.train.metrics import MetricsFile, Record, drop_after, read_metrics


def records(*steps, fit="a"):
    return [Record(fit, step, 0.5 * step, {"loss": 1.0 / step, "count": step}) for step in steps]


def write(path, some):
    file = MetricsFile(path)
    file.append(some)
    file.close()


def test_round_trip_with_numbers_json_lacks(tmp_path):
    odd = Record("a", 3, 0.0, {"x": math.nan, "y": math.inf, "z": -math.inf})
    write(tmp_path / "m", [*records(1, 2), odd])
    read = read_metrics(tmp_path / "m")
    assert read[:2] == records(1, 2)
    assert math.isnan(read[2].values["x"])
    assert (read[2].values["y"], read[2].values["z"]) == (math.inf, -math.inf)
    assert b"NaN" in (tmp_path / "m").read_bytes()
    assert read_metrics(tmp_path / "missing") == []


def test_torn_last_line_is_skipped_and_said(tmp_path):
    write(tmp_path / "m", records(1, 2, 3))
    whole = (tmp_path / "m").read_bytes()
    for cut in (1, 10, 30):
        (tmp_path / "m").write_bytes(whole[:-cut])
        said = []
        kept = read_metrics(tmp_path / "m", say=said.append)
        assert kept == records(1, 2, 3)[: 3 if cut == 1 else 2]
        assert len(said) == (cut > 1)
    assert "1 torn line(s)" in said[0]
    assert "line 3" in said[0]
    assert drop_after(tmp_path / "m", "a", 2) == 0
    write(tmp_path / "m", records(3))
    assert (tmp_path / "m").read_bytes() == whole


def test_resuming_drops_later_records_of_that_fit_only(tmp_path):
    write(tmp_path / "m", records(1, 2, 3) + records(1, 2, fit="b"))
    assert drop_after(tmp_path / "m", "b", 1) == 1
    assert drop_after(tmp_path / "m", "a", 1) == 2
    assert read_metrics(tmp_path / "m") == records(1) + records(1, fit="b")


def test_full_disk_takes_the_batch_back(tmp_path, monkeypatch):
    file = MetricsFile(tmp_path / "m")
    file.append(records(1))
    before = (tmp_path / "m").read_bytes()
    write_really = metrics.os.write
    calls = []

    def nearly_full(descriptor, data):
        calls.append(len(data))
        if len(calls) > 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write_really(descriptor, data[:20])

    monkeypatch.setattr(metrics.os, "write", nearly_full)
    with pytest.raises(RunError, match=r"/m: no space left on device; free some disk space, then resume"):
        file.append(records(2, 3))
    monkeypatch.undo()
    assert (tmp_path / "m").read_bytes() == before
    file.append(records(2))
    file.close()
    assert read_metrics(tmp_path / "m") == records(1, 2)


def test_tensorboard_is_optional_and_missed_clearly(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(RunError, match=r"tensorboardX is not installed; run `pip install"):
        MetricsFile(tmp_path / "m", tensorboard=tmp_path / "board")
    seen = []

    class SummaryWriter:
        def __init__(self, folder):
            seen.append(folder)

        def add_scalar(self, name, value, step):
            seen.append((name, value, step))

        def close(self):
            seen.append("closed")

    monkeypatch.setitem(sys.modules, "tensorboardX", types.SimpleNamespace(SummaryWriter=SummaryWriter))
    file = MetricsFile(tmp_path / "m", tensorboard=tmp_path / "board")
    file.append(records(2))
    file.close()
    assert seen == [str(tmp_path / "board"), ("a/loss", 0.5, 2), ("a/count", 2, 2), "closed"]
