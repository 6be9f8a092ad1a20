import jax
import jax.numpy as jnp
import numpy as np
import pytest

from antiphon.core.errors import UserError
from antiphon.equilibrium import FlowProblem, flow, mean_field_game, solve
from antiphon.equilibrium.solving import kept_iterations, trace
from antiphon.methods.fictitious_play import FictitiousPlay
from antiphon.methods.fixed_point import BoltzmannIteration, FixedPoint
from antiphon.methods.mirror_descent import (
    ExtragradientMirrorDescent,
    MirrorDescent,
    MunchausenMirrorDescent,
)
from antiphon.worlds.meanfield.beach_bar import BeachBar
from antiphon.worlds.meanfield.crowd import FreeCrowd
from antiphon.worlds.meanfield.garnet import garnet
from antiphon.worlds.meanfield.left_right import LeftRight
from antiphon.worlds.meanfield.roads import Roads
from antiphon.worlds.meanfield.rock_paper_scissors import RockPaperScissors
from antiphon.worlds.meanfield.susceptible_infected import SusceptibleInfected

PEER = FictitiousPlay(split_ties=True)


def in_float64(rules, solver, iterations, **settings):
    with jax.enable_x64(True):
        problem = FlowProblem(mean_field_game(rules() if callable(rules) else rules))
        found = solve(problem, solver, iterations, **settings)
        return found, np.asarray(jnp.sum(flow(problem.game, found.policy), -1))


@pytest.mark.parametrize(
    ("rules", "solver", "first", "last"),
    [
        (BeachBar(n_states=10, bar=5), PEER, 18.242, 0.17882),
        (BeachBar(n_states=10, bar=5), MirrorDescent(), 18.242, 0.13006),
        (LeftRight(), PEER, 0.25, 0.02551),
        (LeftRight(), MirrorDescent(), 0.25, 0.0),
        (RockPaperScissors(), PEER, 0.33333, 0.14664),
        (SusceptibleInfected(), MirrorDescent(), 5.467, 0.2506),
    ],
)
def test_exploitability_is_what_mfglib_prints_after_twenty_iterations(rules, solver, first, last):
    found, _ = in_float64(rules, solver, 20, keep=[0, 20])
    np.testing.assert_allclose(found.exploitability, [first, last], rtol=1e-4, atol=1e-5)


def test_left_right_goes_two_to_one():
    found, mean_field = in_float64(LeftRight(), MirrorDescent(0.5), 200)
    np.testing.assert_allclose(mean_field[1], [0, 2 / 3, 1 / 3], atol=1e-6)
    np.testing.assert_allclose(found.value[-1], -2 / 3, atol=1e-6)
    assert found.exploitability[-1] < 1e-6


def test_rock_paper_scissors_needs_a_look_ahead():
    found, mean_field = in_float64(RockPaperScissors(), ExtragradientMirrorDescent(0.2), 1000)
    np.testing.assert_allclose(mean_field[1], np.array([0, 26, 20, 31]) / 77, atol=1e-6)
    np.testing.assert_allclose(found.value[-1], 6 / 11, atol=1e-6)
    cycling, _ = in_float64(RockPaperScissors(), MirrorDescent(), 1000)
    assert cycling.exploitability[-1] > 1.0


def test_free_crowd_is_a_softmax():
    def rules():
        return FreeCrowd(jnp.array([0.3, -1.0, 0.8, 0.0]), 0.7, horizon=3)

    found, mean_field = in_float64(rules, MirrorDescent(0.5), 300)
    weight = np.exp(np.array([0.3, -1.0, 0.8, 0.0]) / 0.7)
    np.testing.assert_allclose(mean_field[1:], np.broadcast_to(weight / weight.sum(), (2, 4)), atol=1e-6)
    # The first step is spread evenly whatever anybody does; each later step earns the log-sum-exp.
    first = np.mean([0.3, -1.0, 0.8, 0.0]) + 0.7 * np.log(4)
    np.testing.assert_allclose(found.value[-1], first + 2 * 0.7 * np.log(weight.sum()), atol=1e-6)


def test_roads_are_wardrops():
    free, slope = [1.0, 0.5, 0.9, 3.0], [0.5, 1.0, 0.7, 0.2]

    def rules():
        return Roads(jnp.array(free), jnp.array(slope))

    found, mean_field = in_float64(rules, MirrorDescent(0.5), 600)
    with jax.enable_x64(True):
        expected = np.asarray(rules().equilibrium())
    times = np.array(free) + np.array(slope) * expected
    assert expected.sum() == pytest.approx(1)
    assert np.ptp(times[expected > 0]) < 1e-12
    assert times[expected > 0][0] < times[expected == 0].min()
    np.testing.assert_allclose(mean_field[1, 1:], expected, atol=1e-6)
    assert found.exploitability[-1] < 1e-6


