import dataclasses
import errno
import json
import os

import pytest

from antiphon.train import files, run_directory
from antiphon.train.errors import RunError
from antiphon.train.findings import Finding
from antiphon.train.run_directory import RunDirectory


@dataclasses.dataclass(frozen=True)
class Model:
    width: int = 8
    rate: float = 0.1


@dataclasses.dataclass(frozen=True)
class Config:
    model: Model = Model()
    sizes: tuple[int, ...] = (1, 2)
    note: str | None = None
    limit: float = float("inf")


def test_create_writes_what_describes_the_run(tmp_path):
    run = RunDirectory.create("nlhf", Config(), seed=3, size="smoke", root=tmp_path)
    assert run.path.parent == tmp_path / "nlhf"
    assert run.path.name.endswith("-s3")
    assert (run.study, run.seed) == ("nlhf", 3)
    assert run.config["model"] == {"width": 8, "rate": 0.1}
    assert run.checkpoints.is_dir()
    assert run.media.is_dir()
    environment = json.loads((run.path / "environment.json").read_text())
    assert environment["versions"]["python"].startswith("3.")
    assert environment["cores"] == os.cpu_count()
    assert run.read_findings() == []
    run.write_findings([Finding("a", "c", "s", 1, 2, None, False)])
    assert run.read_findings()[0].holds is False
    assert sorted(p.name for p in run.path.parent.iterdir()) == [run.path.name]


def test_two_runs_of_one_second_get_two_directories(tmp_path, monkeypatch):
    monkeypatch.setattr(run_directory.time, "strftime", lambda _: "20260101T000000")
    names = [RunDirectory.create("s", {}, seed=0, root=tmp_path).path.name for _ in range(3)]
    assert names == ["20260101T000000-s0", "20260101T000000-s0-2", "20260101T000000-s0-3"]


def test_resume_refuses_another_configuration_and_names_the_field(tmp_path):
    run = RunDirectory.create("s", Config(), seed=0, root=tmp_path)
    assert RunDirectory.resume(run.path, Config()) == run
    with pytest.raises(
        RunError, match=r"made with config\.model\.rate = 0\.1 but 0\.2 is given; resume with"
    ):
        RunDirectory.resume(run.path, Config(Model(rate=0.2)))
    with pytest.raises(RunError, match=r"config\.sizes = \[1, 2\] but \[1\] is given"):
        RunDirectory.resume(run.path, Config(sizes=(1,)))
    with pytest.raises(RunError, match=r"config\.extra = 'nothing' but 1 is given"):
        RunDirectory.resume(run.path, files.plain(Config()) | {"extra": 1})
    with pytest.raises(RunError, match=r"is not a run directory \(no config\.json\)"):
        RunDirectory.open(tmp_path)


def test_resume_elsewhere_is_said_and_recorded(tmp_path, monkeypatch):
    run = RunDirectory.create("s", {}, seed=0, root=tmp_path)
    said = []
    RunDirectory.resume(run.path, {}, say=said.append)
    assert said == []
    here = run_directory.describe_environment()
    monkeypatch.setattr(run_directory, "describe_environment", lambda: here | {"cpu": "abacus"})
    RunDirectory.resume(run.path, {}, say=said.append)
    assert "is now 'abacus'" in said[0]
    sessions = json.loads((run.path / "environment.json").read_text())["resumed_on"]
    assert [session["cpu"] for session in sessions] == ["abacus"]


def test_a_run_is_written_by_one_process_at_a_time(tmp_path):
    run = RunDirectory.create("s", {}, seed=0, root=tmp_path)
    with run.held(), pytest.raises(RunError, match="being written by another process"), run.held():
        pass
    with run.held():  # freed on leaving
        pass


def test_full_disk_leaves_nothing_half_written(tmp_path, monkeypatch):
    run = RunDirectory.create("s", {}, seed=0, root=tmp_path)
    run.write_findings([Finding("a", "c", "s", 1, 1)])

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(RunError, match=r"findings\.json: no space left on device; free some disk space"):
        run.write_findings([])
    with pytest.raises(RunError, match="no space left on device"):
        RunDirectory.create("t", {}, seed=0, root=tmp_path)
    monkeypatch.undo()
    assert len(run.read_findings()) == 1
    assert not [path for path in tmp_path.rglob("*") if path.name.endswith(".tmp")]
    assert list((tmp_path / "t").iterdir()) == []


def test_values_without_json_form_are_refused(tmp_path):
    with pytest.raises(RunError, match="A function cannot be written as JSON"):
        RunDirectory.create("s", {"loss": lambda: 0}, seed=0, root=tmp_path)
    assert list(tmp_path.iterdir()) == []
