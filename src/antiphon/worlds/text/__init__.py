"""The text world: language models in and out, their tokenizers, and completions.

Names are imported when first used, so that finding a model does not load jax.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from antiphon.worlds.text.completion import complete
    from antiphon.worlds.text.model import TextModel, pad_prompts
    from antiphon.worlds.text.tokenizer import Tokenizer

_HOMES = {"TextModel": "model", "Tokenizer": "tokenizer", "complete": "completion", "pad_prompts": "model"}

__all__ = ["TextModel", "Tokenizer", "complete", "pad_prompts"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
