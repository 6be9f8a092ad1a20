"""The door: help without jax, unknown commands, exit statuses, and one sentence for each mistake."""

import importlib.util
import json
import os
import subprocess
import sys
import types

import pytest

from antiphon.cli.errors import Problem, Stopped, problem_of
from antiphon.cli.main import COMMANDS, main
from antiphon.core.errors import UserError
from antiphon.train.errors import Interrupted, RunError


@pytest.mark.parametrize("words", [["--help"], ["list"], ["list", "--json"], ["run", "--help"], ["rnu"]])
def test_no_jax_is_imported(words):
    program = (
        "import sys\nfrom antiphon.cli.main import main\n"
        f"main({words!r})\n"
        "heavy = {'jax', 'numpy', 'antiphon.report.page'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_package_runs_as_a_module():
    done = subprocess.run(
        [sys.executable, "-m", "antiphon", "--version"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("antiphon ")


def test_help_names_every_command(capsys):
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(f"  {command.name}" in out for command in COMMANDS)


def test_every_command_but_the_worlds_is_here():
    for command in COMMANDS:
        if command.name != "music":
            assert importlib.util.find_spec(command.module) is not None


def test_a_world_owns_its_verbs(monkeypatch):
    heard = []
    module = types.ModuleType("antiphon.cli.music")
    module.main = lambda argv: heard.append(list(argv)) or 7
    monkeypatch.setitem(sys.modules, "antiphon.cli.music", module)
    assert main(["music", "generate", "--seed", "3"]) == 7
    assert heard == [["generate", "--seed", "3"]]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["rnu"], "did you mean 'run'?"),
        ([], "no command was given"),
        (["run", "musicr"], "did you mean 'musicrl'?"),
        (["run", "musicrl", "--size", "huge"], "--size"),
        (["run", "musicrl", "--sede", "3"], "--sede"),
        (["run"], "study"),
        (["report", "nowhere"], "nowhere"),
        (["compare", "one"], "two or more"),
        (["run", "musicrl", "--seed", "x"], "--seed"),
    ],
)
def test_wrong_usage_is_one_sentence_and_status_two(words, said, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    err = capsys.readouterr().err.strip()
    assert said in err
    assert len(err.splitlines()) == 1
    assert err.startswith("antiphon: ")
    assert "; " in err  # a mend follows


def test_an_error_is_the_last_line_of_json(capsys):
    assert main(["run", "nothing-like-it", "--json"]) == 2
    out = capsys.readouterr().out.strip().splitlines()
    error = json.loads(out[-1])["error"]
    assert error["kind"] == "study"
    assert "nothing-like-it" in error["message"]
    assert "musicrl" in error["mend"]


def test_a_closed_pipe_is_no_error():
    reading, writing = os.pipe()
    os.close(reading)
    program = "import sys; from antiphon.cli.main import main; sys.exit(main(['list']))"
    done = subprocess.run(
        [sys.executable, "-c", program], stdout=writing, stderr=subprocess.PIPE, check=False
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


def raised_here(error):
    try:
        raise error
    except BaseException as caught:
        return caught


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (UserError("file", "a is b.", "do c."), Problem(2, "file", "a is b", "do c")),
        (
            ModuleNotFoundError("No module", name="soundfile.x"),
            Problem(
                2,
                "missing-extra",
                "this needs soundfile, which is not installed",
                "run: pip install 'antiphon[music]'",
            ),
        ),
        (Stopped("it was stopped", "go on"), Problem(1, "interrupted", "it was stopped", "go on")),
        (KeyboardInterrupt(), Problem(1, "interrupted", "stopped by the keyboard", "")),
        (RunError("the disk is full", "free some"), Problem(1, "run", "the disk is full", "free some")),
        (
            Interrupted("stopped", "resume", run_path=None, signal_number=2, step=3, state=None),
            Problem(1, "interrupted", "stopped", "resume"),
        ),
        (ModuleNotFoundError("No module", name="elsewhere"), None),
        (ValueError("from the test, not from antiphon"), None),
        (ZeroDivisionError("oh"), None),
    ],
)
def test_each_exception_has_its_status(error, problem):
    found = problem_of(raised_here(error))
    if problem is None:
        assert (found.status, found.surprise) == (1, True)
        assert type(error).__name__ in found.sentence
    else:
        assert found == problem


def test_a_sentence_of_antiphon_itself_is_bad_input():
    from antiphon.train.media import Series

    with pytest.raises(ValueError, match="give one y") as caught:
        Series("a", (1.0, 2.0), (1.0,))
    found = problem_of(caught.value)
    assert (found.status, found.kind, found.surprise) == (2, "value", False)
    assert found.mend == "give one y for each x."
