"""Caption to numbers: hashed words and letter triples, so that no word is ever unknown.

A word becomes its own bucket plus the buckets of its letter triples (fastText, arXiv 1607.04606), which is
why "harpsichordist" lands near "harpsichord".
"""

import re
import zlib

import numpy as np

from antiphon.core.errors import UserError
from antiphon.worlds.music.captions import vocabulary

BUCKETS = 2048
WORDS_MAX = 40
PIECES = 8
"""Buckets of one word: its own, then those of its first letter triples."""
CHARACTERS_MAX = 2000

_COMMON = frozenset(
    (
        "a",
        "an",
        "and",
        "at",
        "by",
        "for",
        "from",
        "in",
        "is",
        "it",
        "no",
        "of",
        "on",
        "over",
        "the",
        "this",
        "to",
        "with",
    )
)
_EXAMPLE = 'describe instrument, tempo and mood in English, as in "slow waltz for harpsichord, minor key"'


def hash_words(captions: list[str]) -> np.ndarray:
    """Bucket numbers ``[B, WORDS_MAX, PIECES]`` int32, 0 for padding.

    ``bucket(p) = 1 + crc32(p) mod (BUCKETS - 1)`` of ``<word>`` and of its letter triples. Case and
    punctuation do not count; words beyond :data:`WORDS_MAX` are cut off.
    """
    table = np.zeros((len(captions), WORDS_MAX, PIECES), np.int32)
    for row, text in enumerate(captions):
        for column, word in enumerate(_words(text)[:WORDS_MAX]):
            marked = f"<{word}>"
            pieces = [marked, *(marked[i : i + 3] for i in range(len(marked) - 2))][:PIECES]
            table[row, column, : len(pieces)] = [1 + zlib.crc32(p.encode()) % (BUCKETS - 1) for p in pieces]
    return table


def half_known(
    rng: np.random.Generator, words: np.ndarray, unknown: float = 0.2, lost: float = 0.05
) -> np.ndarray:
    """Hashed captions as somebody with a smaller vocabulary reads them, for training.

    A word met for the first time has no bucket of its own yet, only letter triples; a reader that always had
    both would rely on the first and stumble over every paraphrase.

    Args:
      rng: source of the losses.
      words: what :func:`hash_words` gave, ``[B, W, P]``; left as it is.
      unknown: share of the words that keep only their triples.
      lost: share of the words that are left out altogether.
    """
    out = words.copy()
    draw = rng.random(words.shape[:2])
    out[..., 0] = np.where(draw < unknown, 0, out[..., 0])
    out[rng.random(words.shape[:2]) < lost] = 0
    return out


def check_caption(text: str) -> str:
    """The caption, stripped, if the models can make sense of it.

    Raises:
      UserError: it is empty, longer than :data:`CHARACTERS_MAX`, or has no word close to one that training
        captions use (another language, say).
    """
    text = text.strip()
    if not text:
        raise UserError("caption", "the caption is empty", _EXAMPLE)
    if len(text) > CHARACTERS_MAX:
        raise UserError(
            "caption",
            f"the caption has {len(text)} characters, more than the {CHARACTERS_MAX} allowed",
            "shorten it to a sentence or two",
        )
    known = vocabulary() - _COMMON
    stems = {w[:5] for w in known if len(w) >= 5}
    if not any(w in known or (len(w) >= 5 and w[:5] in stems) for w in _words(text)):
        raise UserError("caption", "no word of the caption is one the model has learned", _EXAMPLE)
    return text


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.lower())
