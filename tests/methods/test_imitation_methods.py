import jax
import jax.numpy as jnp
import numpy as np
import pytest

from antiphon.core.errors import UserError
from antiphon.equilibrium import FlowProblem, flow, mean_field_game, solve
from antiphon.equilibrium.imitation_gap import proxy_errors
from antiphon.methods.imitation_adversarial import AdversarialImitation
from antiphon.methods.imitation_cloning import clone
from antiphon.methods.newton_cooling import NewtonCooling
from antiphon.worlds.meanfield.amplifier import Amplifier
from antiphon.worlds.meanfield.garnet import garnet
from antiphon.worlds.meanfield.left_right import LeftRight

GAME = {"n_states": 3, "n_actions": 2, "branching": 2, "horizon": 4}


def policy_of(seed):
    return jax.random.dirichlet(jax.random.key(seed), jnp.ones(2), (4, 3))


def test_a_clone_counts():
    counts = jnp.array([[[3.0, 1.0], [0.0, 0.0]]])
    np.testing.assert_allclose(clone(counts), [[[0.75, 0.25], [0.5, 0.5]]])
    np.testing.assert_allclose(clone(counts, 1.0), [[[4 / 6, 2 / 6], [0.5, 0.5]]])
    with pytest.raises(UserError, match="give a number"):
        clone(counts, -1.0)


def test_a_clone_of_the_whole_occupancy_is_the_expert():
    game, expert = garnet(jax.random.key(0), "coupled", **GAME), policy_of(1)
    np.testing.assert_allclose(clone(flow(game, expert)), expert, atol=1e-5)


@pytest.mark.parametrize("divergence", ["l1", "l2", "js"])
def test_the_critics_reward_is_the_slope_of_its_divergence(divergence):
    with jax.enable_x64(True):
        target, seen = (
            jax.random.dirichlet(jax.random.key(i), jnp.ones(6), (4,)).reshape(4, 3, 2) for i in (2, 3)
        )
        method = AdversarialImitation(target, "vanilla", divergence, width=0.1)
        slope = jax.grad(lambda seen: jnp.sum(method.distance(seen)))(seen)
        np.testing.assert_allclose(method.reward(seen), -slope, rtol=1e-6)
        np.testing.assert_allclose(method.distance(target), 0.0, atol=1e-12)


def test_the_js_divergence_is_that_of_its_definition():
    target = jnp.array([[[0.5, 0.5], [0.0, 0.0]]])
    seen = jnp.array([[[0.5, 0.0], [0.25, 0.25]]])
    # Half of the mass agrees; the other half is disjoint.
    middle = -0.25 * np.log(0.25) * 1 - 0.5 * np.log(0.5) - 2 * 0.125 * np.log(0.125)
    own = (-2 * 0.5 * np.log(0.5) - 0.5 * np.log(0.5) - 2 * 0.25 * np.log(0.25)) / 2
    found = AdversarialImitation(target).distance(seen)
    np.testing.assert_allclose(found, [middle - own], rtol=1e-5)


def test_in_a_frozen_population_credit_is_the_value_of_the_critics_reward():
    with jax.enable_x64(True):
        game, expert = garnet(jax.random.key(4), "coupled", **GAME), policy_of(5)
        crowd, policy = np.asarray(flow(game, expert)), policy_of(6)
        method = AdversarialImitation(jnp.asarray(crowd), "vanilla", "js")
        credit = np.asarray(method.credit(FlowProblem(game), policy))
        # Backward induction by loops, in the frozen crowd.
        kernels = [np.asarray(game.kernel(t, jnp.asarray(crowd[t]))) for t in range(4)]
        mean_field, seen = np.asarray(game.init()), []
        for t in range(4):
            seen.append(mean_field[:, None] * np.asarray(policy[t]))
            mean_field = np.einsum("sa,sax->x", seen[t], kernels[t])
        paid = 0.5 * np.log((np.array(seen) + crowd) / 2 / np.array(seen))
        value = np.zeros(3)
        for t in reversed(range(4)):
            q = paid[t] + kernels[t] @ value
            np.testing.assert_allclose(credit[t], q, atol=1e-8)
            value = (np.asarray(policy[t]) * q).sum(-1)


