from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from antiphon.equilibrium import FlowProblem, mean_field_game
from antiphon.equilibrium.imitation_gap import (
    Constants,
    Proxies,
    gap_bounds,
    imitation_gap,
    lipschitz_constants,
    proxy_errors,
)
from antiphon.equilibrium.pointwise import PointwiseGame
from antiphon.equilibrium.solving import trace
from antiphon.methods.newton_cooling import NewtonCooling
from antiphon.worlds.meanfield.amplifier import Amplifier
from antiphon.worlds.meanfield.attractor import Attractor
from antiphon.worlds.meanfield.garnet import garnet


def measured(rules, alpha):
    game = PointwiseGame(rules)
    gap = imitation_gap(game, rules.mistaken(alpha), rules.expert())
    return gap, proxy_errors(game, rules.mistaken(alpha), rules.expert()), lipschitz_constants(game)


@partial(jax.jit, static_argnames="horizon")
def amplified(coupling, alpha, horizon=20):
    return measured(Amplifier(coupling=coupling, horizon=horizon), alpha)


@jax.jit
def attracted(coupling, alpha):
    return measured(Attractor(coupling=coupling), alpha)


def chain(coupling, alpha, horizon):
    """ρ_t of the imitators, v_t of one of them among experts, d_t of a deviator who never errs."""
    rho, alone, dragged = [0.0], [0.0], [0.0]
    for _ in range(horizon - 1):
        pull = min(1.0, coupling * rho[-1])
        dragged.append(dragged[-1] + (1 - dragged[-1]) * pull)
        rho.append(rho[-1] + (1 - rho[-1]) * (alpha + (1 - alpha) * pull))
        alone.append(alone[-1] + (1 - alone[-1]) * alpha)
    return np.array(rho), np.array(alone), np.array(dragged)


@pytest.mark.parametrize("coupling", [0.0, 1.0, 2.0])
def test_amplifier_is_its_closed_form(coupling):
    alpha = 1e-9
    with jax.enable_x64(True):
        gap, errors, constants = amplified(coupling, alpha)
        bounds = gap_bounds(constants, errors, 20)
    rho, alone, _ = chain(coupling, alpha, 20)
    np.testing.assert_allclose(gap.gap, rho.sum(), rtol=1e-6)
    np.testing.assert_allclose(errors.cloning, 2 * alpha, rtol=1e-6)
    np.testing.assert_allclose(errors.vanilla, 2 * (alpha + (1 - alpha) * alone.max()), rtol=1e-6)
    np.testing.assert_allclose(errors.mfc, 2 * (alpha + (1 - alpha) * rho.max()), rtol=1e-6)
    np.testing.assert_allclose(gap.value_gap, 0.0, atol=1e-15)
    # |ΔP|₁ = 2 L |Δρ(1)| and |Δρ|₁ = 2 |Δρ(1)|, but a reward of slope 1 in ρ(1) has ½ in the norm.
    np.testing.assert_allclose(constants, (coupling, 0.5, 1.0), rtol=1e-6)
    assert all(float(gap.gap) <= float(bound) for bound in bounds)


def test_only_control_keeps_the_gap_in_proportion_to_its_error():
    with jax.enable_x64(True):
        gap, errors, _ = amplified(1.0, 1e-9)
        ratios = [float(gap.gap / error) for error in errors]
        short, short_errors, _ = amplified(1.0, 1e-9, horizon=10)
    assert ratios[0] == pytest.approx(5.24e5, rel=1e-2)
    assert ratios[0] == pytest.approx((2.0**20 - 21) / 2, rel=1e-3)
    assert ratios[1] == pytest.approx(2.6e4, rel=2e-2)
    assert ratios[2] <= 1.05
    assert float(short.gap / short_errors.cloning) == pytest.approx(506.5, rel=1e-6)


def test_attractor_loses_much_of_which_nobody_could_gain_much():
    alpha = 1e-5
    with jax.enable_x64(True):
        gap, errors, constants = attracted(1.0, alpha)
    rho, _, dragged = chain(1.0, alpha, 20)
    np.testing.assert_allclose(gap.value_gap, rho.sum(), rtol=1e-9)
    np.testing.assert_allclose(gap.gap, (rho - dragged).sum(), rtol=1e-9)
    assert float(gap.gap) <= alpha * 20**2 / 2
    assert float(gap.value_gap / errors.cloning) == pytest.approx(1.86e5, rel=1e-2)
    assert float(gap.gap / errors.cloning) == pytest.approx(63, rel=1e-2)
    assert float(constants.reward) == 0.0


