"""Exploitability is MFGLib's; needs MFGLib and torch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from antiphon.core.errors import UserError
from antiphon.equilibrium import FlowProblem, exploitability, mean_field_game, solve
from antiphon.methods.fictitious_play import FictitiousPlay
from antiphon.worlds.meanfield.beach_bar import BeachBar
from antiphon.worlds.meanfield.equilibrium_price import EquilibriumPrice
from antiphon.worlds.meanfield.interop_mfglib import from_mfglib, to_mfglib
from antiphon.worlds.meanfield.left_right import LeftRight
from antiphon.worlds.meanfield.linear_quadratic import LinearQuadratic
from antiphon.worlds.meanfield.rock_paper_scissors import RockPaperScissors
from antiphon.worlds.meanfield.susceptible_infected import SusceptibleInfected

torch = pytest.importorskip("torch")
algorithms = pytest.importorskip("mfglib.alg")
mfglib_env = pytest.importorskip("mfglib.env")

TWINS = [
    ("beach_bar", {"T": 10, "n": 10, "bar_loc": 5}, BeachBar()),
    ("left_right", {}, LeftRight()),
    ("rock_paper_scissors", {}, RockPaperScissors()),
    ("susceptible_infected", {}, SusceptibleInfected()),
    ("linear_quadratic", {}, LinearQuadratic()),
    ("equilibrium_price", {}, EquilibriumPrice()),
]


@pytest.fixture(autouse=True)
def _double():
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    with jax.enable_x64(True):
        yield
    torch.set_default_dtype(before)


def score(environment, policy):
    from mfglib.scoring import exploitability_score

    shape = (environment.T + 1, *environment.S, *environment.A)
    return exploitability_score(environment, torch.from_numpy(np.array(policy)).reshape(shape))


@pytest.mark.parametrize(("name", "parameters", "rules"), TWINS, ids=[name for name, _, _ in TWINS])
def test_three_ways_to_one_number(name, parameters, rules):
    environment = getattr(mfglib_env.Environment, name)(**parameters)
    called, ours = from_mfglib(environment), mean_field_game(rules)
    shape = (called.horizon, called.n_states)
    policy = jnp.asarray(np.random.default_rng(0).dirichlet(np.ones(called.n_actions), shape))
    theirs = score(environment, policy)
    assert float(exploitability(called, policy)) == pytest.approx(theirs, abs=1e-6)
    assert float(exploitability(ours, policy)) == pytest.approx(theirs, abs=1e-6)
    assert score(to_mfglib(ours), policy) == pytest.approx(theirs, abs=1e-6)


def test_its_solver_on_our_game_is_our_solver_on_its_game():
    environment = mfglib_env.Environment.beach_bar(T=3, n=5, bar_loc=2)
    _, theirs, _ = algorithms.FictitiousPlay().solve(environment, max_iter=5, atol=None, rtol=None)
    problem = FlowProblem(from_mfglib(environment))
    found = solve(problem, FictitiousPlay(split_ties=True), 5, keep=[0, 1, 5])
    np.testing.assert_allclose(found.exploitability, [theirs[0], theirs[1], theirs[5]], rtol=1e-6)


def test_refuses_what_is_no_environment():
    with pytest.raises(UserError, match="has no T"):
        from_mfglib(object())
