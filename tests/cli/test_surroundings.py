"""The compilation cache, the benches, and the list."""

import json
import os

import pytest

from antiphon.cli import bench
from antiphon.cli.compilation import keep_compilations
from antiphon.cli.main import main
from antiphon.cli.output import show_table
from antiphon.core.errors import UserError
from antiphon.studies import registry


def test_the_cache_goes_where_the_user_keeps_caches(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.platform", "linux")
    environment = {"XDG_CACHE_HOME": str(tmp_path)}
    folder = keep_compilations(environment)
    assert folder is not None
    assert folder.is_relative_to(tmp_path / "antiphon")
    assert environment["JAX_COMPILATION_CACHE_DIR"] == str(folder)
    assert list(folder.iterdir()) == []


def test_a_chosen_cache_stays_chosen(tmp_path):
    environment = {"JAX_COMPILATION_CACHE_DIR": "/elsewhere", "XDG_CACHE_HOME": str(tmp_path)}
    assert str(keep_compilations(environment)) == "/elsewhere"
    assert keep_compilations({"JAX_COMPILATION_CACHE_DIR": ""}) is None
    assert list(tmp_path.iterdir()) == []


def test_a_cache_that_cannot_be_written_does_no_harm(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.platform", "linux")
    (tmp_path / "file").write_text("")
    environment = {"XDG_CACHE_HOME": str(tmp_path / "file")}
    assert keep_compilations(environment) is None
    assert "JAX_COMPILATION_CACHE_DIR" not in environment


def test_benches_run_alone_and_their_last_line_is_kept(tmp_path, monkeypatch, capfd):
    (tmp_path / "music").mkdir()
    program = 'import sys, json\nprint("words")\nprint(json.dumps({"peers": "--peers" in sys.argv}))\n'
    (tmp_path / "music" / "decoding.py").write_text(program)
    (tmp_path / "text_decoding.py").write_text("raise SystemExit(3)\n")
    monkeypatch.setattr(bench, "benches_folder", lambda: tmp_path)
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", os.devnull)
    assert main(["bench", "music", "--peers", "--json"]) == 0
    said = json.loads(capfd.readouterr().out.strip().splitlines()[-1])
    assert said == {"benches": [{"bench": "music/decoding", "result": {"peers": True}}], "failed": []}
    assert main(["bench"]) == 1
    captured = capfd.readouterr()
    assert "words" in captured.out
    assert "text_decoding left with status 3" in captured.err
    assert main(["bench", "musci"]) == 2
    assert "did you mean 'music'?" in capfd.readouterr().err


def test_an_installed_package_says_how_to_get_the_benches(tmp_path):
    with pytest.raises(UserError, match="pip install -e"):
        bench.benches_folder(tmp_path / "site-packages" / "antiphon")


def test_list_is_the_registry(capsys):
    assert main(["list", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert set(said) == {"studies", "methods", "worlds"}
    assert [study["name"] for study in said["studies"]] == [entry.name for entry in registry.STUDIES]
    assert {"name": "musicrl", "paper": "arXiv 2402.04229"}.items() <= said["studies"][0].items()
    assert main(["list"]) == 0
    assert "arXiv 2402.04229" in capsys.readouterr().out


def test_a_plain_table_is_aligned(capsys):
    show_table(("a", "long name"), [("xyz", "[1, 2]"), ("z", "")], "T")
    assert capsys.readouterr().out == "T\na    long name\n---  ---------\nxyz  [1, 2]\nz\n"
