import jax
import jax.numpy as jnp
import numpy as np
import pytest

from antiphon.core.errors import UserError
from antiphon.equilibrium import Players, first_action, major_minor_game, partition, solve
from antiphon.equilibrium.discounted import discounted
from antiphon.methods.fictitious_play import FictitiousPlay
from antiphon.worlds.meanfield.advertisement import Advertisement
from antiphon.worlds.meanfield.sis import SIS

measure = jax.jit(lambda problem, policy: problem.measure(policy))


def random_policies(problem):
    keys = jax.random.split(jax.random.key(0), 2)
    return Players(*(
        jax.random.dirichlet(key, jnp.ones(leaf.shape[-1]), leaf.shape[:-1])
        for key, leaf in zip(keys, problem.uniform(), strict=True)
    ))  # fmt: skip


@pytest.fixture(scope="module")
def epidemic():
    with jax.enable_x64(True):
        return discounted(partition(major_minor_game(SIS(horizon=60)), 8), 0.8)


def by_linear_equations(problem, policy, discount):
    """J of both players: value equations over (x, x0, m), written out and solved."""
    grid, (n_x, n_x0, n_m, n_u) = problem.partition.grid, policy.minor.shape
    minor, major = (np.asarray(leaf) for leaf in policy)
    kernel, reward = np.asarray(problem.partition.kernel), np.asarray(problem.partition.reward)
    kernel0, reward0 = (
        np.asarray(problem.partition.major_kernel),
        np.asarray(problem.partition.major_reward),
    )
    points = np.asarray(grid.points)
    system, paid = np.eye(n_x * n_x0 * n_m), np.zeros(n_x * n_x0 * n_m)
    system0, paid0 = np.eye(n_x0 * n_m), np.zeros(n_x0 * n_m)
    at = np.arange(n_x * n_x0 * n_m).reshape(n_x, n_x0, n_m)
    at0 = np.arange(n_x0 * n_m).reshape(n_x0, n_m)
    locate = jax.jit(grid.locate)
    for x0, m, u0 in np.ndindex(n_x0, n_m, major.shape[-1]):
        chance = major[x0, m, u0]
        after = np.einsum("x,xu,xyu->y", points[m], minor[:, x0, m], kernel[:, x0, u0, :, m])
        index, weight = (np.asarray(a) for a in locate(jnp.asarray(after)))
        paid0[at0[x0, m]] += chance * reward0[x0, m, u0]
        for z, k in np.ndindex(n_x0, len(index)):
            share = discount * chance * kernel0[x0, u0, m, z] * weight[k]
            system0[at0[x0, m], at0[z, index[k]]] -= share
            for x, u, y in np.ndindex(n_x, n_u, n_x):
                moved = share * minor[x, x0, m, u] * kernel[x, x0, u0, y, m, u]
                system[at[x, x0, m], at[y, z, index[k]]] -= moved
        for x, u in np.ndindex(n_x, n_u):
            paid[at[x, x0, m]] += chance * minor[x, x0, m, u] * reward[x, x0, u0, m, u]
    values = Players(
        jnp.asarray(np.linalg.solve(system, paid).reshape(n_x, n_x0, n_m)),
        jnp.asarray(np.linalg.solve(system0, paid0).reshape(n_x0, n_m)),
    )
    return problem.partition.at_start(values)


def test_values_are_those_of_linear_equations(epidemic):
    with jax.enable_x64(True):
        policy = random_policies(epidemic)
        found = measure(epidemic, policy)
        expected = by_linear_equations(epidemic, policy, 0.8)
    np.testing.assert_allclose(found.value, expected, atol=1e-6)
    assert min(float(gap) for gap in found.exploitability) > 0.01


def test_a_long_horizon_is_no_horizon(epidemic):
    # Backward induction over sixty steps, of which the last is worth a millionth.
    with jax.enable_x64(True):
        policy = random_policies(epidemic)

        def scanned(problem, policy):
            grid = problem.partition

            def back(value, _):
                return grid.step_back(value, policy, ("best", "own"), discount=0.8)

            found = jax.lax.scan(back, grid.nothing_ahead(2), length=60)[1]
            return grid.gap_at_start(*jax.tree.map(lambda leaf: leaf[-1], found), policy, None)

        long, forever = jax.jit(scanned)(epidemic, policy), measure(epidemic, policy)
    for name in ("exploitability", "value"):
        np.testing.assert_allclose(getattr(long, name), getattr(forever, name), atol=20 * 0.8**60)


def test_rollouts_earn_what_a_fine_grid_says():
    problem = discounted(partition(major_minor_game(Advertisement()), 40), 0.8)
    policy = problem.uniform()
    value = measure(problem, policy).value
    truth = jax.jit(lambda p, pi: p.true_value(pi, jax.random.key(1), 2000))(problem, policy)
    np.testing.assert_allclose(truth, value, rtol=0.02)


def test_fictitious_play_comes_near():
    problem = discounted(partition(major_minor_game(SIS()), 10), 0.9)
    found = solve(problem, FictitiousPlay("plain"), 50, start=first_action(problem), keep=[0, 50], paths=0)
    for gaps in found.exploitability:
        assert gaps[1] < 0.1 * gaps[0]


def test_refuses_a_discount_that_never_ends():
    with pytest.raises(UserError, match="discount is 1"):
        discounted(partition(major_minor_game(SIS()), 2), 1)
