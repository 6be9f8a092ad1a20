"""What each action deserved: segments of experience, recurrences over time, returns and advantages."""

from antiphon.credit.recurrence import forward_affine, reverse_affine
from antiphon.credit.returns import (
    VTrace,
    discounted_returns,
    gae,
    lambda_returns,
    n_step_returns,
    vtrace,
)
from antiphon.credit.segment import Segment

__all__ = [
    "Segment",
    "VTrace",
    "discounted_returns",
    "forward_affine",
    "gae",
    "lambda_returns",
    "n_step_returns",
    "reverse_affine",
    "vtrace",
]
