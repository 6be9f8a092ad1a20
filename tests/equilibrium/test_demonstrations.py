import jax
import jax.numpy as jnp
import numpy as np
import pytest

from antiphon.core.errors import UserError
from antiphon.equilibrium import flow
from antiphon.equilibrium.demonstrations import _draw, demonstrate, demonstrate_players
from antiphon.worlds.meanfield.garnet import garnet


@pytest.fixture(scope="module")
def game():
    return garnet(jax.random.key(0), "coupled", n_states=4, n_actions=2, horizon=5)


@pytest.fixture(scope="module")
def policy(game):
    return jax.random.dirichlet(jax.random.key(1), jnp.ones(2), (game.horizon, game.n_states))


@pytest.mark.parametrize("show", [demonstrate, demonstrate_players])
def test_many_players_are_where_the_mean_field_is(game, policy, show):
    count = 40_000
    found = jax.jit(show, static_argnums=3)(game, policy, jax.random.key(2), count).occupancy(4, 2)
    np.testing.assert_allclose(jnp.sum(found, (1, 2)), 1.0, rtol=1e-4)
    expected = np.asarray(flow(game, policy))
    error = np.sqrt(expected * (1 - expected) / count)
    # Five standard errors, and twice that for a crowd whose own noise moves it.
    assert np.all(np.abs(found - expected) < (5 if show is demonstrate else 10) * error + 1e-4)


def test_few_players_move_their_own_crowd(game, policy):
    def second(show):
        runs = jax.vmap(lambda key: show(game, policy, key, 2).states[1])(
            jax.random.split(jax.random.key(3), 4000)
        )
        return np.asarray(runs)

    # Two players of one game share its noise; two trajectories in the mean field do not.
    same = [
        np.mean(states[:, 0] == states[:, 1]) for states in map(second, (demonstrate, demonstrate_players))
    ]
    chance = np.sum(np.asarray(jnp.sum(flow(game, policy)[1], -1)) ** 2)
    assert abs(same[0] - chance) < 5 * np.sqrt(0.25 / 4000)
    assert same[1] > chance - 5 * np.sqrt(0.25 / 4000)


def test_occupancy_counts():
    from antiphon.equilibrium.demonstrations import Demonstrations

    shown = Demonstrations(jnp.array([[0, 0, 1, 2]]), jnp.array([[1, 1, 0, 0]]))
    np.testing.assert_allclose(shown.occupancy(3, 2), [[[0, 0.5], [0.25, 0], [0.25, 0]]])


def test_what_has_no_probability_is_never_drawn():
    rows = jnp.tile(jnp.array([0.0, 0.3, 0.0, 0.7, 0.0]), (20_000, 1))
    drawn = np.asarray(_draw(jax.random.key(4), rows, 20_000))
    assert set(drawn.tolist()) == {1, 3}
    assert np.mean(drawn == 1) == pytest.approx(0.3, abs=0.02)
    np.testing.assert_array_equal(drawn, _draw(jax.random.key(4), rows[:1], 20_000))


def test_same_key_same_demonstrations(game, policy):
    first, again = (demonstrate(game, policy, jax.random.key(5), 3) for _ in range(2))
    np.testing.assert_array_equal(first.states, again.states)


def test_nobody_demonstrates_nothing(game, policy):
    with pytest.raises(UserError, match="ask for one player"):
        demonstrate(game, policy, jax.random.key(0), 0)
