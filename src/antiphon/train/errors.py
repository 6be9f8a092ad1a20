"""What can go wrong in a run, each in one sentence that names the thing and the mend."""

from pathlib import Path
from typing import Any


class RunError(RuntimeError):
    """A run that cannot start or go on; ``message`` says why and ``mend`` what to do."""

    kind = "run"

    def __init__(self, message: str, mend: str):
        super().__init__(message, mend)
        self.message, self.mend = message, mend

    def __str__(self) -> str:
        return f"{self.message}; {self.mend}."


class NotFinite(RunError):
    """A fit stopped by a metric that became NaN or infinite; the last good checkpoint is kept.

    Attributes:
        metric: Which one.
        step: The step that made it, the first being 1; its batch was that of step − 1.
    """

    def __init__(self, message: str, mend: str, *, metric: str, step: int):
        super().__init__(message, mend)
        self.metric, self.step = metric, step

    def __reduce__(self) -> Any:
        return _rebuild_not_finite, (self.message, self.mend, self.metric, self.step)


class Interrupted(RunError):
    """A fit stopped by SIGINT or SIGTERM after a whole chunk, with its progress kept.

    Attributes:
        run_path: Directory to resume, or ``None`` when the fit had no run directory.
        signal_number: The signal; a process conventionally exits with 128 plus this.
        step: Steps done.
        state: The state after ``step`` steps.
    """

    def __init__(
        self, message: str, mend: str, *, run_path: Path | None, signal_number: int, step: int, state: Any
    ):
        super().__init__(message, mend)
        self.run_path, self.signal_number, self.step, self.state = run_path, signal_number, step, state

    def __reduce__(self) -> Any:
        return _rebuild_interrupted, (
            self.message, self.mend, self.run_path, self.signal_number, self.step, self.state,
        )  # fmt: skip


def _rebuild_not_finite(message: str, mend: str, metric: str, step: int) -> NotFinite:
    return NotFinite(message, mend, metric=metric, step=step)


def _rebuild_interrupted(
    message: str, mend: str, run_path: Path | None, signal_number: int, step: int, state: Any
) -> Interrupted:
    return Interrupted(message, mend, run_path=run_path, signal_number=signal_number, step=step, state=state)
