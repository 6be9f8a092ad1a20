import errno
import os

import pytest

from antiphon.core import files


def test_the_new_content_takes_the_place_of_the_old_at_the_end(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    with files.whole_file(path) as file:
        file.write(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["a"]


def test_a_block_that_fails_leaves_the_old_content_and_nothing_else(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    with pytest.raises(TypeError, match="bytes-like"), files.whole_file(path) as file:
        file.writelines([b"half", "text"])
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a"]


def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"), files.whole_file(tmp_path / "a") as file:
        file.write(b"new")
    assert os.listdir(tmp_path) == []


def test_sha256_of_a_file(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    # FIPS 180-2, appendix B.1
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert files.file_sha256(tmp_path / "a") == expected
