"""Preference games: laws of the regularised game, and its equilibrium by an independent solver."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.core.errors import UserError
from antiphon.equilibrium.preference_game import (
    best_response,
    duality_gap,
    nash,
    preference_game,
    regularised_win_rate,
    win_rate,
)
from antiphon.worlds.diagnostics.preferences import dice, random_table, rater_types, rock_paper_scissors


def log_of(p):
    return jnp.log(jnp.asarray(p))


@given(st.integers(0, 10_000), st.integers(2, 6), st.sampled_from([0.02, 0.1, 1.0, 10.0]))
def test_the_equilibrium_answers_itself(seed, answers, tau):
    mu = np.random.default_rng(seed).dirichlet(np.ones(answers)) * 0.9 + 0.1 / answers
    table = random_table(seed, answers, 2.0)
    with jax.enable_x64():
        found = nash(preference_game(table, tau, mu))
    logits = np.log(mu) + table @ found / tau
    answer = np.exp(logits - np.logaddexp.reduce(logits))
    np.testing.assert_allclose(found, answer, rtol=1e-7, atol=1e-12)
    np.testing.assert_allclose(found.sum(), 1, rtol=1e-9)


def test_the_gap_is_what_the_best_answers_gain():
    table, mu = random_table(1, 4), np.array([0.4, 0.3, 0.2, 0.1])
    with jax.enable_x64():
        game = preference_game(table, 0.2, mu)
        log_p = log_of([0.1, 0.2, 0.3, 0.4])
        answer = best_response(game, log_p)
        gain = regularised_win_rate(game, answer, log_p) - regularised_win_rate(game, log_p, answer)
        np.testing.assert_allclose(duality_gap(game, log_p), gain, rtol=1e-12)
        # No policy of a fine random sample does better than the closed form.
        others = jax.vmap(lambda q: regularised_win_rate(game, q, log_p))(
            jnp.log(jax.random.dirichlet(jax.random.key(0), jnp.ones(4), (2000,)))
        )
        assert np.max(others) <= regularised_win_rate(game, answer, log_p) + 1e-12
        np.testing.assert_allclose(duality_gap(game, log_of(nash(game))), 0, atol=1e-12)
        plain = preference_game(table, 0.0, mu)
        np.testing.assert_allclose(
            duality_gap(plain, log_p), 2 * (np.max(table @ np.exp(log_p)) - 0.5), rtol=1e-12
        )


def test_both_sides_of_the_game_sum_to_one():
    game = preference_game(random_table(3, 5), 0.3)
    p, q = (jax.nn.log_softmax(jax.random.normal(jax.random.key(i), (5,))) for i in range(2))
    np.testing.assert_allclose(
        win_rate(game.preference, p, q) + win_rate(game.preference, q, p), 1, rtol=1e-6
    )
    np.testing.assert_allclose(
        regularised_win_rate(game, p, q) + regularised_win_rate(game, q, p), 1, rtol=1e-6
    )


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (dice(), [1 / 3] * 3),
        (rock_paper_scissors(), [1 / 3] * 3),
        (rater_types(0.1), [1 / 3 + 0.05, 1 / 3 + 0.05, 1 / 3 - 0.1]),
        (rater_types(-0.2), [1 / 3 - 0.1, 1 / 3 - 0.1, 1 / 3 + 0.2]),
    ],
)
def test_equilibria_of_the_paper_s_examples(table, expected):
    np.testing.assert_allclose(nash(preference_game(table, 0.0)), expected, atol=1e-9)


def test_the_regularised_equilibrium_lies_between_reference_and_equilibrium():
    table, mu = rater_types(0.1), np.array([0.6, 0.3, 0.1])
    np.testing.assert_allclose(nash(preference_game(table, 1e4, mu)), mu, atol=1e-4)
    np.testing.assert_allclose(nash(preference_game(table, 1e-4, mu)), [0.383, 0.383, 0.233], atol=2e-3)


@pytest.mark.parametrize(
    ("table", "reference", "tau", "said"),
    [
        ([[0.5, 0.2]], None, 0.1, "shape"),
        ([[0.5, 1.2], [-0.2, 0.5]], None, 0.1, r"P\[0, 1\] is 1\.2"),
        ([[0.5, 0.7], [0.7, 0.5]], None, 0.1, r"P\[0, 1\] \+ P\[1, 0\] is 1\.4"),
        ([[0.6, 0.7], [0.3, 0.5]], None, 0.1, r"P\[0, 0\] \+ P\[0, 0\] is 1\.2"),
        ([[0.5, 0.7], [0.3, 0.5]], [1.0, 0.0], 0.1, "no distribution"),
        ([[0.5, 0.7], [0.3, 0.5]], None, -0.1, "tau is -0.1"),
        ([[0.5, np.nan], [0.3, 0.5]], None, 0.1, "is nan"),
    ],
)
def test_what_is_no_game_is_refused(table, reference, tau, said):
    with pytest.raises(UserError, match=said):
        preference_game(table, tau, reference)
