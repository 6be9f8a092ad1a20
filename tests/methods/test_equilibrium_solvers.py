import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from antiphon.core.errors import UserError
from antiphon.equilibrium import (
    FlowProblem,
    first_action,
    flow,
    major_minor_game,
    mean_field_game,
    partition,
    solve,
)
from antiphon.methods.fictitious_play import FictitiousPlay
from antiphon.methods.line_search_play import LineSearchPlay
from antiphon.methods.mean_field_control import MeanFieldControl
from antiphon.methods.mf_omo import OccupationOptimization, occupation, residual, residual_of
from antiphon.methods.mirror_descent import MirrorDescent, MunchausenMirrorDescent
from antiphon.methods.optimistic_mirror_descent import OptimisticMirrorDescent
from antiphon.methods.prior_descent import PriorDescent
from antiphon.worlds.meanfield.advertisement import Advertisement
from antiphon.worlds.meanfield.beach_bar import BeachBar
from antiphon.worlds.meanfield.garnet import garnet
from antiphon.worlds.meanfield.left_right import LeftRight
from antiphon.worlds.meanfield.roads import Roads
from antiphon.worlds.meanfield.rock_paper_scissors import RockPaperScissors
from antiphon.worlds.meanfield.susceptible_infected import SusceptibleInfected


def in_float64(rules, solver, iterations, **settings):
    with jax.enable_x64(True):
        problem = FlowProblem(mean_field_game(rules() if callable(rules) else rules))
        found = solve(problem, solver, iterations, **settings)
        return found, np.asarray(jnp.sum(flow(problem.game, found.policy), -1))


def test_optimism_ends_the_circles_of_rock_paper_scissors():
    found, mean_field = in_float64(RockPaperScissors(), OptimisticMirrorDescent(0.2), 500, keep=[500])
    np.testing.assert_allclose(mean_field[1], np.array([0, 26, 20, 31]) / 77, atol=1e-6)
    np.testing.assert_allclose(found.value[-1], 6 / 11, atol=1e-6)
    assert abs(found.exploitability[-1]) < 1e-9
    plain, _ = in_float64(RockPaperScissors(), MirrorDescent(0.2), 500, keep=[500])
    assert plain.exploitability[-1] > 0.1


def test_line_search_gains_more_from_an_answer_than_the_usual_share():
    gaps = {}
    for solver in (LineSearchPlay(FictitiousPlay(split_ties=True)), FictitiousPlay(split_ties=True)):
        found, _ = in_float64(LeftRight(), solver, 10, keep=[0, 10])
        gaps[type(solver)] = found.exploitability
    assert gaps[LineSearchPlay][1] < 0.1 * gaps[FictitiousPlay][1]


def test_line_search_takes_the_best_of_its_shares():
    problem = FlowProblem(garnet(jax.random.key(0), "coupled", n_states=5, horizon=4))
    play = FictitiousPlay()
    solver = LineSearchPlay(play, candidates=6)
    state = solver.init(problem, problem.uniform())
    after = jax.jit(solver.step)(problem, state).policy
    mixture = play.towards_answer(problem, state.policy)
    shares = [0.5, *(1 / 32) ** np.linspace(0, 1, 5)]
    tried = [float(problem.measure(mixture(jnp.float32(share))).exploitability) for share in shares]
    assert float(problem.measure(after).exploitability) == pytest.approx(min(tried), abs=1e-5)


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (BeachBar(), 70.2210974),
        (LeftRight(), 0.12311769),
        (RockPaperScissors(), 1.96587724),
        (SusceptibleInfected(), 4.27561275),
    ],
)
def test_prior_descent_with_one_prior_is_what_mfglib_prints(rules, expected):
    # MFGLib 0.3 prints 70.2, 0.123, 1.97 and 4.28 after twenty iterations; the rest is ours.
    found, _ = in_float64(rules, PriorDescent(1.0, inner=0, paid=False), 20, keep=[20])
    np.testing.assert_allclose(found.exploitability, expected, rtol=1e-6)


def test_prior_descent_follows_its_prior_to_the_equilibrium():
    found, mean_field = in_float64(LeftRight(), PriorDescent(1.0, inner=10), 1000, keep=[1000])
    np.testing.assert_allclose(mean_field[1], [0, 2 / 3, 1 / 3], atol=1e-6)
    assert found.exploitability[-1] < 1e-6


def test_an_even_prior_is_the_price_of_entropy():
    with jax.enable_x64(True):
        problem = FlowProblem(garnet(jax.random.key(1), "monotone", n_states=5, horizon=5))
        prior = solve(problem, PriorDescent(2.0, inner=0), 100, keep=[100], tau=2.0)
        soft = solve(problem, MunchausenMirrorDescent(0.3, 2.0), 200, keep=[200], tau=2.0)
    np.testing.assert_allclose(prior.policy, soft.policy, atol=1e-8)
    # Measured by what players who are paid for entropy can gain, it is an equilibrium.
    assert max(abs(prior.exploitability[-1]), abs(soft.exploitability[-1])) < 1e-10


