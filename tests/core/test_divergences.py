import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from antiphon.core import divergences as d
from antiphon.core.errors import UserError

# Hand-computed once with exact fractions: P = (1/2, 1/4, 1/4), Q = (1/4, 1/4, 1/2).
P = np.log([0.5, 0.25, 0.25]).astype(np.float32)
Q = np.log([0.25, 0.25, 0.5]).astype(np.float32)

logit_pairs = hnp.arrays(np.float32, (2, 5), elements=st.floats(-20, 20, width=32))


def reference_kl(p, q):
    return sum(float(a) * np.log(float(a) / float(b)) for a, b in zip(p, q, strict=True) if a > 0)


def reference_jsd(p, q, beta):
    m = beta * p + (1 - beta) * q
    return beta * reference_kl(p, m) + (1 - beta) * reference_kl(q, m)


def softmax64(logits):
    exp = np.exp(logits.astype(np.float64) - logits.max())
    return exp / exp.sum()


def test_golden_values():
    np.testing.assert_allclose(d.forward_kl(P, Q), 0.25 * np.log(2), rtol=1e-6)
    np.testing.assert_allclose(d.total_variation(P, Q), 0.25, rtol=1e-6)
    # M = (3/8, 1/4, 3/8)
    half_jsd = 0.5 * np.log(4 / 3) + 0.25 * np.log(2 / 3)
    np.testing.assert_allclose(d.jsd(P, Q, 0.5), half_jsd, rtol=1e-5)


@settings(max_examples=30, deadline=None)
@given(logit_pairs, st.sampled_from([0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99]))
def test_agrees_with_float64_loops(logits, weight):
    p, q = softmax64(logits[0]), softmax64(logits[1])
    close = {"rtol": 2e-4, "atol": 2e-6}
    np.testing.assert_allclose(d.forward_kl(*logits), reference_kl(p, q), **close)
    np.testing.assert_allclose(d.reverse_kl(*logits), reference_kl(q, p), **close)
    np.testing.assert_allclose(d.total_variation(*logits), 0.5 * np.abs(p - q).sum(), **close)
    np.testing.assert_allclose(d.jsd(*logits, weight), reference_jsd(p, q, weight), **close)
    mixture = weight * p + (1 - weight) * q
    np.testing.assert_allclose(d.skew_kl(*logits, weight), reference_kl(p, mixture), **close)
    normalised = reference_jsd(p, q, weight) / (weight * (1 - weight))
    np.testing.assert_allclose(d.normalised_jsd(*logits, weight), normalised, **close)


@pytest.mark.parametrize("divergence", [d.forward_kl, d.reverse_kl, d.total_variation])
def test_shift_of_logits_changes_nothing(divergence):
    np.testing.assert_allclose(divergence(P + 7.0, Q - 3.0), divergence(P, Q), rtol=1e-5)


def test_half_precision_accumulates_in_float32():
    key_p, key_q = jax.random.split(jax.random.key(0))
    logits_p = jax.random.normal(key_p, (32000,), jnp.bfloat16)
    logits_q = logits_p + 0.01 * jax.random.normal(key_q, (32000,), jnp.bfloat16)
    p, q = (softmax64(np.asarray(x, np.float32)) for x in (logits_p, logits_q))
    for value, expected in [
        (d.forward_kl(logits_p, logits_q), reference_kl(p, q)),
        (d.normalised_jsd(logits_p, logits_q, 0.5), 4 * reference_jsd(p, q, 0.5)),
    ]:
        assert value.dtype == jnp.float32
        np.testing.assert_allclose(value, expected, rtol=2e-2)


