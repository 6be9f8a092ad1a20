import jax
import jax.numpy as jnp
import numpy as np
import pytest

from antiphon.core.errors import UserError
from antiphon.equilibrium import FlowProblem, mean_field_game, rules, solve
from antiphon.equilibrium.stationary import stationary
from antiphon.methods.fictitious_play import FictitiousPlay
from antiphon.methods.mirror_descent import MirrorDescent
from antiphon.worlds.meanfield.crowd import FreeCrowd
from antiphon.worlds.meanfield.garnet import Garnet, garnet
from antiphon.worlds.meanfield.susceptible_infected import SusceptibleInfected

measure = jax.jit(lambda problem, policy: problem.measure(policy))


@rules
class Fading:
    """A garnet with rewards that fade."""

    game: Garnet
    mean_field: jax.Array
    discount: float
    horizon: int

    n_states, n_actions, populations, time_dependent = 6, 3, (), True

    def init(self):
        return self.mean_field

    def kernel(self, time, crowd):
        return self.game.kernel(time, crowd)

    def reward(self, time, crowd):
        return self.discount**time * self.game.reward(time, crowd)


def test_free_crowd_is_a_softmax_for_ever():
    worth, price, discount = np.array([0.3, -1.0, 0.8, 0.0]), 0.7, 0.9
    with jax.enable_x64(True):
        problem = stationary(mean_field_game(FreeCrowd(jnp.asarray(worth), price)), discount)
        found = solve(problem, MirrorDescent(0.5), 200)
        seen = problem.facing(found.policy).seen
    weight = np.exp(worth / price)
    np.testing.assert_allclose(seen, weight / weight.sum(), atol=1e-6)
    np.testing.assert_allclose(found.value[-1], price * np.log(weight.sum()) / (1 - discount), atol=1e-6)
    assert abs(found.exploitability[-1]) < 1e-6


def test_an_epidemic_without_care_settles_at_one_minus_recovery_over_infection():
    with jax.enable_x64(True):
        problem = stationary(mean_field_game(SusceptibleInfected()))
        careless = problem.uniform().at[:, 0].set(1.0).at[:, 1].set(0.0)
        infected = float(jax.jit(lambda p, pi: p.facing(pi).seen)(problem, careless)[1])
    assert infected == pytest.approx(1 - 0.3 / 0.81, abs=1e-6)


def test_values_are_those_of_linear_equations():
    discount = 0.8
    with jax.enable_x64(True):
        game = garnet(jax.random.key(0), "coupled", n_states=6)
        problem = stationary(game, discount)
        policy = jax.random.dirichlet(jax.random.key(1), jnp.ones(3), (6,))
        around = jax.jit(lambda p, pi: p.facing(pi))(problem, policy)
        gap = measure(problem, policy)
        policy = np.asarray(policy)
        kernel = np.asarray(game.kernel(0, around.crowd))
        reward = np.asarray(game.reward(0, around.crowd))
        seen = np.asarray(around.seen)
    moves = np.einsum("sa,sax->sx", policy, kernel)
    np.testing.assert_allclose(seen @ moves, seen, atol=1e-9)
    own = np.linalg.solve(np.eye(6) - discount * moves, (policy * reward).sum(-1))
    np.testing.assert_allclose(gap.value, seen @ own, atol=1e-6)
    # Policy iteration, which shares nothing with value iteration.
    choice = np.zeros(6, int)
    for _ in range(20):
        rows, paid = kernel[np.arange(6), choice], reward[np.arange(6), choice]
        best = np.linalg.solve(np.eye(6) - discount * rows, paid)
        choice = (reward + discount * kernel @ best).argmax(-1)
    np.testing.assert_allclose(gap.exploitability, seen @ (best - own), atol=1e-6)
    assert float(gap.exploitability) > 0.01


def test_a_long_horizon_is_no_horizon():
    discount, horizon = 0.8, 80
    with jax.enable_x64(True):
        game = garnet(jax.random.key(2), "coupled", n_states=6)
        problem = stationary(game, discount)
        policy = jax.random.dirichlet(jax.random.key(3), jnp.ones(3), (6,))
        forever = measure(problem, policy)
        start = jax.jit(lambda p, pi: p.facing(pi).seen)(problem, policy)
        long = measure(
            FlowProblem(Fading(game, start, discount, horizon)), jnp.broadcast_to(policy, (horizon, 6, 3))
        )
    np.testing.assert_allclose(long, forever, atol=1e-5)


def test_fictitious_play_finds_a_stationary_equilibrium():
    found = solve(stationary(garnet(jax.random.key(4), "monotone", n_states=5), 0.9), FictitiousPlay(), 200)
    assert found.exploitability[-1] < 0.02 * found.exploitability[0]


def test_refuses_no_discount_and_rules_that_read_the_time():
    game = mean_field_game(SusceptibleInfected())
    with pytest.raises(UserError, match=r"discount is 1\.0"):
        stationary(game, 1.0)

    @rules
    class Timed(SusceptibleInfected):
        def reward(self, state, action, mean_field, time):
            return 1.0 * time

    with pytest.raises(UserError, match="read the time"):
        stationary(mean_field_game(Timed()))