def test_prior_descent_plays_with_a_major_player_too():
    problem = partition(major_minor_game(Advertisement(horizon=5)), 4)
    found = solve(problem, PriorDescent(2.0, inner=5), 200, keep=[0, 200], start=problem.uniform(), paths=0)
    assert max(leaf[1] / leaf[0] for leaf in found.exploitability) < 0.1


def test_tolerance_and_history_may_count_entropy():
    problem = FlowProblem(garnet(jax.random.key(2), "monotone", n_states=5, horizon=5))
    found = solve(problem, MunchausenMirrorDescent(0.5, 0.3), 500, tau=0.3, tolerance=1e-3)
    assert found.iterations[-1] < 500
    assert found.exploitability[-1] <= 1e-3 < found.exploitability[-2]
    assert float(problem.measure(found.policy).exploitability) > 1e-2


def test_a_crowd_of_one_will_takes_the_roads_of_least_total_time():
    free, slope = jnp.array([1.0, 0.5, 0.9, 3.0]), jnp.array([0.5, 1.0, 0.7, 0.2])

    def rules():
        return Roads(jnp.asarray(free, float), jnp.asarray(slope, float))

    found, mean_field = in_float64(rules, MeanFieldControl(0.1), 3000, keep=[3000])
    with jax.enable_x64(True):
        # The social optimum is Wardrop's equilibrium of marginal costs, with slopes that count twice.
        optimum = np.asarray(dataclasses.replace(rules(), slope=2 * rules().slope).equilibrium())
    np.testing.assert_allclose(mean_field[1, 1:], optimum, atol=1e-3)
    np.testing.assert_allclose(found.value[-1], -(optimum * (free + slope * optimum)).sum(), atol=1e-4)
    selfish, _ = in_float64(rules, MirrorDescent(0.5), 600, keep=[600])
    assert found.value[-1] > selfish.value[-1] + 1e-3
    assert found.exploitability[-1] > 0.1


def test_residual_is_zero_exactly_at_an_equilibrium():
    with jax.enable_x64(True):
        problem = FlowProblem(mean_field_game(RockPaperScissors()))
        nash = problem.uniform().at[0, 0].set(jnp.array([26, 20, 31]) / 77)
        for policy, is_nash in ((nash, True), (problem.uniform(), False)):
            around = problem.facing(policy)
            # Values of a best response: the only ones without a better action.
            values = jnp.max(around.best_response_values(), axis=-1)
            found = residual(problem, around.crowd, values)
            assert float(found.flow) < 1e-15
            assert (float(found.bellman + found.complementarity) < 1e-12) == is_nash
            gap = float(problem.measure(policy).exploitability)
            assert (gap < 1e-9) == is_nash
            # At the values of the best response all of the gap is mass on worse actions.
            loose = residual(problem, around.crowd, values, weight=0.0)
            assert float(loose.complementarity) == pytest.approx(gap, abs=1e-12)
        off = residual(problem, jnp.roll(problem.facing(nash).crowd, 1, axis=1), values)
        assert float(off.flow) > 0.1


@pytest.mark.parametrize("kind", ["monotone", "cyclic"])
def test_occupation_optimization_agrees_with_other_solvers(kind):
    with jax.enable_x64(True):
        game = garnet(jax.random.key(3), kind, n_states=4, horizon=3)
        problem, solver = FlowProblem(game), OccupationOptimization()
        found = solve(problem, solver, 5000, keep=[0, 5000])
        assert found.exploitability[1] < 3e-3 * found.exploitability[0]
        other = solve(problem, OptimisticMirrorDescent(0.2), 3000, keep=[3000])
        assert other.exploitability[0] < 1e-5
        np.testing.assert_allclose(found.value[1], other.value[0], atol=1e-2)


def test_the_residual_of_a_state_falls_as_it_is_minimised():
    problem = FlowProblem(mean_field_game(LeftRight()))
    solver = OccupationOptimization()
    state = solver.init(problem, problem.uniform())
    np.testing.assert_allclose(jnp.sum(occupation(state.logits), (1, 2)), 1.0, atol=1e-6)
    total = jax.jit(lambda state: sum(residual_of(problem, state, solver)))
    before = float(total(state))
    step = jax.jit(lambda state: jax.lax.fori_loop(0, 300, lambda _, s: solver.step(problem, s), state))
    assert float(total(step(state))) < 0.05 * before


def test_a_constant_share_keeps_on_moving():
    found, _ = in_float64(
        LeftRight(), FictitiousPlay(step_size=0.1, split_ties=True), 300, keep=[0, 100, 300]
    )
    assert found.exploitability[1] < 0.5 * found.exploitability[0]
    assert found.exploitability[2] > 1e-4


@pytest.mark.parametrize(
    "build",
    [
        lambda: PriorDescent(0.0),
        lambda: PriorDescent(inner=-1),
        lambda: LineSearchPlay(candidates=1),
    ],
)
def test_refuses_what_cannot_be(build):
    with pytest.raises(UserError, match=r"give|try"):
        build()


def test_solvers_for_the_plain_game_refuse_a_partition_in_words():
    problem = partition(major_minor_game(Advertisement(horizon=3)), 3)
    with pytest.raises(UserError, match="averaging='plain'"):
        solve(problem, FictitiousPlay("visits"), 1, start=first_action(problem))
