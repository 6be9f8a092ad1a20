"""Draws against their distribution, and what top-k and top-p keep against a loop."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from antiphon.nets.llama_drawing import categorical, draw_token, keep_largest


def test_frequencies_are_probabilities():
    """600 entries, three blocks: many rare ones, some impossible, one block empty of chances."""
    rng = np.random.default_rng(0)
    logits = 1.5 * rng.standard_normal(600)
    logits[::7] = -np.inf
    logits[256:512] = -np.inf
    count = 60_000
    drawn = jax.jit(categorical)(
        jax.random.split(jax.random.key(1), count),
        jnp.broadcast_to(jnp.asarray(logits, jnp.float32), (count, 600)),
    )
    frequency = np.bincount(drawn, minlength=600)
    p = np.exp(logits) / np.exp(logits).sum()
    assert frequency[p == 0].sum() == 0
    likely = p > 1e-5
    rare = ~likely & (p > 0)
    observed = np.append(frequency[likely], frequency[rare].sum())
    expected = np.append(p[likely], p[rare].sum()) * count
    keep = expected > 5
    observed, expected = observed[keep], expected[keep]
    assert chisquare(observed, expected * observed.sum() / expected.sum()).pvalue > 1e-3


def test_an_entry_at_the_end_and_one_at_the_start():
    for index in (0, 299):
        logits = jnp.full((64, 300), -jnp.inf).at[:, index].set(-40.0)
        assert (categorical(jax.random.split(jax.random.key(0), 64), logits) == index).all()


def kept_by_a_loop(logits, top_k, top_p):
    order = sorted(range(len(logits)), key=lambda i: -logits[i])
    if top_k:
        order = order[:top_k]
    p = np.exp(np.array([logits[i] for i in order], np.float64))
    p /= p.sum()
    kept, mass = set(), 0.0
    for i, share in zip(order, p, strict=True):
        if kept and mass >= top_p:
            break
        kept.add(i)
        mass += share
    return kept


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(-40, 40), min_size=6, max_size=6, unique=True),
    st.integers(0, 7),
    st.sampled_from([0.13, 0.5, 0.77, 0.93, 1.0]),
)
def test_top_k_and_top_p_keep_what_a_loop_keeps(tenths, top_k, top_p):
    logits = np.array(tenths) / 10
    found = np.asarray(keep_largest(jnp.asarray(logits[None], jnp.float32), top_k, top_p))[0]
    assert set(np.flatnonzero(np.isfinite(found))) == kept_by_a_loop(logits, top_k, top_p)
    np.testing.assert_allclose(found[np.isfinite(found)], logits[np.isfinite(found)], rtol=1e-6)


def test_ties_with_the_last_one_stay():
    found = keep_largest(jnp.array([[1.0, 2.0, 1.0, 0.0]]), 2, 1.0)
    np.testing.assert_array_equal(np.isfinite(found), [[True, True, True, False]])


@pytest.mark.parametrize("traced", [False, True])
def test_temperature_zero_takes_the_largest(traced):
    logits = jnp.array([[0.0, 3.0, 1.0], [5.0, 4.0, 4.9]])
    keys = jax.random.split(jax.random.key(0), 2)
    draw = jax.jit(draw_token, static_argnums=(3, 4)) if traced else draw_token
    token, log_prob = draw(keys, logits, 0.0, 0, 1.0)
    np.testing.assert_array_equal(token, [1, 0])
    np.testing.assert_allclose(log_prob, np.max(jax.nn.log_softmax(logits), axis=-1), rtol=1e-6)


def test_log_prob_is_of_the_tempered_policy_before_cutting():
    logits = jnp.array([[0.0, 3.0, 1.0]] * 50)
    token, log_prob = draw_token(jax.random.split(jax.random.key(0), 50), logits, 2.0, 2, 1.0)
    assert set(np.asarray(token)) == {1, 2}
    wanted = jax.nn.log_softmax(logits[0] / 2.0)[token]
    np.testing.assert_allclose(log_prob, wanted, rtol=1e-5)
