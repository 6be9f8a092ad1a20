import jax
import jax.numpy as jnp
import numpy as np
import pytest

from antiphon.core.errors import UserError
from antiphon.equilibrium import FlowProblem, mean_field_game, solve
from antiphon.equilibrium.kernel import dense
from antiphon.methods.fictitious_play import FictitiousPlay
from antiphon.worlds.meanfield.garnet import garnet
from antiphon.worlds.meanfield.left_right import LeftRight
from antiphon.worlds.meanfield.predator_prey import PredatorPrey
from antiphon.worlds.meanfield.several_populations import several_populations


def test_predator_prey_is_openspiels_after_two_iterations():
    with jax.enable_x64(True):
        found = solve(FlowProblem(PredatorPrey().build()), FictitiousPlay(), 2, keep=[2])
    assert found.exploitability[0] == pytest.approx(17.788, abs=5e-4)


def test_a_corner_of_predator_prey_by_hand():
    game = PredatorPrey(size=3, horizon=2).build()
    crowd = jnp.zeros((3, 9, 5)).at[0, 4, 0].set(1.0).at[1, 4, 0].set(0.25).at[1, 8, 0].set(0.75)
    crowd = crowd.at[2, 0, 0].set(1.0)
    reward = game.reward(0, crowd)
    assert reward.shape == (3, 9, 5)
    # In the middle: all of population 0, which dislikes the quarter of population 1 there.
    np.testing.assert_allclose(reward[0, 4], -0.25, atol=1e-6)
    np.testing.assert_allclose(reward[1, 4], -np.log(0.25) + 1.0, atol=1e-6)
    np.testing.assert_allclose(reward[2, 4], 25 * np.log(10) - 1.0 + 0.25, rtol=1e-5)
    # East out of the middle into (2, 1), where a stumble to the east meets the wall.
    row = np.asarray(dense(game.kernel(0, crowd), 9)[1, 4, 1])
    np.testing.assert_allclose(row[[5, 8, 2, 4]], [0.4, 0.2, 0.2, 0.2], atol=1e-6)
    np.testing.assert_array_equal(jnp.argmax(game.init(), -1), [0, 2, 6])


def test_games_that_do_not_see_each_other_add_up():
    games = [garnet(jax.random.key(i), n_states=4, horizon=3) for i in (0, 1)]
    together = FlowProblem(several_populations(games, lambda time, crowds: jnp.zeros_like(crowds)))
    gap = together.measure(together.uniform())
    alone = [FlowProblem(game).measure(FlowProblem(game).uniform()) for game in games]
    np.testing.assert_allclose(gap.exploitability, sum(one.exploitability for one in alone), rtol=1e-5)
    np.testing.assert_allclose(gap.value, sum(one.value for one in alone), rtol=1e-5)


def others_side(time, crowds):
    """Matching pennies: population 0 wants to be where 1 is, and 1 where 0 is not."""
    del time
    mean_field = jnp.sum(crowds, -1) * jnp.array([0.0, 1.0, 1.0])
    paid = jnp.stack([mean_field[1], -mean_field[0]])
    return jnp.broadcast_to(paid[..., None], crowds.shape)


def test_matching_pennies_between_crowds_is_at_equilibrium_when_even():
    game = mean_field_game(LeftRight(left_cost=0.0, right_cost=0.0))
    problem = FlowProblem(several_populations([game, game], others_side))
    assert float(problem.measure(problem.uniform()).exploitability) == pytest.approx(0.0, abs=1e-6)
    left = problem.uniform().at[:, :, :, 0].set(1.0).at[:, :, :, 1].set(0.0)
    # Both left: population 1 gains one by going right.
    assert float(problem.measure(left).exploitability) == pytest.approx(1.0, abs=1e-6)


def test_refuses_games_of_different_sizes():
    games = [garnet(jax.random.key(0), n_states=n) for n in (3, 4)]
    with pytest.raises(UserError, match="all of one size"):
        several_populations(games, others_side)
    with pytest.raises(UserError, match="3 or 4"):
        PredatorPrey(kinds=2).build()
