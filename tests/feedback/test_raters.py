"""Populations of raters: their votes against a loop, and the circles that the dial makes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit

from antiphon.core.errors import UserError
from antiphon.feedback.bradley_terry import fit_scores, misfit
from antiphon.feedback.raters import Raters, draw_raters, ring

SIGNALS = np.random.default_rng(0).standard_normal((6, 3)).astype(np.float32)
KINDS = np.eye(3, dtype=np.float32)[[0, 1, 2, 0, 1, 2]]


def table(raters):
    first, second = np.repeat(np.arange(6), 6), np.tile(np.arange(6), 6)
    around = ring(KINDS[first], KINDS[second])
    return np.asarray(raters.preference(SIGNALS[first], SIGNALS[second], around), np.float64).reshape(6, 6)


def test_shares_of_votes_are_those_of_a_loop():
    raters = Raters(jnp.asarray(np.random.default_rng(1).standard_normal((4, 3)), jnp.float32), 2.0, 0.3)
    found = table(raters)
    for a in range(6):
        for b in range(6):
            around = {1: 1, 2: -1, 0: 0}[(int(KINDS[b].argmax()) - int(KINDS[a].argmax())) % 3]
            odds = [2.0 * (0.7**0.5 * w @ (SIGNALS[a] - SIGNALS[b]) + 0.3**0.5 * around)
                    for w in np.asarray(raters.weights)]  # fmt: skip
            assert found[a, b] == pytest.approx(np.mean(expit(odds)), rel=1e-4)
    np.testing.assert_allclose(found + found.T, 1, atol=1e-6)


def test_a_ring_is_what_no_score_explains():
    one = Raters(jnp.ones((1, 3)), 1.5)
    scores_only, circles = (table(Raters(one.weights, 1.5, dial)) for dial in (0.0, 0.9))
    assert misfit(scores_only, fit_scores(scores_only)) < 1e-6
    assert misfit(circles, fit_scores(circles)) > 0.05
    # Whoever tells of everything alike is out of the ring.
    np.testing.assert_allclose(ring(jnp.ones((3, 3)), jnp.eye(3)), 0)


def test_every_rater_has_the_same_sharpness():
    gaps = SIGNALS[:, None] - SIGNALS[None]
    covariance = np.einsum("abf,abg->fg", gaps, gaps) / 36
    raters = draw_raters(jax.random.key(0), 5, jnp.ones(3), 0.5, jnp.asarray(covariance))
    judged = np.einsum("abf,kf->kab", gaps, raters.weights)
    np.testing.assert_allclose(np.sqrt((judged**2).mean((1, 2))), 1, rtol=1e-4)
    assert np.ptp(np.asarray(raters.weights)[:, 0]) > 0.05
    with pytest.raises(UserError, match="dial"):
        draw_raters(jax.random.key(0), 5, jnp.ones(3), 0.5, jnp.asarray(covariance), dial=1.5)
