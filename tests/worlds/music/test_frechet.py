import numpy as np
import pytest
import scipy.linalg

from antiphon.core.errors import UserError
from antiphon.worlds.music import frechet


def test_distance_of_known_gaussians():
    # Points with exact moments: covariances diag(4, 1) and diag(1, 1), means 3 apart.
    square = np.array([[1.0, 1], [1, -1], [-1, 1], [-1, -1]]) * np.sqrt(3 / 4)
    a, b = square * [2, 1], square + np.array([3, 0])
    assert frechet.frechet_distance(a, b) == pytest.approx(3**2 + (2 - 1) ** 2)
    assert frechet.frechet_distance(b, a) == pytest.approx(10.0)
    assert frechet.frechet_distance(a, a) == pytest.approx(0.0, abs=1e-9)


def test_distance_agrees_with_the_matrix_square_root():
    rng = np.random.default_rng(0)
    a = rng.normal(size=(200, 6)) @ rng.normal(size=(6, 6))
    b = rng.normal(size=(150, 6)) @ rng.normal(size=(6, 6)) + 1
    ca, cb = np.cov(a.T), np.cov(b.T)
    root = scipy.linalg.sqrtm(ca @ cb).real
    want = np.sum((a.mean(0) - b.mean(0)) ** 2) + np.trace(ca + cb - 2 * root)
    assert frechet.frechet_distance(a, b) == pytest.approx(want, rel=1e-6)


def test_projection_is_principal_and_deterministic():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(300, 10)) * np.array([9, 5, 3, 1, 1, 1, 1, 1, 1, 1]) + 7
    projection = frechet.fit_projection(x, 3)
    np.testing.assert_allclose(projection.axes.T @ projection.axes, np.eye(3), atol=1e-10)
    np.testing.assert_allclose(np.abs(projection.axes[:3]), np.eye(3), atol=0.2)
    coordinates = frechet.project(projection, x)
    np.testing.assert_allclose(coordinates.mean(axis=0), 0, atol=1e-10)
    singular = np.linalg.svd(x - x.mean(0), compute_uv=False)[:3]
    np.testing.assert_allclose(coordinates.std(axis=0) * np.sqrt(300), singular)
    np.testing.assert_allclose(frechet.fit_projection(x[::-1], 3).axes, projection.axes, atol=1e-8)


def test_small_samples_are_biased_upwards_and_extrapolation_removes_it():
    rng = np.random.default_rng(2)
    reference = rng.normal(size=(4000, 8))
    biased, extrapolated = [], []
    for seed in range(6):
        sample = rng.normal(size=(80, 8))
        biased.append(frechet.frechet_distance(reference, sample))
        extrapolated.append(frechet.frechet_extrapolated(reference, sample, seed))
    assert np.mean(biased) > 0.1  # the true distance is 0
    assert abs(np.mean(extrapolated)) < 0.4 * np.mean(biased)
    sample = rng.normal(size=(80, 8))
    again = [frechet.frechet_extrapolated(reference, sample, 5) for _ in range(2)]
    assert again[0] == again[1]


def test_diversity():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(12, 5)) + 0.5
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    pairs = [1 - unit[i] @ unit[j] for i in range(12) for j in range(12) if i != j]
    assert frechet.mean_cosine_distance(x) == pytest.approx(np.mean(pairs))
    assert frechet.mean_cosine_distance(np.eye(4)) == pytest.approx(1.0)
    assert frechet.diversity(x, x * 3) == pytest.approx(1.0)
    assert frechet.diversity(x, np.tile(x[:1], (9, 1))) == pytest.approx(0.0, abs=1e-9)


def test_errors():
    with pytest.raises(UserError, match="cannot fix 32 principal axes"):
        frechet.fit_projection(np.zeros((20, 200)))
    with pytest.raises(UserError, match="at least two clips"):
        frechet.frechet_distance(np.zeros((1, 3)), np.zeros((5, 3)))
    with pytest.raises(UserError, match="at least two clips"):
        frechet.mean_cosine_distance(np.zeros((1, 3)))
    with pytest.raises(UserError, match="too few"):
        frechet.frechet_extrapolated(np.zeros((9, 3)), np.zeros((5, 3)))
