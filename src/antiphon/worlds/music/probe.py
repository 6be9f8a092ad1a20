"""A linear probe: how much of a label can be read off frozen features by a linear map?"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from antiphon.core.errors import UserError


@dataclass(frozen=True)
class LinearProbe:
    """A fitted probe.

    Attributes:
        classes: the label names, sorted.
        mean: mean of the training features, ``[D]``.
        scale: standard deviation of the training features, ``[D]``.
        weights: from standardised features to centred class indicators, ``[D, C]``.
        prior: share of every class in training, ``[C]``.
    """

    classes: tuple[str, ...]
    mean: Float[np.ndarray, " D"]
    scale: Float[np.ndarray, " D"]
    weights: Float[np.ndarray, "D C"]
    prior: Float[np.ndarray, " C"]


def fit_probe(features: Float[np.ndarray, "N D"], labels: Sequence[str], penalty: float = 0.1) -> LinearProbe:
    """Ridge regression from standardised features to one-hot labels, in closed form and double precision.

    ``W = (ZᵀZ + λ N I)⁻¹ Zᵀ (Y − Ȳ)`` with ``Z`` the standardised features; the mean is not penalised.

    Args:
        features: one row per clip.
        labels: one name per clip.
        penalty: ``λ``, relative to the unit variance of every feature.

    Raises:
        UserError: the numbers of rows and labels differ, or there are fewer than two classes.
    """
    if len(features) != len(labels):
        raise UserError(
            "field", f"There are {len(features)} feature rows but {len(labels)} labels", "pass one per clip"
        )
    classes = tuple(sorted(set(labels)))
    if len(classes) < 2:
        raise UserError("field", "A probe needs labels of at least two classes", "add clips of another class")
    x = np.asarray(features, np.float64)
    mean, deviation = x.mean(axis=0), x.std(axis=0)
    # A dead feature carries nothing; dividing by one keeps it at exactly zero.
    scale = np.where(deviation > 1e-8 * np.maximum(1.0, np.abs(mean)), deviation, 1.0)
    z = (x - mean) / scale
    targets = np.array([[label == name for name in classes] for label in labels], np.float64)
    prior = targets.mean(axis=0)
    gram = z.T @ z + penalty * len(z) * np.eye(z.shape[1])
    return LinearProbe(classes, mean, scale, np.linalg.solve(gram, z.T @ (targets - prior)), prior)


def probe_scores(probe: LinearProbe, features: Float[np.ndarray, "N D"]) -> Float[np.ndarray, "N C"]:
    """Regression scores per class; every row sums to one, single entries may leave 0..1."""
    return (np.asarray(features, np.float64) - probe.mean) / probe.scale @ probe.weights + probe.prior


def predict(probe: LinearProbe, features: Float[np.ndarray, "N D"]) -> list[str]:
    """The class of the highest score for every row."""
    return [probe.classes[i] for i in np.argmax(probe_scores(probe, features), axis=1)]


def probe_hits(
    probe: LinearProbe, features: Float[np.ndarray, "N D"], labels: Sequence[str]
) -> Bool[np.ndarray, " N"]:
    """Whether each prediction is right; the mean is the accuracy."""
    return np.array([found == label for found, label in zip(predict(probe, features), labels, strict=True)])
