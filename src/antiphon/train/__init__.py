"""One loop, and what a run leaves behind.

Names are imported when first used, so that reading findings or making a run directory does not load jax. The
loop itself is ``antiphon.train.fit.fit``: a function and its module cannot share one attribute here.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from antiphon.train.checkpoint import Checkpoint, CheckpointFolder
    from antiphon.train.errors import Interrupted, RunError
    from antiphon.train.findings import Claim, Finding
    from antiphon.train.hooks import FitInfo, Hook, Stop, every
    from antiphon.train.metrics import Record, read_metrics
    from antiphon.train.run_directory import RunDirectory

_HOMES = {
    "Checkpoint": "checkpoint", "CheckpointFolder": "checkpoint", "Claim": "findings", "Finding": "findings",
    "FitInfo": "hooks", "Hook": "hooks", "Interrupted": "errors", "Record": "metrics", 
    "RunDirectory": "run_directory",
    "RunError": "errors", "Stop": "hooks", "every": "hooks", "read_metrics": "metrics",
}  # fmt: skip

__all__ = [
    "Checkpoint", "CheckpointFolder", "Claim", "Finding", "FitInfo", "Hook", "Interrupted", "Record",
    "RunDirectory", "RunError", "Stop", "every", "read_metrics",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
