import jax
import jax.numpy as jnp
import numpy as np
import pytest

from antiphon.equilibrium import FlowProblem, Neighbours, best_response, exploitability, flow, policy_values
from antiphon.equilibrium.diagonals import diagonals
from antiphon.equilibrium.flow import occupancy
from antiphon.equilibrium.kernel import dense, expect, push
from antiphon.equilibrium.policy_moves import policy_moves
from antiphon.worlds.meanfield.garnet import garnet

measure = jax.jit(lambda game, policy: FlowProblem(game).measure(policy))
run = jax.jit(flow)
answer = jax.jit(best_response)
values = jax.jit(policy_values)


def random_policy(seed, game):
    return jax.random.dirichlet(jax.random.key(seed), jnp.ones(game.n_actions), (game.horizon, game.n_states))


def loops(game, policy):
    """Flow, Q* and Q^π by plain loops in float64."""
    policy = np.asarray(policy, np.float64)
    mean_field, crowds = np.asarray(game.init(), np.float64), []
    for t in range(game.horizon):
        crowd = mean_field[:, None] * policy[t]
        crowds.append(crowd)
        kernel = np.asarray(game.kernel(t, jnp.asarray(crowd, jnp.float32)), np.float64)
        mean_field = np.zeros(game.n_states)
        for s in range(game.n_states):
            for a in range(game.n_actions):
                mean_field += crowd[s, a] * kernel[s, a]
    best, own = np.zeros(game.n_states), np.zeros(game.n_states)
    q_best, q_own = [], []
    for t in reversed(range(game.horizon)):
        crowd = jnp.asarray(crowds[t], jnp.float32)
        kernel, reward = np.asarray(game.kernel(t, crowd)), np.asarray(game.reward(t, crowd))
        q_best.insert(0, reward + kernel @ best)
        q_own.insert(0, reward + kernel @ own)
        best, own = q_best[0].max(-1), (policy[t] * q_own[0]).sum(-1)
    return np.array(crowds), np.array(q_best), np.array(q_own)


@pytest.mark.parametrize("kind", ["alone", "cyclic", "coupled"])
def test_agrees_with_loops(kind):
    game = garnet(jax.random.key(1), kind, n_states=5, horizon=4)
    policy = random_policy(2, game)
    crowd, q_best, q_own = loops(game, policy)
    np.testing.assert_allclose(run(game, policy), crowd, atol=2e-6)
    np.testing.assert_allclose(answer(game, run(game, policy)), q_best, atol=2e-5)
    np.testing.assert_allclose(values(game, policy, run(game, policy)), q_own, atol=2e-5)
    start = np.asarray(game.init())
    gap = start @ (q_best[0].max(-1) - (np.asarray(policy)[0] * q_own[0]).sum(-1))
    np.testing.assert_allclose(exploitability(game, policy), gap, atol=2e-5)
    assert gap > 0.05


def test_a_player_like_all_others_is_where_all_others_are():
    game = garnet(jax.random.key(3), "coupled")
    policy = random_policy(4, game)
    crowd = run(game, policy)
    np.testing.assert_allclose(jax.jit(occupancy)(game, policy, crowd), crowd, atol=1e-6)


def test_value_of_everybody_is_the_reward_of_the_crowd():
    game = garnet(jax.random.key(5), "monotone")
    policy = random_policy(6, game)
    crowd = run(game, policy)
    earned = sum(float(jnp.sum(crowd[t] * game.reward(t, crowd[t]))) for t in range(game.horizon))
    np.testing.assert_allclose(measure(game, policy).value, earned, rtol=1e-5)


@pytest.mark.parametrize("kind", ["alone", "coupled"])
def test_mass_is_kept_over_a_thousand_steps(kind):
    game = garnet(jax.random.key(7), kind, horizon=1000)
    crowd = run(game, random_policy(8, game))
    np.testing.assert_allclose(jnp.sum(crowd, (1, 2)), 1.0, atol=1e-6)


def test_a_reward_that_depends_only_on_time_and_crowd_changes_no_gap():
    game = garnet(jax.random.key(9), "monotone")
    policy = random_policy(10, game)
    gap = jax.jit(exploitability)
    shifted = jax.tree.map(lambda x: x, game)
    object.__setattr__(shifted, "base", game.base + 3.0)
    np.testing.assert_allclose(gap(shifted, policy), gap(game, policy), atol=2e-5)


def test_sparse_kernels_mean_their_tables():
    key = jax.random.split(jax.random.key(11), 4)
    for populations in ((), (3,)):
        shape = (*populations, 7, 2)
        states = jax.random.randint(key[0], (*shape, 4), 0, 7)
        sparse = Neighbours(states, jax.random.dirichlet(key[1], jnp.ones(4), shape))
        table = dense(sparse, 7)
        joint = jax.random.uniform(key[2], shape)
        value = jax.random.normal(key[3], shape[:-1])
        np.testing.assert_allclose(jnp.sum(table, -1), 1.0, rtol=1e-5)
        np.testing.assert_allclose(push(sparse, joint), push(table, joint), rtol=1e-5)
        np.testing.assert_allclose(expect(sparse, value), expect(table, value), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("populations", [(), (2,)])
def test_moves_under_a_policy_are_the_kernels_whatever_their_form(populations):
    key = jax.random.split(jax.random.key(13), 4)
    shape, horizon = (*populations, 7, 3), 4
    # Steps of −2, 0 and 1 that stay among the states, as successors, as diagonals and as a table.
    states = np.clip(np.arange(7)[:, None, None] + np.array([-2, 0, 1]), 0, 6) + np.zeros((*shape, 1), int)
    chances = np.asarray(jax.random.dirichlet(key[0], jnp.ones(3), shape))
    listed = Neighbours(jnp.asarray(states), jnp.asarray(chances))
    policy = jax.random.dirichlet(key[1], jnp.ones(3), (horizon, *shape[:-1]))
    start = jax.random.dirichlet(key[2], jnp.ones(7), populations)
    paid = jax.random.normal(key[3], (horizon, *shape[:-1]))
    assert policy_moves(listed, policy) is None
    for kernel in (dense(listed, 7), diagonals(states, chances)):
        moves = policy_moves(kernel, policy)
        assert moves is not None
        now, ahead = start, jnp.zeros_like(start)
        for t, place in enumerate(moves.follow(start)):
            np.testing.assert_allclose(place, now, rtol=1e-5, atol=1e-7)
            now = push(listed, now[..., None] * policy[t])
        after = moves.values_after(paid)
        for t in reversed(range(horizon)):
            np.testing.assert_allclose(after[t], ahead, rtol=1e-5, atol=1e-5)
            ahead = paid[t] + jnp.sum(policy[t] * expect(listed, ahead), -1)


def test_a_batch_of_games_is_one_vmap():
    keys = jax.random.split(jax.random.key(12), 20)

    def gap(key):
        return FlowProblem(garnet(key, n_states=6)).measure(FlowProblem(garnet(key, n_states=6)).uniform())

    batched = jax.jit(jax.vmap(gap))(keys)
    for i in (0, 19):
        alone = gap(keys[i])
        np.testing.assert_allclose(batched.exploitability[i], alone.exploitability, rtol=1e-4)
    assert bool(jnp.all(batched.exploitability > 0))
