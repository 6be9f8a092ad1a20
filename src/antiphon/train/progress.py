"""How far a fit has come, on stderr: a live bar on a terminal, plain lines elsewhere, or nothing."""

import math
import os
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from antiphon.train.errors import RunError

Mode = Literal["auto", "live", "plain", "quiet"]
_VARIABLE = "ANTIPHON_PROGRESS"
_PLAIN_INTERVAL = 10.0  # seconds between plain lines: a log of a night stays readable


class Progress:
    """Shows steps done, steps/s, time left and chosen metrics; ``say`` prints a line beside them."""

    def __init__(
        self, name: str, steps: int, *, start: int = 0, show: Sequence[str] = (), mode: Mode = "auto"
    ):
        """Start showing.

        Args:
            name: Name of the fit.
            steps: Steps to do.
            start: Steps done in earlier sessions.
            show: Metrics to show; empty shows the first three.
            mode: ``auto`` is ``live`` on a terminal and ``plain`` elsewhere, unless the environment variable
                ``ANTIPHON_PROGRESS`` says otherwise; ``quiet`` shows notices only.

        Raises:
            RunError: The mode is not known.
        """
        self._name, self._steps, self._start, self._show = name, steps, start, tuple(show)
        self._mode = _resolve(mode)
        self._origin: tuple[float, int] | None = None
        self._last_line = time.monotonic()
        self._bar: Any = None
        self._task: Any = None
        if self._mode == "live":
            self._bar = _live_bar()
            self._task = self._bar.add_task(name, total=steps, completed=start, numbers="compiling")
            self._bar.start()

    def update(self, step: int, metrics: Mapping[str, float]) -> None:
        """Show that ``step`` steps are done, with the newest metrics."""
        now = time.monotonic()
        # The first chunk holds the compilation, so the rate counts from its end.
        if self._origin is None:
            self._origin = (now, step)
            rate = math.nan
        else:
            rate = (step - self._origin[1]) / max(now - self._origin[0], 1e-9)
        chosen = self._show or tuple(metrics)[:3]
        numbers = [f"{name} {metrics[name]:.4g}" for name in chosen if name in metrics]
        if not math.isnan(rate):
            left = (self._steps - step) / rate if rate > 0 else math.inf
            numbers = [f"{rate:.3g} steps/s", f"{_clock(left)} left", *numbers]
        if self._bar is not None:
            self._bar.update(self._task, completed=step, numbers=" · ".join(numbers))
        elif self._mode == "plain" and (now - self._last_line >= _PLAIN_INTERVAL or step >= self._steps):
            self._last_line = now
            self.say(f"{self._name}: " + " · ".join([f"{step}/{self._steps}", *numbers]))

    def say(self, message: str) -> None:
        """Print one line on stderr."""
        if self._bar is not None:
            self._bar.console.print(message, markup=False, highlight=False, soft_wrap=True)
        else:
            say(message)

    def close(self) -> None:
        """Stop showing; the bar stays as it was."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def say(message: str) -> None:
    """Print one line on stderr."""
    print(message, file=sys.stderr, flush=True)


def _resolve(mode: str) -> str:
    if mode == "auto":
        mode = os.environ.get(_VARIABLE, "auto")
    if mode == "auto":
        return "live" if sys.stderr.isatty() else "plain"
    if mode not in ("live", "plain", "quiet"):
        raise RunError(f"Progress mode {mode!r} is not known", "use auto, live, plain or quiet")
    return mode


def _live_bar() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn(), TimeElapsedColumn(),
        TextColumn("{task.fields[numbers]}", markup=False),
    )  # fmt: skip
    return Progress(*columns, console=Console(stderr=True), refresh_per_second=4)


def _clock(seconds: float) -> str:
    if not math.isfinite(seconds):
        return "?"
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"
