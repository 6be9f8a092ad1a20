import jax
import jax.numpy as jnp
import numpy as np
import pytest

from antiphon.core.errors import UserError
from antiphon.equilibrium import FlowProblem, solve
from antiphon.equilibrium.kernel import dense
from antiphon.methods.fictitious_play import FictitiousPlay
from antiphon.worlds.meanfield.crowd_modelling import (
    CrowdModelling,
    first_path_actions,
    four_rooms,
    legal_uniform,
)
from antiphon.worlds.meanfield.floor_plans import floor_plan


def test_a_small_ring_by_hand():
    game = CrowdModelling(size=4, horizon=2).build()
    crowd = jnp.full((4, 3), 1 / 12)
    worth = np.array([0.0, 0.5, 1.0, 0.5]) + np.log(4)
    steps = np.array([0.25, 0.0, 0.25])
    np.testing.assert_allclose(game.reward(0, crowd), worth[:, None] - steps, atol=1e-6)
    # The peer charges a step at the next decision, so the last one is free.
    np.testing.assert_allclose(game.reward(1, crowd), np.repeat(worth[:, None], 3, 1), atol=1e-6)
    table = dense(game.kernel(0, crowd), 4)
    np.testing.assert_allclose(table[0, 0], [1 / 3, 0, 1 / 3, 1 / 3], atol=1e-6)  # to 3, and a gust
    np.testing.assert_allclose(table[2, 1], [0, 1 / 3, 1 / 3, 1 / 3], atol=1e-6)


def test_an_open_torus_by_hand():
    game = CrowdModelling("open", size=4, noise=0.5, horizon=3, congestion=True).build()
    crowd = jnp.full((16, 5), 1 / 80)
    reward = game.reward(0, crowd)
    # Place (1, 3): 2 − (1 + 1)/2, in a sixteenth of the crowd; a step of 1/4 costs a sixteenth of itself.
    np.testing.assert_allclose(reward[13], 1 + np.log(16) - np.array([1, 1, 0, 1, 1]) / 64, atol=1e-5)
    row = np.asarray(dense(game.kernel(0, crowd), 16)[13, 4]).reshape(4, 4)  # down from (1, 3) to (1, 0)
    expected = np.zeros((4, 4))
    for x, y in ((1, 0), (0, 0), (2, 0), (1, 1), (1, 3)):
        expected[y, x] = 0.1
    expected[0, 1] += 0.5
    np.testing.assert_allclose(row, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("layout", "accounting", "expected"), [("ring", "openspiel", 0.99080), ("open", "openspiel", 2.18057)]
)
def test_exploitability_is_openspiels_after_ten_iterations(layout, accounting, expected):
    with jax.enable_x64(True):
        problem = FlowProblem(CrowdModelling(layout, accounting=accounting).build())
        found = solve(problem, FictitiousPlay(), 10, keep=[10])
    assert found.exploitability[0] == pytest.approx(expected, abs=6e-6)


def test_the_path_that_is_visited_first_by_hand():
    # From 0: stepping back reaches 4 and by gusts 3, 4, 0; staying adds 1; stepping on adds 2.
    last = first_path_actions(floor_plan("ring", 5), 2)
    np.testing.assert_array_equal(last, [[1] * 5, [0, 1, 2, 0, 0]])


def test_nobody_walks_through_walls():
    game = four_rooms().build()
    plan = floor_plan("four-rooms")
    assert game.n_states == 104
    number = {tuple(place): i for i, place in enumerate(plan.places.tolist())}
    doors = [(6, 3), (6, 9), (3, 6), (9, 6)]
    for place in doors:
        assert plan.legal[number[place]].sum() == 3  # in, out, and stay
    apart = np.abs(plan.places[:, None, None] - plan.places[np.asarray(game.states)]).sum(-1)
    assert apart.max() == 2  # a step and a gust
    policy = legal_uniform(game, "four-rooms")
    assert float(jnp.max(jnp.abs(policy.sum(-1) - 1))) < 1e-6
    corner = number[1, 1]
    assert float(game.mean_field[corner]) == 1.0
    np.testing.assert_allclose(policy[0, corner], np.array([0, 0, 1, 1, 1]) / 3, atol=1e-6)


def test_a_sweep_over_aversion_is_one_vmap():
    def gap(aversion):
        problem = FlowProblem(CrowdModelling(size=4, horizon=3, aversion=aversion).build())
        return problem.measure(problem.uniform()).exploitability

    swept = jax.vmap(gap)(jnp.array([0.5, 1.0]))
    np.testing.assert_allclose(swept, [gap(0.5), gap(1.0)], rtol=1e-5)


@pytest.mark.parametrize(("layout", "size"), [("spiral", 4), ("ring", 0)])
def test_refuses_plans_that_cannot_be(layout, size):
    with pytest.raises(UserError, match=r"use one of|at least one"):
        CrowdModelling(layout, size=size).build()