@pytest.mark.parametrize(
    "rules", [Amplifier(horizon=6), Attractor(horizon=6), Amplifier(horizon=6, price=0.1)]
)
def test_an_expert_has_neither_gap_nor_error(rules):
    gap, errors, _ = jax.jit(measured)(rules, 0.0)
    np.testing.assert_allclose([*gap, *errors], 0.0, atol=1e-6)


def test_constants_bound_every_pair_of_mean_fields_and_are_attained():
    game = garnet(jax.random.key(3), "coupled", n_states=4, n_actions=2)
    constants = jax.jit(lipschitz_constants)(game)
    fields = jnp.concatenate([jax.random.dirichlet(jax.random.key(4), jnp.ones(4), (40,)), jnp.eye(4)])
    crowds = fields[..., None] * jnp.array([0.3, 0.7])
    kernels = np.asarray(jax.vmap(lambda crowd: game.kernel(0, crowd))(crowds))
    rewards = np.asarray(jax.vmap(lambda crowd: game.reward(0, crowd))(crowds))
    apart = np.abs(np.asarray(fields)[:, None] - np.asarray(fields)[None]).sum(-1)
    some = apart > 1e-3
    moved = np.abs(kernels[:, None] - kernels[None]).sum(-1).max((-1, -2))[some] / apart[some]
    paid = np.abs(rewards[:, None] - rewards[None]).max((-1, -2))[some] / apart[some]
    np.testing.assert_allclose(moved.max(), constants.kernel, rtol=1e-3)
    np.testing.assert_allclose(paid.max(), constants.reward, rtol=1e-3)
    np.testing.assert_allclose(np.abs(rewards).max(), constants.largest, rtol=1e-5)


@pytest.mark.parametrize("coupling", [0.0, 0.7])
def test_bounds_are_their_recursions(coupling):
    horizon, constants, errors = 7, Constants(coupling, 0.3, 1.2), (0.01, 0.02, 0.03)
    expected = []
    for which, error in enumerate(errors):
        total, before, states, own = 0.0, 0.0, 0.0, 0.0
        for t in range(horizon):
            if which == 0:
                states = 0.0 if t == 0 else (1 + coupling) * states + error
                joint = states + error
            elif which == 1:
                # How far the crowd has drifted from where the imitator would be among experts.
                own = 0.0 if t == 0 else (1 + coupling) * own + coupling * error
                states, joint = (0.0 if t == 0 else own + error), own + error
            else:
                states, joint = (0.0 if t == 0 else error), error
            total += 2 * 0.3 * states + 1.2 * joint + 1.2 * coupling * before
            before += states
        expected.append(total + 0.001)
    given = Constants(*map(jnp.asarray, constants))
    found = gap_bounds(given, Proxies(*map(jnp.asarray, errors)), horizon, 0.001)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_bounds_hold_in_two_hundred_random_games():
    @jax.jit
    @jax.vmap
    def games(key):
        keys = jax.random.split(key, 3)
        game = garnet(keys[0], "coupled", n_states=3, n_actions=2, branching=2, horizon=4)
        problem = FlowProblem(game)
        expert, found = trace(problem, NewtonCooling(), problem.uniform(), jnp.array([150]))
        other = jax.random.dirichlet(keys[1], jnp.ones(2), expert.shape[:2])
        share = 10.0 ** -jax.random.uniform(keys[2], maxval=4.0)
        policy = (1 - share) * expert + share * other
        errors = proxy_errors(game, policy, expert)
        bounds = gap_bounds(lipschitz_constants(game), errors, 4, found.exploitability[0])
        return imitation_gap(game, policy, expert).gap, bounds, found.exploitability[0]

    with jax.enable_x64(True):
        found = jax.tree.map(np.asarray, games(jax.random.split(jax.random.key(0), 200)))
    gap, bounds, expert = found
    assert np.max(expert) < 1e-6
    assert np.min(gap) > -1e-9
    assert np.median(gap) > 1e-4
    for bound in bounds:
        assert np.all(gap <= bound)
    # Not by a bound so large that it says nothing.
    assert np.max(gap / bounds.mfc) > 0.05


def test_games_are_checked_when_they_are_built():
    assert mean_field_game(Amplifier()).n_actions == 3
    assert mean_field_game(Attractor()).n_actions == 2
