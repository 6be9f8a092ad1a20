"""What each method comes to without a network: laws over all completions, at a given divergence."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

_FRACTION, _ROUNDS, _REST = 0.05, 600, 1e-3


class Settled(NamedTuple):
    """A fixed point.

    Attributes:
        law: log-probability of every completion, ``[Y]``.
        moving: total variation between the law and the response to it; zero at a fixed point.
    """

    law: Float64[np.ndarray, " Y"]
    moving: float


def tilted(
    reference: Float64[np.ndarray, " Y"], credit: Float64[np.ndarray, " Y"], kl: float
) -> Float64[np.ndarray, " Y"]:
    """Log of μ exp(credit / τ), normalised; τ is bisected until its divergence from μ is ``kl`` nats.

    Of all policies with that divergence it has the largest mean credit. With the scores as credit it is what
    RLHF comes to.
    """
    low, high = -12.0, 12.0
    law = reference
    for _ in range(60):
        middle = 0.5 * (low + high)
        logits = reference + credit / np.exp(middle)
        law = logits - np.logaddexp.reduce(logits)
        if np.exp(law) @ (law - reference) > kl:
            low = middle
        else:
            high = middle
    return law


def mixture(
    law: Float64[np.ndarray, " Y"], reference: Float64[np.ndarray, " Y"], beta: float, vocabulary: int
) -> Float64[np.ndarray, " Y"]:
    """Log of the geometric mixture π^{1−β} μ^β that is normalised at every token, as the networks draw it.

    Args:
        law: log π of all completions in lexicographic order.
        reference: log μ, likewise.
        beta: share of μ.
        vocabulary: V; a completion's length follows from it.
    """
    mixed = np.zeros(1)
    left, right = law, reference
    tokens = []  # of the last token first: log-probabilities given what stands before it
    while left.size > 1:
        left, right = left.reshape(-1, vocabulary), right.reshape(-1, vocabulary)
        before, after = np.logaddexp.reduce(left, axis=1), np.logaddexp.reduce(right, axis=1)
        token = (1 - beta) * (left - before[:, None]) + beta * (right - after[:, None])
        tokens.append(token - np.logaddexp.reduce(token, axis=1, keepdims=True))
        left, right = before, after
    for token in reversed(tokens):
        mixed = (mixed[:, None] + token).ravel()
    return mixed


def settle(
    table: Float64[np.ndarray, "Y Y"], reference: Float64[np.ndarray, " Y"], beta: float, kl: float,
    vocabulary: int,
) -> Settled:  # fmt: skip
    """Where Nash-MD with a share β of the reference comes to rest, τ such that its divergence is ``kl``.

    The fixed point of π ∝ μ exp(P π_β / τ), sought by going a twentieth of the way in log-probability, again
    and again; π_β is :func:`mixture`. Where the method has no rest, the last law is given.

    Args:
        table: P, preferences.
        reference: log μ.
        beta: 0 is self-play, whose fixed point is the Nash equilibrium; 1 the response to the reference.
        kl: nats.
        vocabulary: V.
    """
    law = tilted(reference, table @ np.exp(reference), kl)
    if beta == 1:
        return Settled(law, 0.0)
    moving = np.inf
    for _ in range(_ROUNDS):
        opponent = mixture(law, reference, beta, vocabulary)
        response = tilted(reference, table @ np.exp(opponent), kl)
        moving = 0.5 * float(np.abs(np.exp(response) - np.exp(law)).sum())
        law = (1 - _FRACTION) * law + _FRACTION * response
        law = law - np.logaddexp.reduce(law)
        if moving < _REST:
            break
    return Settled(law, moving)


def equal_kl_exploit(
    table: Float64[np.ndarray, "Y Y"], reference: Float64[np.ndarray, " Y"], law: Float64[np.ndarray, " Y"],
    kl: float,
) -> float:  # fmt: skip
    """Win rate of the best response to a policy within the divergence that the policy itself has spent."""
    credit = table @ np.exp(law)
    return float(np.exp(tilted(reference, credit, kl)) @ credit)
