import jax
import jax.numpy as jnp
import numpy as np
import pytest

from antiphon.core.errors import UserError
from antiphon.equilibrium import Players, first_action, major_minor_game, measure_on_tree, partition
from antiphon.equilibrium.problem import greedy
from antiphon.equilibrium.rollouts import rollout, simulate
from antiphon.worlds.meanfield.advertisement import Advertisement
from antiphon.worlds.meanfield.sis import SIS

PLAY = jax.jit(simulate, static_argnames="paths")
ROLL = jax.jit(rollout, static_argnames="paths")
MEASURE = jax.jit(lambda problem, policy: problem.measure(policy))


def error_bar(values):
    return 4 * np.std(values) / np.sqrt(len(values))


def random_policies(problem):
    keys = jax.random.split(jax.random.key(7), 2)
    return Players(*(
        jax.random.dirichlet(key, jnp.ones(leaf.shape[-1]), leaf.shape[:-1])
        for key, leaf in zip(keys, problem.uniform(), strict=True)
    ))  # fmt: skip


@pytest.fixture(scope="module")
def short():
    return partition(major_minor_game(Advertisement(horizon=4)), 6)


def test_rollouts_earn_what_the_tree_says(short):
    policy = random_policies(short)
    exact = measure_on_tree(short, policy).value
    found = ROLL(short, policy, jax.random.key(0), paths=4000).value
    for value, values in zip(exact, found, strict=True):
        assert abs(float(value) - np.mean(values)) < error_bar(values)


def test_a_large_crowd_is_the_mean_field_and_a_deviator_earns_the_best_value(short):
    policy = random_policies(short)
    answer = greedy(jax.jit(lambda p, pi: p.best_response_values(pi))(short, policy))
    exact = measure_on_tree(short, policy).value
    sizes = {"players": 100_000, "paths": 1000}
    crowd = PLAY(short, policy, jax.random.key(1), **sizes)
    np.testing.assert_allclose(jnp.sum(crowd.mean_field, -1), 1.0, atol=1e-5)
    for value, values in zip(exact, crowd.value, strict=True):
        assert abs(float(value) - np.mean(values)) < error_bar(values) + 2e-2
    gap = MEASURE(short, policy)
    lone = PLAY(short, policy, jax.random.key(2), **sizes, deviation=Players(answer.minor, policy.major))
    best = float(gap.value.minor + gap.exploitability.minor)
    assert abs(np.mean(lone.value.minor) - best) < error_bar(lone.value.minor) + 2e-2
    # On six cells the grid's own promise to the major player is off by a tenth; the tree's is exact.
    both = Players(policy.minor, answer.major)
    lone = PLAY(short, policy, jax.random.key(3), **sizes, deviation=both)
    earned = float(measure_on_tree(short, both).value.major)
    assert earned > float(exact.major) + 0.1
    assert abs(np.mean(lone.value.major) - earned) < error_bar(lone.value.major) + 2e-2


def test_one_player_is_its_own_crowd():
    problem = partition(major_minor_game(SIS(horizon=10)), 4)
    paths = PLAY(problem, problem.uniform(), jax.random.key(4), players=1, paths=50)
    assert set(np.unique(np.asarray(paths.mean_field))) == {0.0, 1.0}


def test_the_tree_and_a_fine_barycentric_grid_agree(short):
    with jax.enable_x64(True):
        fine = partition(major_minor_game(SIS(horizon=4)), 200)
        policy = fine.uniform()
        exact, found = measure_on_tree(fine, policy), MEASURE(fine, policy)
    np.testing.assert_allclose(found.value, exact.value, atol=1e-4)
    np.testing.assert_allclose(found.exploitability, exact.exploitability, atol=1e-4)
    assert float(exact.exploitability.minor) > 0.1


def test_barycentric_is_true_where_nearest_is_not():
    rules = SIS()
    values = {}
    for projection in ("nearest", "barycentric"):
        problem = partition(major_minor_game(rules), 20, projection)
        policy = first_action(problem, -1)
        values[projection] = float(MEASURE(problem, policy).value.major)
    # Everybody stays home and everybody is forced to: nothing is random, so one path is the truth.
    true = float(ROLL(problem, policy, jax.random.key(0), paths=1).value.major[0])
    assert abs(values["barycentric"] / true - 1) < 0.01
    assert abs(values["nearest"] / true - 1) > 0.1


def test_refuses_no_players_and_a_tree_too_tall(short):
    with pytest.raises(UserError, match="at least one player"):
        simulate(short, short.uniform(), jax.random.key(0), players=0, paths=1)
    tall = partition(major_minor_game(SIS()), 2)
    with pytest.raises(UserError, match="shorter horizon"):
        measure_on_tree(tall, tall.uniform())
