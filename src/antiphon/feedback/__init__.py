"""Who judges: rewards, preference models, teachers and raters."""

from antiphon.feedback.reward import (
    Rescaled,
    Reward,
    Scored,
    SegmentMean,
    WeightedSum,
    even_starts,
    rescale,
    segment_mean,
)

__all__ = [
    "Rescaled",
    "Reward",
    "Scored",
    "SegmentMean",
    "WeightedSum",
    "even_starts",
    "rescale",
    "segment_mean",
]
