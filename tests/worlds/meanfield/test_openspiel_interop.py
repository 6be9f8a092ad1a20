"""Exploitability is OpenSpiel's NashConv; needs OpenSpiel."""

import copy

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from antiphon.core.errors import UserError
from antiphon.equilibrium import FlowProblem, exploitability, solve
from antiphon.methods.fictitious_play import FictitiousPlay
from antiphon.methods.mirror_descent import MirrorDescent
from antiphon.worlds.meanfield.crowd_modelling import CrowdModelling
from antiphon.worlds.meanfield.interop_openspiel import from_openspiel, openspiel_policy
from antiphon.worlds.meanfield.predator_prey import PredatorPrey

pyspiel = pytest.importorskip("pyspiel")
pytest.importorskip("open_spiel.python.mfg.games")

GAMES = [
    ("mfg_crowd_modelling", {"size": 5, "horizon": 4}),
    ("mfg_crowd_modelling_2d", {"size": 3, "horizon": 3, "forbidden_states": "[0|1;2|2]",
                                "initial_distribution": "[0|0]", "initial_distribution_value": "[1.0]"}),
    ("mfg_garnet", {"size": 6, "horizon": 4}),
    ("mean_field_lin_quad", {"size": 6, "horizon": 3}),
    ("python_mfg_predator_prey", {"horizon": 2}),
]  # fmt: skip


def nash_conv(game, policy):
    from open_spiel.python.mfg.algorithms import nash_conv as peer

    return peer.NashConv(game, policy).nash_conv()


@pytest.mark.parametrize(("name", "parameters"), GAMES)
def test_exploitability_of_any_policy_is_nash_conv(name, parameters):
    from open_spiel.python.policy import UniformRandomPolicy

    game = pyspiel.load_game(name, parameters)
    with jax.enable_x64(True):
        ours = from_openspiel(game)
        np.testing.assert_allclose(jnp.sum(ours.probabilities, -1), 1.0, atol=1e-12)
        shape = (ours.horizon, *ours.populations, ours.n_states)
        policy = jnp.asarray(np.random.default_rng(0).dirichlet(np.ones(ours.n_actions), shape))
        theirs = nash_conv(game, openspiel_policy(game, ours, policy))
        assert float(exploitability(ours, policy)) == pytest.approx(theirs, abs=1e-6)
        even = nash_conv(game, UniformRandomPolicy(game))
        assert float(exploitability(ours, ours.uniform())) == pytest.approx(even, abs=1e-6)


@pytest.mark.parametrize(
    ("name", "parameters", "twin"),
    [
        ("mfg_crowd_modelling", {}, CrowdModelling(accounting="openspiel")),
        ("mfg_crowd_modelling_2d", {"size": 4, "horizon": 4},
         CrowdModelling("open", size=4, horizon=4, accounting="openspiel")),
        ("python_mfg_predator_prey", {"horizon": 3}, PredatorPrey(horizon=3)),
    ],
)  # fmt: skip
def test_our_own_games_are_its_games(name, parameters, twin):
    from open_spiel.python.policy import UniformRandomPolicy

    game = pyspiel.load_game(name, parameters)
    with jax.enable_x64(True):
        problem = FlowProblem(twin.build())
        ours = float(problem.measure(problem.uniform()).exploitability)
    assert ours == pytest.approx(nash_conv(game, UniformRandomPolicy(game)), abs=1e-6)


def test_fictitious_play_and_mirror_descent_go_the_same_way():
    from open_spiel.python.mfg.algorithms import fictitious_play, mirror_descent

    class FrozenDescent(mirror_descent.MirrorDescent):
        """The peer's policy reads the running sum of values while it is being added to; this one does not."""

        def get_projected_policy(self):
            values = copy.deepcopy(self._cumulative_state_value)
            return mirror_descent.ProjectedPolicy(self._game, [0], values)

    game = pyspiel.load_game("mfg_crowd_modelling", {"size": 5, "horizon": 4})
    play, descent = fictitious_play.FictitiousPlay(game), FrozenDescent(game)
    for _ in range(3):
        play.iteration()
        descent.iteration()
    with jax.enable_x64(True):
        ours = from_openspiel(game)
        for solver, theirs in ((FictitiousPlay(), play), (MirrorDescent(0.01), descent)):
            found = solve(FlowProblem(ours), solver, 3, start=ours.uniform(), keep=[3])
            assert found.exploitability[0] == pytest.approx(nash_conv(game, theirs.get_policy()), abs=1e-6)


def test_refuses_what_is_no_mean_field_game():
    with pytest.raises(UserError, match="no mean field game"):
        from_openspiel("tic_tac_toe")


def test_refuses_dynamics_that_see_the_crowd():
    with pytest.raises(UserError, match="changes where players go"):
        from_openspiel("mean_field_lin_quad", {"mean_revert": 1.0, "horizon": 3})
