"""The music world: scores become captioned clips, clips become tokens, judges listen.

Names are imported when first used, so that writing notes or checking a caption does not load jax. Generation
is ``antiphon.worlds.music.generate.generate``: a function and its module cannot share one attribute here.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from antiphon.worlds.music.attributes import Attributes
    from antiphon.worlds.music.bundle import Bundle
    from antiphon.worlds.music.codec import Codec
    from antiphon.worlds.music.dataset import Dataset, DatasetConfig
    from antiphon.worlds.music.notes import NoteList
    from antiphon.worlds.music.renderer import Renderer
    from antiphon.worlds.music.score import Score

_HOMES = {
    "Attributes": "attributes", "Bundle": "bundle", "Codec": "codec", "Dataset": "dataset",
    "DatasetConfig": "dataset", "NoteList": "notes", "Renderer": "renderer", "Score": "score",
}  # fmt: skip

__all__ = ["Attributes", "Bundle", "Codec", "Dataset", "DatasetConfig", "NoteList", "Renderer", "Score"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
