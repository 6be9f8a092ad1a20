"""Distillation losses against NumPy, one token after the other."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from antiphon.core.errors import UserError
from antiphon.objectives.distillation import (
    TokenDivergence,
    in_chunks,
    reduce_tokens,
    top_k_divergence,
    with_tail,
)


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def kl(p, q):
    return np.sum(p * np.log(p / q), -1)


LOGITS = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype(np.float32) * 2


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("forward_kl", lambda p, q, m: kl(p, q)),
        ("reverse_kl", lambda p, q, m: kl(q, p)),
        ("jsd", lambda p, q, m: 0.3 * kl(p, m) + 0.7 * kl(q, m)),
        ("normalised_jsd", lambda p, q, m: (0.3 * kl(p, m) + 0.7 * kl(q, m)) / 0.21),
        ("total_variation", lambda p, q, m: 0.5 * np.abs(p - q).sum(-1)),
        ("skew_kl", lambda p, q, m: kl(p, m)),
    ],
)
def test_divergences_are_the_formulas_at_their_temperature(kind, expected):
    p, q = softmax(LOGITS[0] / 0.7), softmax(LOGITS[1] / 0.7)
    found = TokenDivergence(kind, beta=0.3, temperature=0.7)(jnp.asarray(LOGITS[0]), jnp.asarray(LOGITS[1]))
    np.testing.assert_allclose(found, expected(p, q, 0.3 * p + 0.7 * q), rtol=2e-4, atol=1e-6)


def test_no_gradient_flows_into_the_teacher():
    of = TokenDivergence("jsd", 0.1)
    teacher, student = jax.grad(lambda a, b: jnp.sum(of(a, b)), (0, 1))(*jnp.asarray(LOGITS))
    assert (teacher == 0).all()
    assert (student != 0).any()


def test_the_paper_weighs_completions_alike():
    values = jnp.array([[1.0, 3.0, 9.0], [5.0, 9.0, 9.0], [9.0, 9.0, 9.0]])
    mask = jnp.array([[1, 1, 0], [1, 0, 0], [0, 0, 0]])
    assert reduce_tokens(values, mask) == pytest.approx((2 + 5) / 2)
    assert reduce_tokens(values, mask, "token") == pytest.approx((1 + 3 + 5) / 3)
    assert reduce_tokens(values, 0 * mask) == 0


@pytest.mark.parametrize("k", [1, 3, 5])
def test_a_bucket_for_the_rest_bounds_the_divergence_from_below(k):
    a, b = np.random.default_rng(k).normal(size=(2, 200, 5)).astype(np.float32) * 3
    for kind in ("forward_kl", "reverse_kl", "jsd"):
        of = TokenDivergence(kind, temperature=1.3)
        whole, part = of(a, b), top_k_divergence(of, jnp.asarray(a), jnp.asarray(b), k)
        assert (part >= -1e-6).all()
        assert (part <= whole + 1e-5).all()
        if k == 5:
            np.testing.assert_allclose(part, whole, atol=2e-5)


def test_the_bucket_holds_the_rest():
    p = np.array([0.5, 0.1, 0.3, 0.1])
    found = np.exp(with_tail(jnp.log(jnp.asarray(p)), jnp.array([2, 0])))
    np.testing.assert_allclose(found, [0.3, 0.5, 0.2], rtol=1e-5)


@pytest.mark.parametrize("size", [1, 5, 12, 13])
def test_pieces_give_the_values_and_gradients_of_the_whole(size):
    rng = np.random.default_rng(0)
    known, learnt = (rng.normal(size=(3, 4, d)).astype(np.float32) for d in (2, 3))
    teacher, student = (jnp.asarray(rng.normal(size=(d, 5)).astype(np.float32)) for d in (2, 3))
    of = TokenDivergence("forward_kl")

    def whole(student, learnt):
        return jnp.sum(of(known @ teacher, learnt @ student) ** 2)

    def pieces(student, learnt):
        return jnp.sum(in_chunks(lambda a, b: of(a @ teacher, b @ student), known, learnt, size) ** 2)

    np.testing.assert_allclose(pieces(student, learnt), whole(student, learnt), rtol=1e-5)
    for a, b in zip(
        jax.grad(pieces, (0, 1))(student, learnt), jax.grad(whole, (0, 1))(student, learnt), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"kind": "jsdd"}, "no divergence 'jsdd'"),
        ({"beta": 1.1}, "beta is"),
        ({"temperature": 0.0}, "temperature is"),
    ],
)
def test_impossible_settings_are_refused(wrong, said):
    with pytest.raises(UserError, match=said):
        TokenDivergence(**wrong)
