import io

import pytest

from antiphon.train import progress
from antiphon.train.errors import RunError
from antiphon.train.progress import Progress


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def drive(display, clock):
    for step in (10, 20, 30, 40):
        clock[0] += 5
        display.update(step, {"loss": 1 / step, "a": 1, "b": 2, "c": 3})
    display.close()


def test_plain_lines_are_few_and_say_how_long(capsys, clock):
    drive(Progress("train", 40, mode="plain"), clock)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "train: 20/40 · 2 steps/s · 0:10 left · loss 0.05 · a 1 · b 2",
        "train: 40/40 · 2 steps/s · 0:00 left · loss 0.025 · a 1 · b 2",
    ]


def test_chosen_metrics_quiet_mode_and_the_environment(capsys, clock, monkeypatch):
    drive(Progress("train", 40, show=["c"], mode="plain"), clock)
    assert "left · c 3\n" in capsys.readouterr().err
    monkeypatch.setenv("ANTIPHON_PROGRESS", "quiet")
    display = Progress("train", 40)
    display.say("a notice")
    drive(display, clock)
    assert capsys.readouterr().err == "a notice\n"
    monkeypatch.setenv("ANTIPHON_PROGRESS", "loud")
    with pytest.raises(RunError, match="'loud' is not known; use auto, live, plain or quiet"):
        Progress("train", 40)


def test_live_bar_goes_to_stderr(monkeypatch, capsys):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    monkeypatch.setattr(progress.sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.delenv("ANTIPHON_PROGRESS", raising=False)
    display = Progress("train [b]", 40)
    display.update(10, {"loss": 0.5})
    display.say("resumed [here]")
    display.update(40, {"loss": 0.25})
    display.close()
    shown = terminal.getvalue()
    assert "40/40" in shown
    assert "loss 0.25" in shown
    assert "resumed [here]" in shown
    assert capsys.readouterr().out == ""
