"""Preferences: antisymmetric whatever they are made of."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from antiphon.core.errors import UserError
from antiphon.feedback.preference import antisymmetric, check_antisymmetry, from_reward, from_table

PROMPT, FIRST, SECOND = (jax.random.normal(jax.random.key(i), (6, 3)) for i in range(3))


def test_any_score_becomes_antisymmetric():
    of = antisymmetric(lambda w, x, a, b: jnp.sum(x * a * jnp.sin(w * b), axis=1))
    check_antisymmetry(of, 2.0, PROMPT, FIRST, SECOND)
    np.testing.assert_allclose(of(2.0, PROMPT, FIRST, FIRST), 0.5)
    a, b = (np.sum(PROMPT * u * np.sin(2.0 * v), axis=1) for u, v in ((FIRST, SECOND), (SECOND, FIRST)))
    np.testing.assert_allclose(of(2.0, PROMPT, FIRST, SECOND), 1 / (1 + np.exp(b - a)), rtol=1e-5)


def test_a_reward_makes_no_circles():
    of = from_reward(lambda w, x, y: w * jnp.sum(x * y, axis=1))
    check_antisymmetry(of, 0.3, PROMPT, FIRST, SECOND)
    odds = [np.log(p / (1 - p)) for p in (of(0.3, PROMPT, a, b) for a, b in
            ((FIRST, SECOND), (SECOND, PROMPT), (PROMPT, FIRST)))]  # fmt: skip
    np.testing.assert_allclose(np.sum(odds, axis=0), 0, atol=1e-4)


def test_a_table_is_looked_up():
    table = jnp.array([[0.5, 0.9], [0.1, 0.5]])
    found = from_table(lambda y: y[:, 0])(table, None, jnp.array([[0], [1]]), jnp.array([[1], [1]]))
    np.testing.assert_allclose(found, [0.9, 0.5])


def test_what_is_no_preference_is_refused():
    with pytest.raises(UserError, match="must sum to 1"):
        check_antisymmetry(lambda w, x, a, b: jnp.full(6, 0.7), (), PROMPT, FIRST, SECOND)
    with pytest.raises(UserError, match="outside"):
        check_antisymmetry(lambda w, x, a, b: jnp.full(6, 1.7), (), PROMPT, FIRST, SECOND)
