"""Signals that raters go by, measured in plain text: what a user's own ``raters.py`` may be made of.

    from antiphon.worlds.text.raters import Rater

    brief = Rater(brevity=1.0, overlap=2.0)  # antiphon text train nash-md … --preference raters.py:brief

Votes of such raters are simulated: say so wherever they are kept.
"""

import math
import re
from dataclasses import dataclass

_WORD = re.compile(r"[\w'-]+")
_STOPWORDS = frozenset(
    _WORD.findall(
        "a an and are as at be but by for from has have in is it its of on or so that the this to was were "
        "which will with"
    )
)
_ARTICLE = re.compile(r"(?i)\s*(a|an|the)\s")


def words(text: str) -> list[str]:
    """Lower-case words of a text, punctuation left out."""
    return _WORD.findall(text.lower())


def overlap(prompt: str, text: str) -> float:
    """Share of the prompt's content words that the text has, 0 … 1: ROUGE-1 recall without stop words."""
    wanted = set(words(prompt)) - _STOPWORDS
    return len(wanted & set(words(text))) / len(wanted) if wanted else 0.0


def invented(prompt: str, text: str) -> int:
    """How many of the text's content words the prompt lacks."""
    return len(set(words(text)) - _STOPWORDS - set(words(prompt)))


def rules_broken(text: str, longest: int = 80) -> int:
    """Of a synopsis: an article at the start, a full stop at the end, more than ``longest`` characters.

    Source: the Debian developer's reference, on the synopsis of a package.
    """
    return (_ARTICLE.match(text) is not None) + text.rstrip().endswith(".") + (len(text) > longest)


@dataclass(frozen=True)
class Rater:
    """Compares two texts by a weighted sum of signals; a preference over texts.

    Attributes:
        brevity: weight of each word that a text is shorter.
        overlap: of the share of the prompt's content words.
        truth: of each content word that the prompt lacks and the text does without.
        style: of each rule of a synopsis that is kept.
        sharpness: log-odds of a difference of one.
    """

    brevity: float = 0.0
    overlap: float = 0.0
    truth: float = 0.0
    style: float = 0.0
    sharpness: float = 1.0

    def score(self, prompt: str, text: str) -> float:
        """The weighted sum."""
        return (
            -self.brevity * len(words(text))
            + self.overlap * overlap(prompt, text)
            - self.truth * invented(prompt, text)
            - self.style * rules_broken(text)
        )

    def __call__(self, prompt: str, first: str, second: str) -> float:
        """Probability that the first is preferred, σ(sharpness · difference)."""
        gap = self.sharpness * (self.score(prompt, first) - self.score(prompt, second))
        return 1.0 / (1.0 + math.exp(-max(-500.0, min(500.0, gap))))
