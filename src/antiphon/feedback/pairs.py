"""Pairs of answers that somebody compared: what judges, and policies without one, learn from."""

from typing import NamedTuple

from jaxtyping import Array, PyTree


class Pairs(NamedTuple):
    """A batch of comparisons.

    Attributes:
        context: prompts, leaves ``[B, …]``.
        first: completions, ``[B, T]``.
        second: completions of the same prompts, ``[B, T]``.
        preferred: probability that the first is preferred, ``[B]``: 1 where somebody chose it, or the share
            of those who did.
    """

    context: PyTree
    first: Array
    second: Array
    preferred: Array
