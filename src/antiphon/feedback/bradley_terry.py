"""Scores for answers from who beats whom: the Bradley–Terry model fitted to a whole table of preferences.

    P(y ≻ y') ≈ σ(r(y) − r(y'))

minimising the cross-entropy Σ w[y, y'] H(P[y, y'], σ(r(y) − r(y'))). Where no scores explain the table
exactly, they depend on which pairs were shown, that is on w.
"""

import numpy as np
from jaxtyping import ArrayLike, Float64
from scipy.sparse.csgraph import connected_components
from scipy.special import entr, expit

from antiphon.core.errors import UserError


def fit_scores(
    preference: ArrayLike, weights: ArrayLike | None = None, tolerance: float = 1e-10, steps: int = 100
) -> Float64[np.ndarray, " Y"]:
    """The scores of least cross-entropy, of mean zero; float64.

    Newton's method; the loss is convex, and its Hessian the Laplacian of the graph of pairs.

    Args:
        preference: ``[Y, Y]`` probabilities that row is preferred to column.
        weights: ``[Y, Y]`` how often a pair is shown, ≥ 0; every pair equally often if not given.
        tolerance: of the gradient's largest entry, relative to the sum of the weights.
        steps: of Newton at most.

    Raises:
        UserError: the shapes differ, a weight is negative, or no finite scores exist.
        ArithmeticError: it did not converge.

    Source: Bradley and Terry 1952; arXiv 2312.00886, section 3 and theorem 2 for the dependence on w.
    """
    table = np.asarray(preference, np.float64)
    shown = np.ones_like(table) if weights is None else np.asarray(weights, np.float64)
    if table.ndim != 2 or table.shape[0] != table.shape[1] or shown.shape != table.shape or (shown < 0).any():
        raise UserError(
            "preference",
            f"preferences of shape {table.shape} with weights of shape {shown.shape}",
            "give one square table each, weights of at least 0",
        )
    shown = shown * (1 - np.eye(len(table)))
    # Which of the two was shown first says nothing.
    won, pairs = shown * table + shown.T * (1 - table.T), shown + shown.T
    if connected_components(won > 0, directed=True, connection="strong")[0] > 1:
        raise UserError(
            "preference",
            "no finite scores exist: some answers are never compared with the others, or always beat them",
            "show more pairs, or leave those answers out",
        )
    total, scores = pairs.sum(), np.zeros(len(table))
    everyone = np.full_like(table, total / len(table) ** 2)  # pins the mean, which no preference determines

    def loss_of(scores: np.ndarray) -> float:
        return float(np.sum(won * np.logaddexp(0.0, scores[None] - scores[:, None])))

    loss = loss_of(scores)
    for _ in range(steps):
        said = expit(scores[:, None] - scores[None])
        gradient = (pairs * said - won).sum(1)
        if np.abs(gradient).max() <= tolerance * total:
            return scores - scores.mean()
        curve = pairs * said * (1 - said)
        step = np.linalg.solve(np.diag(curve.sum(1)) - curve + everyone, gradient)
        size = 1.0
        while (tried := loss_of(scores - size * step)) > loss - 1e-4 * size * (
            gradient @ step
        ) and size > 1e-6:
            size /= 2
        scores, loss = scores - size * step, tried
    raise ArithmeticError(f"the Bradley–Terry fit did not converge in {steps} steps of Newton's method")


def misfit(preference: ArrayLike, scores: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Mean KL(P‖σ(r − r')) over the pairs shown, nats: zero exactly where scores explain the table."""
    table, r = np.asarray(preference, np.float64), np.asarray(scores, np.float64)
    shown = (np.ones_like(table) if weights is None else np.asarray(weights, np.float64)) * (
        1 - np.eye(len(r))
    )
    gap = r[:, None] - r[None]
    own = -(entr(table) + entr(1 - table))
    cross = table * np.logaddexp(0.0, -gap) + (1 - table) * np.logaddexp(0.0, gap)
    return float(np.sum(shown * (own + cross)) / shown.sum())
