import jax
import jax.numpy as jnp
import numpy as np
import pytest

from antiphon.core.errors import UserError
from antiphon.core.statistics import mean
from antiphon.equilibrium import FlowProblem, mean_field_game
from antiphon.worlds.meanfield.crowd_modelling import CrowdModelling
from antiphon.worlds.meanfield.finite_crowd import simulate_crowd
from antiphon.worlds.meanfield.left_right import LeftRight

play = jax.jit(simulate_crowd, static_argnames="paths")


def test_four_players_who_toss_coins_by_hand():
    game = mean_field_game(LeftRight())
    even = FlowProblem(game).uniform()
    found = play(game, even, jax.random.key(0), players=4, paths=3000, deviation=even)
    # −Σ cost E[share²], and E[share²] = ¼ + 1/(4N).
    for value in (found.value, found.tagged):
        told = mean(np.asarray(value), confidence=0.999)
        assert told.low < -0.75 * (1 + 1 / 4) < told.high
    np.testing.assert_allclose(found.mean_field.sum(-1), 1.0, atol=1e-6)
    left = even.at[..., 0].set(1.0).at[..., 1].set(0.0)
    found = play(game, even, jax.random.key(1), players=4, paths=3000, deviation=left)
    # The one who goes left meets itself and half of the three others.
    told = mean(np.asarray(found.tagged), confidence=0.999)
    assert told.low < -(1 + 1.5) / 4 < told.high


def test_a_large_crowd_on_a_sparse_kernel_is_the_mean_field():
    game = CrowdModelling(size=4, horizon=3).build()
    problem = FlowProblem(game)
    found = play(game, problem.uniform(), jax.random.key(4), players=20_000, paths=8)
    np.testing.assert_allclose(found.mean_field, 0.25, atol=0.02)
    assert float(jnp.mean(found.value)) == pytest.approx(
        float(problem.measure(problem.uniform()).value), abs=5e-3
    )


def test_refuses_an_empty_game():
    game = mean_field_game(LeftRight())
    with pytest.raises(UserError, match="at least one player"):
        simulate_crowd(game, FlowProblem(game).uniform(), jax.random.key(0), players=0, paths=2)
