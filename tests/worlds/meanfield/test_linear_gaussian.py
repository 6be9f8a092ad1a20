import jax
import jax.numpy as jnp
import numpy as np
import pytest

from antiphon.equilibrium import FlowProblem, flow, solve
from antiphon.methods.fixed_point import FixedPoint
from antiphon.worlds.meanfield.linear_gaussian import (
    LinearGaussian,
    LinearGaussianGrid,
    equilibrium,
)


def one(x):
    return jnp.array([[x]])


def in_the_plane():
    return LinearGaussian(
        drift=jnp.array([[1.0, 0.2], [-0.1, 0.9]]),
        crowd_drift=jnp.array([[0.05, 0.0], [0.1, -0.05]]),
        control=jnp.array([[0.0], [0.5]]),
        noise=jnp.array([[0.02, 0.01], [0.01, 0.05]]),
        state_cost=jnp.array([[1.0, 0.2], [0.2, 0.5]]),
        control_cost=one(0.7),
        last_cost=jnp.diag(jnp.array([2.0, 1.0])),
        target=jnp.array([[0.8, 0.0], [0.1, 0.6]]),
        mean=jnp.array([1.0, -0.5]),
        covariance=jnp.array([[0.3, 0.1], [0.1, 0.2]]),
        horizon=6,
    )


def on_a_line():
    return LinearGaussian(
        one(0.9), one(0.05), one(1.0), one(0.04), one(1.0), one(1.5), one(2.0), one(0.6),
        jnp.array([0.8]), one(0.09), 4,
    )  # fmt: skip


def means_by_one_linear_system(game):
    """Conditions of Pontryagin for the mean of a player, with the crowd's mean put in its place."""
    a, abar, b, q, r, last, s = map(
        np.asarray,
        (game.drift, game.crowd_drift, game.control, game.state_cost, game.control_cost, game.last_cost,
         game.target),
    )  # fmt: skip
    d, c, steps = *b.shape, game.horizon
    size = steps * (2 * d + c)
    matrix, right = np.zeros((size, size)), np.zeros(size)

    def x(t):
        return slice((t - 1) * d, t * d)

    def u(t):
        return slice(steps * d + t * c, steps * d + (t + 1) * c)

    def costate(t):
        return slice(steps * (d + c) + (t - 1) * d, steps * (d + c) + t * d)

    eye = np.eye(d)
    for t in range(steps):
        matrix[x(t + 1), x(t + 1)] = eye
        matrix[x(t + 1), u(t)] = -b
        if t:
            matrix[x(t + 1), x(t)] = -(a + abar)
        else:
            right[x(1)] = (a + abar) @ np.asarray(game.mean)
        matrix[u(t), u(t)] = r
        matrix[u(t), costate(t + 1)] = b.T
        matrix[costate(t + 1), costate(t + 1)] = eye
        weight = q if t + 1 < steps else last
        matrix[costate(t + 1), x(t + 1)] = -weight @ (eye - s)
        if t + 1 < steps:
            matrix[costate(t + 1), costate(t + 2)] = -a.T
    found = np.linalg.solve(matrix, right)
    return np.concatenate([np.asarray(game.mean)[None], found[: steps * d].reshape(steps, d)])


def cost_of_one(game, gain, offset, crowd):
    """Expected cost of a player of u = −K x − offset inside a crowd whose means are given; plain loops."""
    mean, spread, cost = game.mean, game.covariance, 0.0
    for t in range(game.horizon):
        control = -gain[t] @ mean - offset[t]
        apart = mean - game.target @ crowd[t]
        cost += apart @ game.state_cost @ apart + jnp.trace(game.state_cost @ spread)
        cost += control @ game.control_cost @ control
        cost += jnp.trace(game.control_cost @ gain[t] @ spread @ gain[t].T)
        closed = game.drift - game.control @ gain[t]
        mean = game.drift @ mean + game.crowd_drift @ crowd[t] + game.control @ control
        spread = closed @ spread @ closed.T + game.noise
    apart = mean - game.target @ crowd[-1]
    return 0.5 * (cost + apart @ game.last_cost @ apart + jnp.trace(game.last_cost @ spread))


@pytest.mark.parametrize("make", [in_the_plane, on_a_line])
def test_means_are_those_of_one_linear_system(make):
    with jax.enable_x64(True):
        game = make()
        np.testing.assert_allclose(equilibrium(game).mean, means_by_one_linear_system(game), atol=1e-6)


def test_no_player_gains_by_another_linear_rule():
    with jax.enable_x64(True):
        game = in_the_plane()
        found = equilibrium(game)
        offset = jnp.einsum("tcd,td->tc", found.mean_gain, found.mean[:-1])
        cost, slopes = jax.value_and_grad(cost_of_one, (1, 2))(game, found.gain, offset, found.mean)
        assert float(cost) == pytest.approx(-float(found.value), abs=1e-9)
        for slope in slopes:
            np.testing.assert_allclose(slope, 0.0, atol=1e-9)
        worse = cost_of_one(game, 1.1 * found.gain, offset, found.mean)
        assert float(worse) > float(cost) + 1e-4


def test_a_fine_grid_comes_to_the_riccati_solution():
    with jax.enable_x64(True):
        game = on_a_line()
        exact = equilibrium(game)
        errors = []
        for many in (21, 81):
            grid = LinearGaussianGrid(game, 2.0, 1.0, many, many)
            found = solve(FlowProblem(grid), FixedPoint(damping=0.5), 40, keep=[40])
            means = jnp.sum(flow(grid, found.policy), -1) @ grid.positions
            assert found.exploitability[-1] < 1e-9
            apart = abs(found.value[-1] - exact.value)
            errors.append((float(apart), float(jnp.max(jnp.abs(means - exact.mean[:, 0])))))
    assert errors[1][0] < min(0.002, 0.2 * errors[0][0])
    assert errors[1][1] < min(0.005, 0.2 * errors[0][1])
