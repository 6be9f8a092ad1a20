"""What was trained and measured at one dial."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from antiphon.core.statistics import Interval
from antiphon.feedback.raters import Raters
from antiphon.studies.nlhf_steering import RLHF
from antiphon.studies.nlhf_text.arena import Exhibit
from antiphon.studies.nlhf_text.judges import Verdict
from antiphon.studies.nlhf_text.policies import Trained

REFERENCE, TRAINED = "reference", "trained"
"""Whose notices a judge is asked about."""


class Cell(NamedTuple):
    """One dial.

    Attributes:
        dial: share of the ring.
        trained: policies by name; those of RLHF with other pulls are named by the factor.
        shown: their notices.
        held_out: the raters who judge.
        circles: share of triples in a circle.
        misfit: of the best scores, nats.
        verdicts: by kind of judge, then by whose notices it judges: the reference's, or trained policies'.
        ceiling: how often one could be right, by whose notices.
        exploited: win rate of the best response at equal divergence for each report, by name.
    """

    dial: float
    trained: Mapping[str, Trained]
    shown: Exhibit
    held_out: Raters
    circles: Interval
    misfit: Interval
    verdicts: Mapping[str, Mapping[str, Verdict]]
    ceiling: Mapping[str, float]
    exploited: Mapping[str, np.ndarray]

    @property
    def matched(self) -> dict[str, Trained]:
        """The policies at equal divergence, by name."""
        return {name: one for name, one in self.trained.items() if not name.startswith(f"{RLHF} ×")}
