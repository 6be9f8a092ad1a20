"""What was measured: scores by number of examples, arm and start."""

from dataclasses import dataclass, field

import numpy as np

from antiphon.studies.gkd.training import Score

START = "start"
NEARNESS = (1e-6, 1e-9, 1e-12)
"""Distances of β from 0 and from 1 at which the limits are looked at."""


@dataclass
class Results:
    """Grows as arms are trained.

    Attributes:
        teacher: its score.
        steps: updates of an arm that is not stretched.
        scores: ``{examples: {arm: {start: score}}}``; the arm ``start`` is where they begin.
        costs: seconds of an update by arm.
        ends: how far the normalised divergence is from the two KLs, nats, by the distance of β from its ends.
        passed_over: starts outside the window.
    """

    teacher: Score
    steps: int
    scores: dict[int, dict[str, dict[int, Score]]] = field(default_factory=dict)
    costs: dict[str, float] = field(default_factory=dict)
    ends: dict[str, float] = field(default_factory=dict)
    passed_over: int = 0

    def note(self, examples: int, arm: str, start: int, score: Score) -> None:
        """Keep a score."""
        self.scores.setdefault(examples, {}).setdefault(arm, {})[start] = score

    def has(self, examples: int, *arms: str) -> bool:
        """Whether all of these were trained."""
        return all(arm in self.scores.get(examples, {}) for arm in arms)

    def together(self, examples: int, *arms: str) -> list[int]:
        """Starts that all of these began from."""
        found = [set(self.scores[examples][arm]) for arm in arms]
        return sorted(set.intersection(*found))

    def accuracy(self, examples: int, arm: str, starts: list[int], sampled: bool = False) -> np.ndarray:
        """Share of right answers after an arm from each of some starts."""
        return np.array([self.scores[examples][arm][start][int(sampled)] for start in starts])

    def gain(self, examples: int, arm: str, starts: list[int]) -> np.ndarray:
        """Greedy accuracy less that of the start."""
        return self.accuracy(examples, arm, starts) - self.accuracy(examples, START, starts)

    def ahead(self, examples: int, arm: str, other: str, sampled: bool = False) -> np.ndarray:
        """Accuracy of an arm less that of another, from every start of both."""
        starts = self.together(examples, arm, other)
        first, second = (self.accuracy(examples, name, starts, sampled) for name in (arm, other))
        return first - second
