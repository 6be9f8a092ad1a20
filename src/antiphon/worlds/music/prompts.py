"""Captions without audio: what reinforcement trains on and what it is judged by."""

from dataclasses import dataclass

import numpy as np

from antiphon.core.errors import UserError
from antiphon.worlds.music import captions
from antiphon.worlds.music.attributes import (
    ARTICULATIONS,
    INSTRUMENTS,
    METRES,
    MODES,
    REGISTERS,
    TEMPI,
    TEXTURES,
    Attributes,
)
from antiphon.worlds.music.text_features import hash_words

_METRE_SHARE = (0.6, 0.1, 0.3)
_TEXTURE_SHARE = (0.19, 0.19, 0.19, 0.19, 0.19, 0.05)
"""About the shares of the training clips; a chorale is rare because only chorales can be set as one."""


@dataclass(frozen=True, eq=False)
class Prompts:
    """Captions and what they ask for.

    Attributes:
      captions: texts, ``B`` of them.
      attributes: what each speaks of.
      words: the texts hashed, ``[B, W, P]``.
      tempo: index of the tempo, ``[B]``.
      metre: index of the metre, ``[B]``.
    """

    captions: tuple[str, ...]
    attributes: tuple[Attributes, ...]
    words: np.ndarray
    tempo: np.ndarray
    metre: np.ndarray

    def first(self, count: int) -> "Prompts":
        """The first ``count`` of them, or all if there are fewer."""
        return Prompts(
            self.captions[:count], self.attributes[:count], self.words[:count], self.tempo[:count],
            self.metre[:count],
        )  # fmt: skip


def draw_prompts(seed: int | list[int], count: int, *, held_out: bool) -> Prompts:
    """Random captions, worded as in training.

    Args:
      seed: of attributes and wordings.
      count: how many.
      held_out: of combinations of attributes that no training clip has, or else only of those that some have.

    Raises:
      UserError: ``count`` is below 1.
    """
    if count < 1:
        raise UserError("config", f"{count} captions are asked for", "ask for at least 1")
    rng = np.random.default_rng(seed)
    chosen: list[Attributes] = []
    while len(chosen) < count:
        attributes = _draw(rng)
        if attributes.held_out == held_out:
            chosen.append(attributes)
    texts = tuple(captions.caption(rng, a) for a in chosen)
    plans = np.array([a.plan for a in chosen], np.int32)
    return Prompts(texts, tuple(chosen), hash_words(list(texts)), plans[:, 0], plans[:, 1])


def _draw(rng: np.random.Generator) -> Attributes:
    metre = str(rng.choice(METRES, p=_METRE_SHARE))
    instrument = str(rng.choice(list(INSTRUMENTS)))
    texture = str(rng.choice(TEXTURES, p=_TEXTURE_SHARE))
    same = texture == "chorale" or rng.random() < 0.5
    accompaniment = instrument if same else str(rng.choice(list(INSTRUMENTS)))
    return Attributes(
        instrument=instrument,
        tempo=str(rng.choice(TEMPI)),
        mode=str(rng.choice(MODES)),
        metre=metre,
        register=str(rng.choice(REGISTERS)),
        texture=texture,
        accompaniment=None if texture == "solo" else accompaniment,
        drums=bool(texture in ("chords", "oompah", "arpeggio") and rng.random() < 0.25),
        articulation=str(rng.choice(ARTICULATIONS, p=[0.75, 0.25])),
    )
