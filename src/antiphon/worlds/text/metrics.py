"""Scores of a text beside a reference: BLEU for translations, ROUGE-N for summaries."""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from antiphon.core.errors import UserError

_ORDER = 4

_ENTITIES = {"&quot;": '"', "&amp;": "&", "&lt;": "<", "&gt;": ">"}
_SYMBOL = re.compile(r"([ !\"#$%&()*+/:;<=>?@\[\\\]^_`{|}~])")
_POINT_AFTER, _POINT_BEFORE = re.compile(r"([^0-9])([.,])"), re.compile(r"([.,])([^0-9])")
_DASH_AFTER_DIGIT = re.compile(r"([0-9])(-)")
_NO_WORD = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True)
class Rouge:
    """Shares of common n-grams, in [0, 1].

    Attributes:
        precision: of the text's.
        recall: of the reference's.
        f: their harmonic mean.
    """

    precision: float
    recall: float
    f: float


def words_13a(text: str) -> list[str]:
    """Words as mteval-v13a of NIST parts them: symbols apart, points and commas except inside numbers."""
    line = text.rstrip().replace("<skipped>", "").replace("-\n", "").replace("\n", " ")
    for entity, symbol in _ENTITIES.items():
        line = line.replace(entity, symbol)
    line = _SYMBOL.sub(r" \1 ", f" {line} ")
    line = _POINT_BEFORE.sub(r" \1 \2", _POINT_AFTER.sub(r"\1 \2 ", line))
    return _DASH_AFTER_DIGIT.sub(r"\1 \2 ", line).split()


def bleu(texts: Sequence[str], references: Sequence[str]) -> float:
    """BLEU of a corpus, 0 to 100: one reference a text, words by :func:`words_13a`, up to four together.

        BLEU = 100 · min(1, e^{1 − r/c}) · (Π_n p_n)^{1/4}

    c and r are the words of texts and references, p_n the share of n-grams that the reference has too. A p_n
    without any is 1 / (2^k total_n) for the k-th such n.

    Raises:
        UserError: no texts, or another number of references.

    Source: Papineni et al. 2002; the smoothing is mteval-v13a's. Equals sacrebleu with its defaults.
    """
    if not texts or len(texts) != len(references):
        raise UserError(
            "field",
            f"{len(texts)} texts and {len(references)} references",
            "give one reference for each text",
        )
    found, total = [0] * _ORDER, [0] * _ORDER
    length = reference_length = 0
    for text, reference in zip(texts, references, strict=True):
        mine, theirs = words_13a(text), words_13a(reference)
        length, reference_length = length + len(mine), reference_length + len(theirs)
        for order in range(_ORDER):
            own = _grams(mine, order + 1)
            found[order] += (own & _grams(theirs, order + 1)).total()
            total[order] += own.total()
    if not any(found) or not all(total):
        return 0.0
    logs, missing = 0.0, 1.0
    for some, all_of_them in zip(found, total, strict=True):
        if some == 0:
            missing *= 2
        logs += math.log(some / all_of_them if some else 1 / (missing * all_of_them))
    brevity = min(1.0, math.exp(1 - reference_length / length))
    return 100 * brevity * math.exp(logs / _ORDER)


def rouge(text: str, reference: str, order: int = 2) -> Rouge:
    """ROUGE-N of one text: n-grams in common, words lower-cased, letters a to z and digits only.

    Source: Lin 2004. Equals rouge-score without stemming, which knows no letters beyond ASCII either.
    """
    mine, theirs = (_grams(_NO_WORD.sub(" ", part.lower()).split(), order) for part in (text, reference))
    common = (mine & theirs).total()
    precision, recall = common / max(mine.total(), 1), common / max(theirs.total(), 1)
    return Rouge(precision, recall, 2 * precision * recall / (precision + recall) if common else 0.0)


def mean_rouge(texts: Sequence[str], references: Sequence[str], order: int = 2) -> float:
    """Mean F of ROUGE-N over texts, 0 to 100.

    Raises:
        UserError: no texts, or another number of references.
    """
    if not texts or len(texts) != len(references):
        raise UserError(
            "field",
            f"{len(texts)} texts and {len(references)} references",
            "give one reference for each text",
        )
    return 100 * sum(rouge(*pair, order).f for pair in zip(texts, references, strict=True)) / len(texts)


def _grams(words: Sequence[str], order: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(words[start : start + order]) for start in range(len(words) - order + 1))
