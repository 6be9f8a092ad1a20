"""Training a language model on a user's own data, by any method: what stands behind ``antiphon text train``.

Names are imported when first used, so that reading settings does not load jax.
"""

import importlib
from typing import TYPE_CHECKING, Any

from antiphon.studies.text_training.settings import TextTraining

if TYPE_CHECKING:
    from antiphon.studies.text_training.training import Trained, train_text

__all__ = ["TextTraining", "Trained", "train_text"]


def __getattr__(name: str) -> Any:
    if name not in ("Trained", "train_text"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module("antiphon.studies.text_training.training"), name)
