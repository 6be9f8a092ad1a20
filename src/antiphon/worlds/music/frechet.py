"""Fréchet distance and diversity: how far is a set of clips from real ones, and how varied is it?"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from antiphon.core.errors import UserError


@dataclass(frozen=True)
class Projection:
    """Principal axes of a reference set: ``(x − mean) @ axes``.

    Attributes:
        mean: ``[D]``.
        axes: orthonormal columns of falling variance, ``[D, K]``.
    """

    mean: Float[np.ndarray, " D"]
    axes: Float[np.ndarray, "D K"]


def fit_projection(reference: Float[np.ndarray, "N D"], dimensions: int = 32) -> Projection:
    """The first principal axes of the reference features (in double precision).

    Raises:
        UserError: fewer reference clips than dimensions, or more dimensions than features.
    """
    x = np.asarray(reference, np.float64)
    if len(x) <= dimensions or x.shape[1] < dimensions:
        raise UserError(
            "field",
            f"{len(x)} reference clips of {x.shape[1]} features cannot fix {dimensions} principal axes",
            "add clips or lower dimensions",
        )
    mean = x.mean(axis=0)
    values, vectors = np.linalg.eigh((x - mean).T @ (x - mean))
    axes = vectors[:, np.argsort(values)[::-1][:dimensions]]
    # An axis has no sign of its own: make its largest entry positive, so that the result is reproducible.
    signs = np.sign(axes[np.argmax(np.abs(axes), axis=0), np.arange(dimensions)])
    return Projection(mean, axes * signs)


def project(projection: Projection, features: Float[np.ndarray, "N D"]) -> Float[np.ndarray, "N K"]:
    """Coordinates along the principal axes."""
    return (np.asarray(features, np.float64) - projection.mean) @ projection.axes


def frechet_distance(reference: Float[np.ndarray, "N K"], sample: Float[np.ndarray, "M K"]) -> float:
    """Squared Fréchet distance of the Gaussians fitted to two sets of points.

    ``|μ − ν|² + tr(Σ + T − 2 (Σ^½ T Σ^½)^½)``, in squared feature units, at least 0.

    The estimate is biased upwards by about ``c / M + c / N``: with few clips even two halves of one set are
    apart. Compare only sets of equal size, or use :func:`frechet_extrapolated`.

    Source: Heusel et al. (arXiv 1706.08500); for audio Kilgour et al. (arXiv 1812.08466).

    Raises:
        UserError: a set has fewer than two points.
    """
    a, b = np.asarray(reference, np.float64), np.asarray(sample, np.float64)
    if min(len(a), len(b)) < 2:
        raise UserError("field", "A Fréchet distance needs at least two clips on either side", "add clips")
    shift = np.sum((a.mean(axis=0) - b.mean(axis=0)) ** 2)
    cov_a, cov_b = np.atleast_2d(np.cov(a, rowvar=False)), np.atleast_2d(np.cov(b, rowvar=False))
    values, vectors = np.linalg.eigh(cov_a)
    root_a = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    cross = np.linalg.eigvalsh(root_a @ cov_b @ root_a)
    distance = shift + np.trace(cov_a) + np.trace(cov_b) - 2 * np.sum(np.sqrt(np.maximum(cross, 0)))
    return float(max(distance, 0.0))


def frechet_extrapolated(
    reference: Float[np.ndarray, "N K"], sample: Float[np.ndarray, "M K"], seed: int = 0, repeats: int = 8
) -> float:
    """Fréchet distance extrapolated to infinitely many samples, by a line in ``1 / m``.

    Distances of random subsets of ``m`` points, from half the sample to all of it, are fitted by ``d(m) = d∞
    + s / m``. What the finite reference adds stays in. The value can come out slightly negative.

    Source: Chong and Forsyth, arXiv 1911.07023, section 4 (there with quasi-random samples of a generator).

    Args:
        reference: projected reference features.
        sample: projected features of the clips to judge, at least 8 and better four times the dimensions.
        seed: of the random subsets.
        repeats: subsets per size.

    Raises:
        UserError: fewer than eight sample points.
    """
    if len(sample) < 8:
        raise UserError("field", f"{len(sample)} clips are too few to extrapolate from", "pass at least 8")
    rng = np.random.default_rng(seed)
    sizes = np.unique(np.linspace(len(sample) // 2, len(sample), 6).astype(int))
    distances = [
        np.mean(
            [frechet_distance(reference, sample[rng.permutation(len(sample))[:m]]) for _ in range(repeats)]
        )
        for m in sizes
    ]
    return float(np.polyfit(1.0 / sizes, distances, 1)[1])


def mean_cosine_distance(features: Float[np.ndarray, "N D"]) -> float:
    """Mean of ``1 − cos`` over all pairs of different clips, in 0..2.

    Raises:
        UserError: fewer than two clips.
    """
    x = np.asarray(features, np.float64)
    if len(x) < 2:
        raise UserError("field", "Diversity needs at least two clips", "add clips")
    unit = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
    # The sum over all pairs is the squared length of the sum of the unit vectors.
    pairs = len(x) * (len(x) - 1)
    return float(1.0 - (np.sum(np.sum(unit, axis=0) ** 2) - np.sum(unit**2)) / pairs)


def diversity(reference: Float[np.ndarray, "N D"], sample: Float[np.ndarray, "M D"]) -> float:
    """Mean pairwise cosine distance, relative to that of the reference.

    1 means as varied as real clips, 0 all alike. Pass unprojected features; the mean over pairs has no
    small-sample bias.
    """
    return mean_cosine_distance(sample) / max(mean_cosine_distance(reference), 1e-12)
