"""Scores from preferences: recovered where they exist, and what they hang on where they do not."""

import numpy as np
import pytest
from scipy.optimize import minimize

from antiphon.core.errors import UserError
from antiphon.feedback.bradley_terry import fit_scores, misfit
from antiphon.worlds.diagnostics.preferences import ELO, from_scores, random_table, rater_types


def test_true_scores_are_found_whatever_is_shown():
    r = np.random.default_rng(0).normal(size=12) * 2
    for seed in range(3):
        weights = np.random.default_rng(seed).uniform(0.1, 1, (12, 12))
        found = fit_scores(from_scores(r), weights)
        np.testing.assert_allclose(found, r - r.mean(), atol=1e-6)
        assert misfit(from_scores(r), found, weights) < 1e-10


def test_the_fit_is_that_of_a_general_optimiser():
    table, weights = random_table(2, 5), np.random.default_rng(1).uniform(size=(5, 5))

    def loss(r):
        return misfit(table, r, weights)

    slow = minimize(loss, np.zeros(5), method="BFGS", options={"gtol": 1e-9}).x
    np.testing.assert_allclose(fit_scores(table, weights), slow - slow.mean(), atol=1e-5)


def test_the_named_answer_flips_with_a_few_raters():
    assert np.argmax(fit_scores(rater_types(0.02))) == 0
    assert np.argmax(fit_scores(rater_types(-0.02))) == 1


def test_scores_depend_on_what_is_shown_unless_they_are_true():
    table = random_table(4, 4)
    mu = np.array([0.7, 0.1, 0.1, 0.1])
    even, skewed = fit_scores(table), fit_scores(table, np.outer(mu, mu))
    assert np.abs(even - skewed).max() > 0.05
    np.testing.assert_allclose(
        fit_scores(from_scores(ELO)), fit_scores(from_scores(ELO), np.outer(mu[:3], mu[:3])), atol=1e-7
    )


def test_what_cannot_be_fitted_is_said():
    with pytest.raises(UserError, match="square table"):
        fit_scores(np.zeros((2, 3)))
    with pytest.raises(UserError, match="never compared"):
        fit_scores(np.full((3, 3), 0.5), np.array([[0, 1, 0], [1, 0, 0], [0, 0, 0]]))
    with pytest.raises(UserError, match="always beat"):
        fit_scores(np.array([[0.5, 1.0], [0.0, 0.5]]))
