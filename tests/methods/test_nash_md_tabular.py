"""Tabular Nash learning: the first step by hand, theorem 1, and the last iterate where self-play circles."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from antiphon.core.divergences import forward_kl
from antiphon.core.errors import UserError
from antiphon.equilibrium.preference_game import duality_gap, nash, preference_game
from antiphon.methods.nash_md_tabular import TabularNash, theorem_1_bound
from antiphon.worlds.diagnostics.preferences import random_table, rock_paper_scissors


def slow_step(table, mu, p, average, eta, tau, opponent):
    """One step with plain probabilities, as the paper writes it."""
    mixture = p ** (1 - eta * tau) * mu ** (eta * tau)
    mixture /= mixture.sum()
    against = {"mixture": mixture, "self": p, "average": average}[opponent]
    new = mixture * np.exp(eta * table @ against)
    return new / new.sum()


@pytest.mark.parametrize("opponent", ["mixture", "self", "average"])
@pytest.mark.parametrize("step_size", [None, 0.7])
def test_steps_are_the_paper_s(opponent, step_size):
    table, mu, tau = random_table(0, 4), np.array([0.4, 0.3, 0.2, 0.1]), 0.3
    with jax.enable_x64():
        game = preference_game(table, tau, mu)
        method = TabularNash(opponent, step_size, decay=0.8)
        found = method.run(game, 5, jnp.log(jnp.array([0.1, 0.2, 0.3, 0.4])))
        p = average = np.array([0.1, 0.2, 0.3, 0.4])
        for t in range(5):
            eta = 2 / (tau * (t + 2)) if step_size is None else step_size
            p = slow_step(table, mu, p, average, eta, tau, opponent)
            average = average**0.8 * p**0.2
            average /= average.sum()
            np.testing.assert_allclose(np.exp(found[t]), p, rtol=1e-10)


@pytest.mark.parametrize("tau", [0.05, 0.5])
def test_nash_md_obeys_theorem_1(tau):
    steps = 300
    for seed in range(3):
        with jax.enable_x64():
            game = preference_game(random_table(seed, 8, 2.0), tau)
            goal = jnp.log(jnp.asarray(nash(game)))
            start = jax.nn.log_softmax(4 * jax.random.normal(jax.random.key(seed), (8,)))
            kl = jax.vmap(lambda log_p, goal=goal: forward_kl(goal, log_p))(
                jax.jit(TabularNash().run, static_argnums=1)(game, steps, start)
            )
            assert np.all(kl <= theorem_1_bound(tau, jnp.arange(1, steps + 1)))
            assert kl[-1] < 0.05 * theorem_1_bound(tau, steps)


def test_the_last_iterate_converges_where_self_play_circles():
    start = jnp.log(jnp.array([0.6, 0.3, 0.1]))
    gaps = {}
    with jax.enable_x64():
        game = preference_game(rock_paper_scissors(), 0.1)
        for opponent in ("mixture", "self", "average"):
            log_p = TabularNash(opponent, 5.0, decay=0.5).run(game, 300, start)
            gaps[opponent] = np.asarray(jax.vmap(lambda p: duality_gap(game, p))(log_p[-50:]))
    assert gaps["mixture"].max() < 1e-12
    assert gaps["self"].min() > 0.2


def test_impossible_settings_are_refused():
    for wrong, said in (
        ({"opponent": "nobody"}, "no opponent 'nobody'"),
        ({"step_size": 0.0}, "step_size is 0"),
        ({"decay": 1.0}, "decay is 1"),
    ):
        with pytest.raises(UserError, match=said):
            TabularNash(**wrong)
