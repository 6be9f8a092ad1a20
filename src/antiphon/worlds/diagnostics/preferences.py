"""Tables of preferences whose answers are known: who prefers what, and why no score can say it.

Source: the examples of NLHF, arXiv 2312.00886, and of its appendices.
"""

import numpy as np
from jaxtyping import Float64

from antiphon.core.errors import UserError

DICE = ((2, 4, 9), (1, 6, 8), (3, 5, 7))
"""Three non-transitive dice: each beats the next with 5/9 (appendix C.1)."""


def dice() -> Float64[np.ndarray, "3 3"]:
    """Which die shows the larger number: a cycle; the only equilibrium is uniform."""
    faces = np.asarray(DICE)
    above = (faces[:, None, :, None] > faces[None, :, None, :]).mean((2, 3))
    same = (faces[:, None, :, None] == faces[None, :, None, :]).mean((2, 3))
    return above + 0.5 * same


def rock_paper_scissors() -> Float64[np.ndarray, "3 3"]:
    """Row beats column for certain, or never, or it is a draw."""
    return np.array([[0.5, 0.0, 1.0], [1.0, 0.5, 0.0], [0.0, 1.0, 0.5]])


def rater_types(epsilon: float) -> Float64[np.ndarray, "3 3"]:
    """Three types of raters, each with one strict preference among three answers, indifferent otherwise.

    The first type (⅓ − ε of the raters) prefers y2 to y1, the second y1 to y3, the third y3 to y2 (⅓ + ε/2
    each). The equilibrium is (⅓ + ε/2, ⅓ + ε/2, ⅓ − ε); the best Bradley–Terry score names y1 alone for ε > 0
    and y2 alone for ε < 0.

    Source: arXiv 2312.00886, section 3.2.

    Raises:
        UserError: a share would be negative.
    """
    if not -2 / 3 <= epsilon <= 1 / 3:
        raise UserError("field", f"epsilon is {epsilon}", "give a number from -2/3 to 1/3")
    table = np.full((3, 3), 0.5)
    shares = {(1, 0): 1 / 3 - epsilon, (0, 2): 1 / 3 + epsilon / 2, (2, 1): 1 / 3 + epsilon / 2}
    for (better, worse), share in shares.items():
        table[better, worse] += share / 2
        table[worse, better] -= share / 2
    return table


ELO = np.log([1.0, 9.0, 2.0])
"""Scores of three answers among which the largest mean score is not the largest win rate (appendix A)."""


def from_scores(scores: Float64[np.ndarray, " Y"]) -> Float64[np.ndarray, "Y Y"]:
    """The Bradley–Terry table σ(r(y) − r(y'))."""
    gap = np.asarray(scores, np.float64)[:, None] - np.asarray(scores, np.float64)[None]
    return 1.0 / (1.0 + np.exp(-gap))


def random_table(seed: int, answers: int, scale: float = 1.0) -> Float64[np.ndarray, "Y Y"]:
    """σ of a random antisymmetric matrix: nothing transitive about it.

    Args:
        seed: of the draw.
        answers: Y.
        scale: deviation of its entries.
    """
    drawn = np.random.default_rng(seed).standard_normal((answers, answers)) * scale
    return 1.0 / (1.0 + np.exp(-(drawn - drawn.T) / np.sqrt(2)))


def cyclic_share(
    preference: Float64[np.ndarray, "Y Y"], weights: Float64[np.ndarray, " Y"] | None = None
) -> float:
    """Share of triples of different answers that go in a circle; a quarter for a random tournament.

    Args:
        preference: the table; an exact ½ counts as half a win.
        weights: how often each answer comes up; equally often if not given.
    """
    table = np.asarray(preference, np.float64)
    mu = np.full(len(table), 1.0 / len(table)) if weights is None else np.asarray(weights, np.float64)
    beats = np.sign(table - 0.5) * 0.5 + 0.5
    np.fill_diagonal(beats, 0.0)
    b = beats * mu
    # Closed walks a → b → c → a over ordered triples of different answers; a circle can be met both ways.
    circles = np.sum((b @ b) * b.T)
    same = np.sum(mu**2)
    distinct = 1.0 - 3.0 * same + 2.0 * np.sum(mu**3)
    return float(2.0 * circles / distinct) if distinct > 1e-12 else 0.0
