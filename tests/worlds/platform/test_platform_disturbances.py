import jax
import jax.numpy as jnp
import numpy as np
import pytest

from antiphon.core.errors import UserError
from antiphon.worlds.platform.curriculum import Curricula, Curriculum
from antiphon.worlds.platform.disturbances import (
    DISTURBANCES,
    Disturbances,
    combined,
    draw_weather,
    find_disturbances,
    noisy,
    outside_wrench,
    physics_of,
)
from antiphon.worlds.platform.draws import Draws
from antiphon.worlds.platform.parameters import planar
from antiphon.worlds.platform.state import PlatformState

N = 4000


def drawn(level=1.0, seed=0, **fields):
    made = jax.jit(lambda key: draw_weather(Disturbances(**fields), planar(), Draws(key, N), level))
    return made(jax.random.key(seed))


def looks_uniform(values, low, high):
    """Moments and range; a mean of N uniforms is off by more than five of its deviations once in 10⁶."""
    values, width = np.asarray(values, float), high - low
    assert low <= values.min() < low + 0.01 * width
    assert high - 0.01 * width < values.max() <= high
    assert abs(values.mean() - (low + high) / 2) < 5 * width / np.sqrt(12 * values.size)
    np.testing.assert_allclose(values.var(), width**2 / 12, rtol=0.1)


def test_columns_are_uniform_and_unrelated():
    def many(key):
        draws = Draws(key, N)
        return jnp.stack([draws.uniform(-1.0, 3.0) for _ in range(12)])

    columns = np.asarray(jax.jit(many)(jax.random.key(5)))
    for column in columns:
        looks_uniform(column, -1.0, 3.0)
        counts = np.histogram(column, 20, (-1, 3))[0]
        assert np.sum((counts - N / 20) ** 2 / (N / 20)) < 60  # χ² with 19 degrees: once in 10⁵
    # Between columns, and between neighbours in a column.
    assert np.abs(np.corrcoef(columns) - np.eye(12)).max() < 5.5 / np.sqrt(N)
    assert max(abs(np.corrcoef(c[1:], c[:-1])[0, 1]) for c in columns) < 5.5 / np.sqrt(N)
    again = np.asarray(jax.jit(many)(jax.random.key(5)))
    np.testing.assert_array_equal(columns, again)
    assert np.abs(columns - np.asarray(jax.jit(many)(jax.random.key(6)))).min(0).max() > 0


def test_floors_push_in_every_direction():
    force = np.asarray(drawn(floor=0.5, least=0.5).force)
    looks_uniform(np.linalg.norm(force, axis=1), 0.25, 0.5)
    looks_uniform(np.arctan2(force[:, 1], force[:, 0]), -np.pi, np.pi)
    fixed = np.asarray(drawn(floor=0.25, least=1.0, level=0.5).force)
    np.testing.assert_allclose(np.linalg.norm(fixed, axis=1), 0.125, rtol=1e-5)


def test_wavy_floors_are_sinusoids_of_the_place():
    weather = drawn(floor=0.5, waves=True, torque=0.1)
    place = PlatformState(jnp.full((N, 2), 0.7), jnp.zeros(N), jnp.zeros((N, 2)), jnp.zeros(N))
    push = outside_wrench(weather, place)
    wave = np.asarray(weather.force_wave)
    expected = np.asarray(weather.force) * np.sin(wave[:, :2] * 0.7 + wave[:, 2:])
    np.testing.assert_allclose(push.force, expected, atol=1e-6)
    looks_uniform(wave[:, 0], 0.25, 3.0)
    assert np.abs(push.torque).max() <= 0.1


def test_torques_have_both_signs():
    torque = np.asarray(drawn(torque=0.1).torque)
    looks_uniform(torque, -0.1, 0.1)
    assert drawn(floor=0.1).torque is None


def test_masses_and_inertias_go_together():
    weather = drawn(mass=0.3)
    p = physics_of(weather, planar())
    looks_uniform(p.mass / 5.32, 0.7, 1.3)
    np.testing.assert_allclose(p.inertia / p.mass, 0.4 * 0.31**2, rtol=1e-5)


