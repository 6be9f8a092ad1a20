"""Pieces of a study: done once, kept whole, refused when damaged."""

import numpy as np
import pytest

from antiphon.train.errors import RunError
from antiphon.train.pieces import done_once
from antiphon.train.run_directory import RunDirectory


def test_a_piece_is_found_again_and_not_done_twice(tmp_path):
    run = RunDirectory.create("s", {"a": 1}, seed=0, root=tmp_path)
    calls = []

    def make():
        calls.append(1)
        return {"law": np.arange(3.0), "kl": 2.5}

    first = done_once(run, "0.5/world", make)
    again = done_once(RunDirectory.open(run.path), "0.5/world", make)
    assert calls == [1]
    for found in (first, again):
        np.testing.assert_array_equal(found["law"], [0.0, 1.0, 2.0])
        assert float(found["kl"]) == 2.5
    done_once(run, "0.5/other", make)
    assert calls == [1, 1]


@pytest.mark.parametrize("content", [b"", b"PK nothing", b"x" * 100])
def test_a_damaged_piece_is_named(tmp_path, content):
    run = RunDirectory.create("s", {"a": 1}, seed=0, root=tmp_path)
    done_once(run, "one", lambda: {"kl": 1.0})
    path = run.checkpoints / "pieces" / "one.npz"
    path.write_bytes(content)
    with pytest.raises(RunError, match=r"one\.npz is damaged"):
        done_once(run, "one", lambda: {"kl": 1.0})
