import signal
import subprocess
import sys
from pathlib import Path

from antiphon.train.metrics import read_metrics
from antiphon.train.run_directory import RunDirectory

SCRIPT = Path(__file__).with_name("fit_in_a_process.py")


def start(run, *arguments):
    command = [sys.executable, str(SCRIPT), str(run.path), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_killed_and_terminated_runs_resume_bit_for_bit(tmp_path):
    runs = {
        name: RunDirectory.create("walk", {}, seed=1, root=tmp_path) for name in ("whole", "kill", "term")
    }
    first = {
        "whole": start(runs["whole"]),
        "kill": start(runs["kill"], 12, "SIGKILL"),
        "term": start(runs["term"], 12, "SIGTERM"),
    }
    ends = {name: (*process.communicate(timeout=120), process.returncode) for name, process in first.items()}
    whole = ends["whole"][0].strip()
    assert ends["whole"][2] == 0, ends["whole"][1]
    assert len(whole) == 64
    assert ends["kill"][2] == -signal.SIGKILL
    assert ends["term"][2] == 128 + signal.SIGTERM
    assert "SIGTERM stopped fit 'train' after step 12 of 24, all of it saved in" in ends["term"][1]
    assert f"go on with `antiphon run walk --resume {runs['term'].path}`." in ends["term"][1]

    # SIGKILL came after the numbers of step 12 were written and before its checkpoint.
    again = {name: start(runs[name]) for name in ("kill", "term")}
    for name, resumed_at in (("kill", 8), ("term", 12)):
        out, err = again[name].communicate(timeout=120)
        assert again[name].returncode == 0, err
        assert out.strip() == whole
        assert f"Fit 'train' resumes at step {resumed_at} of 24" in err
    expected = [(record.step, record.values) for record in read_metrics(runs["whole"].metrics)]
    assert len(expected) == 24
    for name in ("kill", "term"):
        assert [(record.step, record.values) for record in read_metrics(runs[name].metrics)] == expected