def test_every_other_figure_can_be_drawn():
    p = physics_of(
        drawn(
            inertia=0.2, com=0.1, thrust=0.5, nozzle_angle=0.3, nozzle_shift=0.02, linear_drag=0.5,
            angular_drag=0.05,
        ),
        planar(),
    )  # fmt: skip
    looks_uniform(p.inertia / planar().inertia, 0.8, 1.2)
    looks_uniform(np.linalg.norm(p.com, axis=1), 0.0, 0.1)
    looks_uniform(p.thrust[:, 3], 0.5, 1.0)
    np.testing.assert_allclose(np.linalg.norm(p.nozzle_direction, axis=-1), 1.0, atol=1e-6)
    (x, y), turned = planar().nozzle_direction[2], np.asarray(p.nozzle_direction[:, 2])
    looks_uniform(np.arcsin(x * turned[:, 1] - y * turned[:, 0]), -0.3, 0.3)
    looks_uniform((p.nozzle_position - planar().nozzle_position)[:, 5, 1], -0.02, 0.02)
    looks_uniform(p.linear_drag, 0.0, 0.5)
    looks_uniform(p.angular_drag, 0.0, 0.05)


def test_failures_are_distinct_and_as_many_as_they_should_be():
    mask = np.asarray(drawn(failures=2).physics["mask"])
    assert set(np.unique(mask)) == {0.0, 1.0}
    np.testing.assert_array_equal(mask.sum(1), 6)
    pairs, counts = np.unique(mask, axis=0, return_counts=True)
    assert len(pairs) == 28
    assert np.sum((counts - N / 28) ** 2 / (N / 28)) < 75  # χ² with 27 degrees: once in 10⁵
    some = 8 - np.asarray(drawn(failures=3, failure_chance=0.5).physics["mask"]).sum(1)
    shares = [(some == k).mean() for k in range(4)]
    np.testing.assert_allclose(shares, [1 / 8, 3 / 8, 3 / 8, 1 / 8], atol=5 * 0.5 / np.sqrt(N))
    assert np.asarray(drawn(failures=3, level=0.0).physics["mask"]).min() == 1


def test_noise_is_as_wide_as_it_says():
    d = Disturbances(
        position_noise=0.01, heading_noise=0.025, velocity_noise=0.02, angular_velocity_noise=0.03
    )
    exact = PlatformState(jnp.zeros((N, 2)), jnp.zeros(N), jnp.zeros((N, 2)), jnp.zeros(N))
    seen = noisy(d, exact, Draws(jax.random.key(2), N))
    looks_uniform(seen.position[:, 1], -0.01, 0.01)
    looks_uniform(seen.heading, -0.025, 0.025)
    looks_uniform(seen.velocity[:, 0], -0.02, 0.02)
    looks_uniform(seen.angular_velocity, -0.03, 0.03)


def test_disturbances_by_name():
    assert find_disturbances("nominal") == Disturbances()
    both = find_disturbances("floor-0.25+failure-2")
    assert (both.floor, both.failures, both.failure_chance) == (0.25, 2, 1.0)
    assert (
        combined(Disturbances(failures=1, failure_chance=0.5), Disturbances(mass=0.1)).failure_chance == 0.5
    )
    for one in DISTURBANCES:
        assert find_disturbances(one.name) == combined(one.disturbances)
    with pytest.raises(UserError, match=r"did you mean 'floor-0\.25'"):
        find_disturbances("floor-025")
    with pytest.raises(UserError, match="latency"):
        Disturbances(latency=0.5)
    with pytest.raises(UserError, match="mass"):
        Disturbances(mass=-0.1)


def test_curricula_rise_from_nothing_to_everything():
    for shape in ("linear", "sigmoid"):
        level = [float(Curriculum(10, 30, shape).level(jnp.asarray(t))) for t in (0, 10, 20, 30, 99)]
        np.testing.assert_allclose(level, [0, 0, 0.5, 1, 1], atol=1e-6)
    quarter = float(Curriculum(0, 100).level(jnp.asarray(25)))
    sigma = lambda x: 1 / (1 + np.exp(-x))  # noqa: E731
    np.testing.assert_allclose(quarter, (sigma(-2.25) - sigma(-4.5)) / (sigma(4.5) - sigma(-4.5)), rtol=1e-5)
    growing = Curricula(spawn=Curriculum(0, 10, "linear"), first_distance=(0.5, 1.5))
    np.testing.assert_allclose(growing.distance((0.0, 4.5), jnp.asarray(5)), (0.25, 3.0))
    with pytest.raises(UserError, match="curriculum"):
        Curriculum(10, 10)
    with pytest.raises(UserError, match="step"):
        Curriculum(0, 10, "steps")
