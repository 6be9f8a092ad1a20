"""What runs on the host between chunks of a fit."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from antiphon.train.errors import RunError
from antiphon.train.run_directory import RunDirectory


@dataclass(frozen=True)
class FitInfo:
    """Where a fit stands after a chunk.

    Attributes:
        name: Name of the fit.
        step: Steps done.
        previous_step: Steps done before this chunk.
        steps: Steps to do.
        state: State after ``step`` steps. Its arrays are given to the next chunk: copy what is kept.
        metrics: Each metric over the chunk, ``[step − previous_step]``.
        seconds: Wall time spent in this fit, over all its sessions.
        run: The run directory, if any.
    """

    name: str
    step: int
    previous_step: int
    steps: int
    state: Any
    metrics: Mapping[str, np.ndarray]
    seconds: float
    run: RunDirectory | None


@dataclass(frozen=True)
class Stop:
    """Returned by a hook to finish the fit early, with the reason."""

    reason: str


Hook = Callable[[FitInfo], Stop | None]


def every(steps: int, hook: Hook) -> Hook:
    """A hook called after each chunk that passes a multiple of ``steps``, and after the last.

    It depends on the step alone, so a resumed fit calls it where an uninterrupted one does.

    Raises:
        RunError: ``steps`` is not positive.
    """
    if steps < 1:
        raise RunError(f"A hook every {steps} steps is never due", "use a positive number of steps")

    def due(info: FitInfo) -> Stop | None:
        is_due = info.step // steps > info.previous_step // steps or info.step == info.steps
        return hook(info) if is_due else None

    return due
