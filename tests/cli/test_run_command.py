"""A study from the command line: settings, exit statuses, JSON, resuming, and the report."""

import json
import re
from pathlib import Path

import pytest

from antiphon.cli.main import main
from antiphon.cli.studying import find_study
from antiphon.core.errors import UserError


def last_json(capsys):
    return json.loads(capsys.readouterr().out.strip().splitlines()[-1])


def test_run_makes_a_directory_findings_and_a_report(study, capsys):
    assert main(["run", study, "--seed", "3", "--json"]) == 0
    said = last_json(capsys)
    assert (said["size"], said["seed"]) == ("smoke", 3)
    assert said["seconds"] >= 0
    directory = Path(said["run"])
    assert directory.parent == Path("runs/tones")
    assert said["findings"] == json.loads((directory / "findings.json").read_text())
    assert [finding["holds"] for finding in said["findings"]] == [True, False, None]
    saved = json.loads((directory / "config.json").read_text())
    assert (saved["seed"], saved["config"]["seed"]) == (3, 3)
    assert "Tones &amp; &lt;values&gt;" in (directory / "report.html").read_text()


def test_results_go_to_stdout_and_progress_to_stderr(study, capsys):
    assert main(["run", study]) == 0
    said = capsys.readouterr()
    assert "The value rises." in said.out
    assert "does not hold" in said.out
    assert re.search(r"report: runs/tones/\S+/report\.html", said.out)
    assert said.err.startswith("tones: runs/tones/")


def test_strict_fails_with_a_failed_claim_and_only_then(study, capsys):
    assert main(["run", study, "--strict"]) == 1
    assert "Claim falls does not hold" in capsys.readouterr().err
    assert main(["run", study, "--strict", "--set", "trouble=quiet"]) == 0
    assert main(["run", study]) == 0


def test_settings_reach_every_kind_of_field(study, capsys):
    words = ["--set", "steps=7", "rate=2e-1", "--set", "layers=8,9", "--set", "inner.width=6", "centred=true"]
    assert main(["run", study, "--size", "laptop", *words, "--json"]) == 0
    config = json.loads((Path(last_json(capsys)["run"]) / "config.json").read_text())["config"]
    assert (config["steps"], config["rate"], config["layers"]) == (7, 0.2, [8, 9])
    assert (config["inner"], config["centred"]) == ({"width": 6}, True)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("stesp=3", "did you mean 'steps'?"),
        ("steps=many", "many"),
        ("steps", "write --set FIELD=VALUE"),
        ("inner.widht=3", "did you mean 'width'?"),
        ("inner.width.more=3", "more"),
    ],
)
def test_a_wrong_setting_is_named(study, setting, said, capsys):
    assert main(["run", study, "--set", setting, "--json"]) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert json.loads(captured.out.strip().splitlines()[-1])["error"]["kind"] == "field"
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("trouble", "status", "said"),
    [
        ("user", 2, "notes.csv has no column 'pitch'; add the column."),
        ("extra", 2, "pip install 'antiphon[music]'"),
        ("crash", 1, "ZeroDivisionError: division by zero"),
        ("stop", 1, "antiphon run tones --resume runs/tones/"),
    ],
)
def test_what_goes_wrong_inside_a_study(study, trouble, status, said, capsys):
    assert main(["run", study, "--set", f"trouble={trouble}", "--json"]) == status
    captured = capsys.readouterr()
    assert said in captured.err
    assert ("Traceback" in captured.err) == (trouble == "crash")
    assert set(json.loads(captured.out.strip().splitlines()[-1])["error"]) == {"kind", "message", "mend"}


def test_a_run_is_resumed_in_its_own_directory_with_its_own_settings(study, capsys):
    assert main(["run", study, "--set", "layers=5,6,7", "rate=0.25", "--seed", "2", "--json"]) == 0
    first = last_json(capsys)
    assert main(["run", study, "--resume", first["run"], "--json"]) == 0
    again = last_json(capsys)
    assert {**again, "seconds": 0} == {**first, "seconds": 0}
    assert len(list(Path("runs/tones").iterdir())) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--seed", "5"], "leave out --seed"),
        (["--size", "gpu"], "leave out --size"),
        (["--set", "steps=50"], "config.steps"),
    ],
)
def test_a_resumed_run_keeps_its_settings(study, words, said, capsys):
    assert main(["run", study, "--json"]) == 0
    directory = last_json(capsys)["run"]
    assert main(["run", study, "--resume", directory, *words]) == 2
    assert said in capsys.readouterr().err


def test_only_a_run_of_the_same_study_is_resumed(study, capsys, tmp_path):
    assert main(["run", study, "--resume", str(tmp_path)]) == 2
    assert "config.json" in capsys.readouterr().err
    (tmp_path / "config.json").write_text('{"study": "other", "seed": 0, "size": "smoke", "config": {}}')
    assert main(["run", study, "--resume", str(tmp_path)]) == 2
    assert "antiphon run other --resume" in capsys.readouterr().err
    (tmp_path / "config.json").write_text(
        '{"study": "tones", "seed": 0, "size": "smoke", "config": {"gone": 1}}'
    )
    assert main(["run", study, "--resume", str(tmp_path)]) == 2
    assert "config.gone" in capsys.readouterr().err


def test_a_folder_that_cannot_be_made_is_bad_input(study, capsys, tmp_path):
    (tmp_path / "file").write_text("")
    assert main(["run", study, "--out", str(tmp_path / "file")]) == 2
    assert "file" in capsys.readouterr().err


def test_verify_runs_every_study_and_one_failure_spares_the_others(study, capsys, monkeypatch):
    from antiphon.studies import registry

    missing = registry.StudyEntry("absent", "arXiv 0000.00000", "Absent", "antiphon_no_such_study")
    assert main(["verify", "--json"]) == 0
    said = last_json(capsys)
    assert [one["study"] for one in said["studies"]] == ["tones"]
    assert said["studies"][0]["findings"][0]["id"] == "rises"
    assert main(["verify", "--strict"]) == 1
    assert "The value falls." in capsys.readouterr().out
    monkeypatch.setattr(registry, "STUDIES", (missing, *registry.STUDIES))
    assert main(["verify", "--json"]) == 1
    said = last_json(capsys)
    assert [one["study"] for one in said["failed"]] == ["absent"]
    assert [one["study"] for one in said["studies"]] == ["tones"]


def test_report_and_compare(study, capsys):
    directories = []
    for seed in ("0", "1"):
        assert main(["run", study, "--seed", seed, "--json"]) == 0
        directories.append(last_json(capsys)["run"])
    page = Path(directories[0]) / "report.html"
    text = page.read_text()
    page.unlink()
    assert main(["report", directories[0], "--json"]) == 0
    assert last_json(capsys)["report"] == str(page)
    assert page.read_text() == text
    assert main(["compare", *directories, "--html", "both.html", "--json"]) == 0
    said = last_json(capsys)
    assert [run["metrics"]["main/value"]["value"] for run in said["runs"]] == [2.5, 3.5]
    assert [run["seed"] for run in said["runs"]] == [0, 1]
    assert "2 runs compared" in Path("both.html").read_text()
    assert main(["compare", *directories]) == 0
    out = capsys.readouterr().out
    assert "2 [1.88, 2.12] · holds" in out
    assert "3.5 [3.5, 3.5]" in out


def test_a_study_is_found_by_the_name_of_its_module_too():
    assert find_study("nlhf_tokens") is find_study("nlhf-tokens")
    with pytest.raises(UserError, match="there is no study 'nlhf_token'"):
        find_study("nlhf_token")
