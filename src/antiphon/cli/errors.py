"""From an exception to a sentence, a JSON object, and an exit status."""

import sys
import traceback
from dataclasses import dataclass
from pathlib import Path

import antiphon
from antiphon.cli.output import emit, say
from antiphon.core.errors import UserError

EXTRAS = {
    "soundfile": "music",
    "soxr": "music",
    "music21": "music",
    "pretty_midi": "music",
    "onnxruntime": "music",
    "tokenizers": "text",
    "pyarrow": "data",
    "jinja2": "text",
    "gymnasium": "control",
    "mujoco": "control",
    "matplotlib": "report",
    "rclpy": "ros2",
    "rosbags": "ros2",
    "tensorboardX": "tensorboard",
}
"""Which extra brings an optional package."""


class Stopped(Exception):
    """A run that somebody stopped and that can be resumed."""

    def __init__(self, message: str, mend: str) -> None:
        super().__init__(message, mend)
        self.message, self.mend = message, mend


@dataclass(frozen=True)
class Problem:
    """What is said of an exception.

    Attributes:
        status: 1 a run failed, 2 wrong usage or bad input.
        kind: a short noun for programs.
        message: what is wrong.
        mend: what to do; may be empty.
        surprise: whether nobody foresaw it, so that the traceback is worth showing.
    """

    status: int
    kind: str
    message: str
    mend: str
    surprise: bool = False

    @property
    def sentence(self) -> str:
        """Message and mend as one sentence."""
        return f"{self.message.rstrip('. ')}; {self.mend.rstrip('. ')}." if self.mend else self.message


def explain(error: BaseException, as_json: bool) -> int:
    """Says what went wrong on stderr, with ``--json`` also on stdout as an object; returns the status."""
    problem = problem_of(error)
    if problem.surprise:
        say("".join(traceback.format_exception(error)).rstrip())
    say(f"antiphon: {problem.sentence}")
    if as_json:
        emit({"error": {"kind": problem.kind, "message": problem.message, "mend": problem.mend}})
    return problem.status


def problem_of(error: BaseException) -> Problem:
    """What to say of an exception."""
    if isinstance(error, UserError):
        return Problem(2, error.kind, error.message, error.mend)
    if isinstance(error, KeyboardInterrupt):
        return Problem(1, "interrupted", "stopped by the keyboard", "")
    if isinstance(error, Stopped):
        return Problem(1, "interrupted", error.message, error.mend)
    run_error = _run_error(error)
    if run_error is not None:
        return run_error
    if isinstance(error, ModuleNotFoundError) and error.name:
        extra = EXTRAS.get(error.name.split(".")[0])
        if extra:
            return Problem(
                2, "missing-extra", f"this needs {error.name.split('.')[0]}, which is not installed",
                f"run: pip install 'antiphon[{extra}]'",
            )  # fmt: skip
    if isinstance(error, ValueError) and _raised_by_antiphon(error):
        # House rule: what antiphon raises while something is built is a sentence for its user.
        message, _, mend = str(error).rpartition("; ")
        return Problem(2, "value", message or mend, mend if message else "")
    return Problem(1, type(error).__name__, f"{type(error).__name__}: {error}", "", surprise=True)


def _run_error(error: BaseException) -> Problem | None:
    """A run that cannot start or go on; its class is only there if something of ``train`` was imported."""
    if "antiphon.train.errors" not in sys.modules:
        return None
    from antiphon.train.errors import Interrupted, RunError

    if not isinstance(error, RunError):
        return None
    kind = "interrupted" if isinstance(error, Interrupted) else "run"
    return Problem(1, kind, error.message, error.mend)


def _raised_by_antiphon(error: BaseException) -> bool:
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    home = Path(antiphon.__file__).parent
    return last is not None and Path(last.tb_frame.f_code.co_filename).is_relative_to(home)
