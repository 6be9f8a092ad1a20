"""Models against each other: every pair answers the same prompts, and a judge says how often who wins."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from antiphon.core import statistics
from antiphon.core.errors import UserError

Compare = Callable[[list[str], list[str], list[str]], list[float]]
"""``(prompts, firsts, seconds)`` to the probabilities that the first is preferred."""


@dataclass(frozen=True)
class Table:
    """Who wins how often against whom.

    Attributes:
        models: names.
        wins: ``[M, M]``, mean probability that the row's completion is preferred to the column's; ½ on the
            diagonal.
        low: lower bounds of 95 % intervals.
        high: upper bounds.
        pairs: comparisons behind each entry.
    """

    models: tuple[str, ...]
    wins: np.ndarray
    low: np.ndarray
    high: np.ndarray
    pairs: int


def play(
    models: Sequence[str], prompts: Sequence[str], completions: Sequence[Sequence[str]], compare: Compare
) -> Table:
    """Every pair of models on every prompt.

    Intervals are Clopper–Pearson's. Where the judge gives shares rather than verdicts, they are those of the
    shares' sum over the pairs, rounded outwards to whole wins on both sides: a share varies less than a coin
    of the same bias, so they cover at least as often.

    Args:
        models: names, M of them.
        prompts: N of them.
        completions: ``[M][N]``.
        compare: the judge.

    Raises:
        UserError: fewer than two models, no prompt, or completions that do not fit.
    """
    if len(models) < 2:
        raise UserError("usage", f"{len(models)} model in the arena", "name two or more")
    if not prompts or any(len(texts) != len(prompts) for texts in completions):
        raise UserError(
            "arena", "the models did not answer the same prompts", "give each a completion of each"
        )
    count, pairs = len(models), len(prompts)
    wins, low, high = (np.full((count, count), 0.5) for _ in range(3))
    for i in range(count):
        for j in range(i + 1, count):
            first, second = list(completions[i]), list(completions[j])
            # Whatever the judge, a text is as good as itself.
            apart = [place for place in range(pairs) if first[place] != second[place]]
            said = (
                []
                if not apart
                else compare(*([side[place] for place in apart] for side in (list(prompts), first, second)))
            )
            total = 0.5 * (pairs - len(apart)) + float(sum(said))
            below = statistics.proportion(max(math.floor(total + 1e-9), 0), pairs)
            above = statistics.proportion(min(math.ceil(total - 1e-9), pairs), pairs)
            wins[i, j], low[i, j], high[i, j] = total / pairs, below.low, above.high
            wins[j, i], low[j, i], high[j, i] = 1 - wins[i, j], 1 - high[i, j], 1 - low[i, j]
    return Table(tuple(models), wins, low, high, pairs)