@pytest.mark.parametrize("population", ["vanilla", "mfc"])
def test_credit_is_the_finite_difference_of_the_loss(population):
    with jax.enable_x64(True):
        game, policy = garnet(jax.random.key(7), "coupled", **GAME), policy_of(8)
        problem = FlowProblem(game)
        method = AdversarialImitation(flow(game, policy_of(9)), population, "l1", width=0.05)
        loss, credit = jax.jit(method.loss), method.credit(problem, policy)
        visits = jnp.sum(method._seen(problem, policy), -1)
        for t, s in ((0, 1), (1, 0), (2, 2), (3, 1)):
            shift = jnp.zeros_like(policy).at[t, s].set(jnp.array([1e-5, -1e-5]))
            slope = (loss(problem, policy + shift) - loss(problem, policy - shift)) / 2e-5
            expected = -visits[t, s] * (credit[t, s, 0] - credit[t, s, 1])
            np.testing.assert_allclose(slope, expected, rtol=1e-5, atol=1e-9)


def test_what_the_crowd_does_to_others_is_only_in_the_credit_of_control():
    game = garnet(jax.random.key(7), "coupled", **GAME)
    problem, policy, target = FlowProblem(game), policy_of(8), flow(game, policy_of(9))
    both = [AdversarialImitation(target, kind).credit(problem, policy) for kind in ("vanilla", "mfc")]
    apart = [credit - credit.mean(-1, keepdims=True) for credit in both]
    assert float(jnp.max(jnp.abs(apart[0] - apart[1]))) > 1e-3
    alone = FlowProblem(garnet(jax.random.key(7), "alone", **GAME))
    target = flow(alone.game, policy_of(9))
    both = [AdversarialImitation(target, kind).credit(alone, policy) for kind in ("vanilla", "mfc")]
    apart = [credit - credit.mean(-1, keepdims=True) for credit in both]
    np.testing.assert_allclose(apart[0], apart[1], atol=1e-5)


@pytest.mark.parametrize("population", ["vanilla", "mfc"])
def test_imitators_become_the_expert(population):
    with jax.enable_x64(True):
        game, expert = garnet(jax.random.key(10), "coupled", **GAME), policy_of(11)
        method = AdversarialImitation(flow(game, expert), population)
        found = solve(FlowProblem(game), method, 200, keep=[0, 200], paths=0)
        errors = proxy_errors(game, found.policy, expert)
    np.testing.assert_allclose(errors, 0.0, atol=1e-6)


def test_control_learns_a_game_that_doubles_its_errors():
    rules = Amplifier(horizon=6)
    with jax.enable_x64(True):
        game, expert = mean_field_game(rules), rules.mistaken(1e-3)
        method = AdversarialImitation(flow(game, expert), "mfc")
        problem = FlowProblem(game)
        state = method.init(problem, problem.uniform())
        step, loss = jax.jit(method.step), jax.jit(method.loss)
        losses = []
        for _ in range(150):
            losses.append(float(loss(problem, method.policy(state))))
            state = step(problem, state)
        error = float(proxy_errors(game, method.policy(state), expert).mfc)
    assert np.all(np.diff(losses) <= 0)
    assert error < 0.02


def test_refuses_what_is_not_known():
    target = jnp.full((4, 3, 2), 1 / 6)
    with pytest.raises(UserError, match="vanilla or mfc"):
        AdversarialImitation(target, "everybody")
    with pytest.raises(UserError, match="l1 or l2 or js"):
        AdversarialImitation(target, "mfc", "wasserstein")


def test_cooling_finds_the_equilibrium_of_left_and_right():
    with jax.enable_x64(True):
        problem = FlowProblem(mean_field_game(LeftRight()))
        found = solve(problem, NewtonCooling(), 160, keep=[0, 40, 160], paths=0)
        mean_field = np.asarray(jnp.sum(flow(problem.game, found.policy), -1))
    np.testing.assert_allclose(mean_field[1], [0, 2 / 3, 1 / 3], atol=1e-6)
    assert found.exploitability[-1] < 1e-6
    assert found.exploitability[1] < 1e-2
