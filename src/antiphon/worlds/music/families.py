"""Does a clip sound like the instrument it should? Families of instruments, voted on by the tagger's tags.

Tags of one family are pooled, because the tagger confuses what sounds alike: rendered violins come out as
ensembles of strings, harps and harpsichords as guitars. Every tag is standardised over real clips first,
because its plain probability says more about how common the tag was in training than about the clip.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from antiphon.core.errors import UserError
from antiphon.worlds.music.musicnn import TAGS


@dataclass(frozen=True)
class Family:
    """A family: the instruments of this world that belong to it, and the tags that speak for it."""

    instruments: tuple[str, ...]
    tags: tuple[str, ...]


FAMILIES: dict[str, Family] = {
    "piano": Family(("piano",), ("piano",)),
    "plucked strings": Family(("guitar", "harp", "harpsichord"), ("guitar", "harp", "harpsichord")),
    "bowed strings": Family(("violin", "strings"), ("violin", "strings", "cello")),
    "flute": Family(("flute",), ("flute",)),
    "voices": Family(("choir",), ("choir", "choral", "opera", "vocal", "voice")),
    "synthesiser": Family(("synth",), ("synth", "electronic", "techno")),
    "sitar": Family(("sitar",), ("sitar", "indian")),
}


@dataclass(frozen=True)
class TagReference:
    """How each tag behaves on real clips: mean and standard deviation of its logit, each ``[50]``."""

    mean: Float[np.ndarray, " 50"]
    deviation: Float[np.ndarray, " 50"]


def family_of(instrument: str) -> str:
    """The family of an instrument.

    Raises:
        UserError: no family has the instrument.
    """
    for name, family in FAMILIES.items():
        if instrument in family.instruments:
            return name
    known = ", ".join(i for family in FAMILIES.values() for i in family.instruments)
    raise UserError("field", f"The instrument {instrument!r} belongs to no family", f"choose one of {known}")


def fit_tag_reference(tags: Float[np.ndarray, "N 50"]) -> TagReference:
    """Mean and deviation of the tag logits over real clips.

    Best are a hundred clips or more, with all instruments in equal parts.

    Raises:
        UserError: fewer than two clips.
    """
    if len(tags) < 2:
        raise UserError("field", "Standardising tags needs at least two real clips", "add clips")
    logits = _logits(tags)
    return TagReference(logits.mean(axis=0), np.maximum(logits.std(axis=0), 1e-6))


def family_scores(tags: Float[np.ndarray, "N 50"], reference: TagReference) -> Float[np.ndarray, "N 7"]:
    """Largest standardised tag logit of every family (order of :data:`FAMILIES`), in deviations."""
    z = (_logits(tags) - reference.mean) / reference.deviation
    return np.stack([z[:, [TAGS.index(t) for t in f.tags]].max(axis=1) for f in FAMILIES.values()], axis=1)


def standardised_hit(
    tags: Float[np.ndarray, "N 50"], instruments: Sequence[str], reference: TagReference
) -> Bool[np.ndarray, " N"]:
    """Whether the family of each clip's instrument is the one that scores highest.

    With equally frequent families chance is 1/7. The mean over clips is the hit rate; one clip is a noisy
    vote.

    Args:
        tags: tag probabilities of the clips.
        instruments: the instrument each clip should have.
        reference: fitted on real clips, never on the clips to judge.

    Raises:
        UserError: an instrument has no family, or the numbers of clips and instruments differ.
    """
    if len(tags) != len(instruments):
        raise UserError(
            "field", f"There are {len(tags)} clips but {len(instruments)} instruments", "pass one per clip"
        )
    names = list(FAMILIES)
    wanted: Int[np.ndarray, " N"] = np.array([names.index(family_of(i)) for i in instruments], int)
    return np.argmax(family_scores(tags, reference), axis=1) == wanted


def _logits(tags: np.ndarray) -> np.ndarray:
    p = np.clip(np.asarray(tags, np.float64), 1e-7, 1 - 1e-7)
    return np.log(p) - np.log1p(-p)