def test_fictitious_play_comes_near_at_the_rate_one_over_k():
    found, _ = in_float64(BeachBar(), FictitiousPlay(), 1000)
    late = found.iterations >= 30
    slope = np.polyfit(np.log(found.iterations[late]), np.log(found.exploitability[late]), 1)[0]
    assert -1.3 < slope < -0.7


def test_visited_average_is_the_policy_of_the_averaged_crowd():
    game = garnet(jax.random.key(0), "monotone", n_states=5)
    problem = FlowProblem(game)
    solver = FictitiousPlay(step_size=0.3)
    state = solver.init(problem, problem.uniform())
    answer = solver.answer(problem, state.policy)
    mixed = 0.7 * flow(game, state.policy) + 0.3 * flow(game, answer)
    # Without dynamics that see the crowd, flows mix as crowds do.
    np.testing.assert_allclose(flow(game, solver.step(problem, state).policy), mixed, atol=1e-6)


def test_munchausen_finds_the_equilibrium_of_players_who_are_paid_for_entropy():
    tau = 0.3
    with jax.enable_x64(True):
        problem = FlowProblem(garnet(jax.random.key(1), "monotone", n_states=5, horizon=5))
        found = solve(problem, MunchausenMirrorDescent(0.5, tau), 400)
        assert float(problem.measure(found.policy, tau).exploitability) < 1e-10
        assert float(problem.measure(found.policy).exploitability) > 1e-3
        # An independent road to the same point: damped soft best responses.
        damped = solve(problem, FixedPoint(damping=0.8, temperature=tau), 400)
        np.testing.assert_allclose(found.policy, damped.policy, atol=1e-6)


def test_boltzmann_iteration_solves_a_game_without_interaction_as_it_cools():
    problem = FlowProblem(garnet(jax.random.key(2), "alone", n_states=5, horizon=5))
    gaps = [float(solve(problem, BoltzmannIteration(t), 20).exploitability[-1]) for t in (0.3, 0.03, 0.003)]
    assert gaps[0] > gaps[1] > gaps[2]
    assert gaps[2] < 1e-4


def test_fixed_point_solves_a_game_without_interaction_in_one_step():
    problem = FlowProblem(garnet(jax.random.key(3), "alone"))
    found = solve(problem, FixedPoint(), 1, keep=[0, 1])
    assert found.exploitability[0] > 0.1
    assert abs(found.exploitability[1]) < 1e-5


@pytest.mark.parametrize("kind", ["monotone", "potential", "coupled"])
def test_a_hundred_random_games_at_once(kind):
    keys = jax.random.split(jax.random.key(4), 100)

    @jax.jit
    def gaps(keys):
        def one(key):
            problem = FlowProblem(garnet(key, kind, n_states=5, horizon=5))
            lengths = jnp.array([0, 100])
            return trace(problem, FictitiousPlay(), problem.uniform(), lengths)[1].exploitability

        return jax.vmap(one)(keys)

    found = np.asarray(gaps(keys))
    assert found.shape == (100, 2)
    assert np.all(found > -1e-5)
    assert np.median(found[:, 1] / found[:, 0]) < 0.05


def test_a_sweep_over_step_sizes_is_one_vmap():
    problem = FlowProblem(mean_field_game(LeftRight()))

    def last(step_size):
        lengths = jnp.array([50])
        return trace(problem, MirrorDescent(step_size), problem.uniform(), lengths)[1].exploitability[0]

    swept = jax.vmap(last)(jnp.array([0.01, 0.1, 0.5]))
    assert swept[0] > swept[1] > swept[2]
    np.testing.assert_allclose(swept[1], last(0.1), atol=1e-6)


def test_stops_at_the_tolerance():
    problem = FlowProblem(mean_field_game(LeftRight()))
    found = solve(problem, MirrorDescent(0.5), 1000, tolerance=1e-3)
    assert found.exploitability[-1] <= 1e-3 < found.exploitability[-2]
    assert found.iterations[-1] < 100
    assert float(problem.measure(found.policy).exploitability) == pytest.approx(
        found.exploitability[-1], abs=1e-6
    )


def test_kept_iterations_are_even_on_a_logarithmic_axis():
    kept = kept_iterations(1000)
    assert kept[:10] == list(range(10))
    assert kept[-1] == 1000
    assert len(kept) <= 61
    assert kept_iterations(3) == [0, 1, 2, 3]
    assert kept_iterations(0) == [0]


@pytest.mark.parametrize(
    "build",
    [
        lambda: FictitiousPlay("mean"),
        lambda: FictitiousPlay(step_size=0.0),
        lambda: FixedPoint(damping=1.0),
        lambda: BoltzmannIteration(0.0),
    ],
)
def test_refuses_hyper_parameters_that_cannot_be(build):
    with pytest.raises(UserError, match=r"give|use"):
        build()


def test_refuses_to_keep_iterations_that_are_not_there():
    problem = FlowProblem(mean_field_game(LeftRight()))
    with pytest.raises(UserError, match="increasing iterations"):
        solve(problem, MirrorDescent(), 10, keep=[0, 20])