def test_zero_probabilities():
    one_hot = jnp.array([0.0, -jnp.inf, -jnp.inf])
    pair = jnp.log(jnp.array([0.25, 0.75, 0.0]))
    np.testing.assert_allclose(d.forward_kl(one_hot, pair), np.log(4), rtol=1e-6)
    assert d.forward_kl(pair, one_hot) == jnp.inf
    assert d.reverse_kl(one_hot, pair) == jnp.inf
    disjoint = jnp.array([-jnp.inf, -jnp.inf, 0.0])
    np.testing.assert_allclose(d.total_variation(one_hot, disjoint), 1.0)
    np.testing.assert_allclose(d.jsd(one_hot, disjoint, 0.5), np.log(2), rtol=1e-6)
    np.testing.assert_allclose(d.skew_kl(one_hot, disjoint, 0.1), np.log(10), rtol=1e-6)


@jax.jit
def every_gradient(p, q, beta):
    both = [jax.grad(f, (0, 1))(p, q) for f in (d.forward_kl, d.reverse_kl)]
    return jnp.array([*both, jax.grad(d.normalised_jsd, (0, 1))(p, q, beta)])


@pytest.mark.parametrize("beta", [0.0, 0.1, 0.5, 0.9])
def test_excluded_outcomes_leave_gradients_finite_and_right(beta):
    # An outcome excluded by both is as if it were not there.
    with_hole = (jnp.array([0.3, -jnp.inf, 1.2, -0.4]), jnp.array([-0.5, -jnp.inf, 0.1, 0.8]))
    without = tuple(x[jnp.array([0, 2, 3])] for x in with_hole)
    gradients, smaller = every_gradient(*with_hole, beta), every_gradient(*without, beta)
    assert (gradients[..., 1] == 0).all()
    np.testing.assert_allclose(np.delete(gradients, 1, axis=-1), smaller, atol=1e-6)
    assert (np.abs(smaller).max(-1) > 1e-3).all()


def test_gradient_of_kl_is_closed_form():
    # d KL(P‖Q) / d logits_q = q − p
    np.testing.assert_allclose(jax.grad(d.forward_kl, 1)(P, Q), np.exp(Q) - np.exp(P), atol=1e-6)


normalised_with_gradient = jax.jit(jax.value_and_grad(d.normalised_jsd, (0, 1)))


@pytest.mark.parametrize("beta", [1e-8, 1e-5, 1e-3])
def test_normalised_jsd_is_continuous_with_its_gradient(beta):
    logits_p, logits_q = jnp.array([2.0, 0.0, -9.0, 1.0]), jnp.array([-1.0, 0.5, 1.0, 0.0])
    near, end = (normalised_with_gradient(logits_p, logits_q, b) for b in (beta, 0.0))
    np.testing.assert_allclose(near[0], end[0], rtol=1e-5 + 5 * beta)
    for gradient, limit in zip(near[1], end[1], strict=True):
        np.testing.assert_allclose(gradient, limit, atol=1e-5 + 20 * beta)


def test_mixture_weight_may_be_traced():
    betas = jnp.linspace(0.0, 1.0, 5)
    swept = jax.vmap(lambda beta: d.normalised_jsd(P, Q, beta))(betas)
    one_by_one = [d.normalised_jsd(P, Q, float(beta)) for beta in betas]
    np.testing.assert_allclose(swept, one_by_one, rtol=1e-6)


def test_extreme_logits_do_not_overflow():
    far_p, far_q = jnp.array([200.0, 0.0, -200.0]), jnp.array([-200.0, 0.0, 200.0])
    np.testing.assert_allclose(d.forward_kl(far_p, far_q), 400.0, rtol=1e-6)
    np.testing.assert_allclose(d.normalised_jsd(far_p, far_q, 0.0), 400.0, rtol=1e-6)
    np.testing.assert_allclose(d.normalised_jsd(far_p, far_q, 1.0), 400.0, rtol=1e-6)
    for beta in (0.0, 1e-3, 0.5, 1.0):
        assert np.isfinite(normalised_with_gradient(far_p, far_q, beta)[1]).all()


@pytest.mark.parametrize("divergence", [d.jsd, d.normalised_jsd, d.skew_kl])
@pytest.mark.parametrize("weight", [-0.1, 1.5])
def test_mixture_weight_outside_the_interval_is_refused(divergence, weight):
    with pytest.raises(UserError, match="outside"):
        divergence(P, Q, weight)
