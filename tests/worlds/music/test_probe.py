import numpy as np
import pytest
import scipy.optimize

from antiphon.core.errors import UserError
from antiphon.worlds.music import probe


def clusters(rng, count, spread):
    centres = np.array([[3.0, 0, 0, 0], [0, 30.0, 0, 0], [0, 0, 0.3, 0]])
    names = rng.integers(3, size=count)
    scale = np.array([1, 10, 0.1, 1])
    return centres[names] + spread * scale * rng.normal(size=(count, 4)), ["abc"[i] for i in names]


def test_separable_classes_are_read_whatever_their_scale_and_shuffled_labels_are_not():
    rng = np.random.default_rng(0)
    features, labels = clusters(rng, 300, 0.5)
    fresh, truth = clusters(rng, 300, 0.5)
    fitted = probe.fit_probe(features, labels)
    assert fitted.classes == ("a", "b", "c")
    assert probe.probe_hits(fitted, fresh, truth).mean() > 0.97
    shuffled = [labels[i] for i in rng.permutation(300)]
    assert probe.probe_hits(probe.fit_probe(features, shuffled), fresh, truth).mean() < 0.6


def test_closed_form_is_the_minimum_of_the_ridge_loss():
    rng = np.random.default_rng(1)
    features, labels = clusters(rng, 60, 1.0)
    fitted = probe.fit_probe(features, labels, penalty=0.2)
    z = (features - features.mean(0)) / features.std(0)
    y = np.array([[label == c for c in "abc"] for label in labels], float)

    def loss(flat):
        w, b = flat[:12].reshape(4, 3), flat[12:]
        return np.mean(np.sum((z @ w + b - y) ** 2, axis=1)) + 0.2 * np.sum(w**2)

    found = scipy.optimize.minimize(loss, np.zeros(15), tol=1e-12).x
    np.testing.assert_allclose(fitted.weights, found[:12].reshape(4, 3), atol=1e-4)
    np.testing.assert_allclose(fitted.prior, found[12:], atol=1e-4)
    np.testing.assert_allclose(probe.probe_scores(fitted, features).sum(axis=1), 1.0)


def test_dead_features_do_no_harm():
    rng = np.random.default_rng(2)
    features, labels = clusters(rng, 200, 0.5)
    dead = np.concatenate([features, np.full((200, 3), 0.1)], axis=1)
    a, b = probe.fit_probe(features, labels), probe.fit_probe(dead, labels)
    np.testing.assert_allclose(probe.probe_scores(a, features), probe.probe_scores(b, dead), atol=1e-9)


def test_errors():
    with pytest.raises(UserError, match="2 feature rows but 1 labels"):
        probe.fit_probe(np.zeros((2, 3)), ["a"])
    with pytest.raises(UserError, match="at least two classes"):
        probe.fit_probe(np.zeros((2, 3)), ["a", "a"])
