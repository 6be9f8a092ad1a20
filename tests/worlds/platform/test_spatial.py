import jax
import jax.numpy as jnp
import numpy as np
import pytest

from antiphon.core.errors import UserError
from antiphon.worlds.platform.parameters import planar
from antiphon.worlds.platform.plant import advance
from antiphon.worlds.platform.quaternions import turned
from antiphon.worlds.platform.spatial import spatial, spatial_advance, spatial_allocation
from antiphon.worlds.platform.spatial_observation import spatial_observation
from antiphon.worlds.platform.state import PlatformState, SpatialState
from antiphon.worlds.platform.tasks import SpatialTarget, find_spatial_task

move = jax.jit(spatial_advance)


def momentum(params, s):
    spun = tuple(jnp.asarray(params.inertia) * s.angular_velocity)
    return np.array(turned(tuple(s.orientation), spun))


def test_free_rotation_keeps_angular_momentum_and_energy():
    p = spatial(inertia=(0.1, 0.2, 0.3))
    now = SpatialState(
        jnp.zeros(3), jnp.array([0.5, 0.5, -0.5, 0.5]), jnp.ones(3), jnp.array([0.2, 1.0, 0.1])
    )
    kept, energy = momentum(p, now), float(jnp.sum(p.inertia * now.angular_velocity**2))
    wobble = []
    for _ in range(50):
        now = move(p, now, jnp.zeros(16))
        wobble.append(np.asarray(now.angular_velocity))
        np.testing.assert_allclose(momentum(p, now), kept, atol=1e-5)
    np.testing.assert_allclose(jnp.sum(p.inertia * now.angular_velocity**2), energy, rtol=1e-4)
    np.testing.assert_allclose(now.position, 10.0 * np.ones(3), rtol=1e-5)
    np.testing.assert_allclose(jnp.linalg.norm(now.orientation), 1.0, atol=1e-6)
    # Turning about the middle axis is unstable: without the gyroscopic term nothing would change.
    assert np.ptp(np.stack(wobble), axis=0).max() > 0.5


def test_in_the_plane_it_is_the_planar_platform():
    rng = np.random.default_rng(0)
    flat, p, q = planar(com=(0.03, -0.02)), spatial(com=(0.03, -0.02, 0.0)), 0.4
    here = PlatformState(jnp.zeros(2), jnp.asarray(q), jnp.array([0.1, 0.0]), jnp.asarray(0.3))
    there = SpatialState(
        jnp.zeros(3),
        jnp.array([np.cos(q / 2), 0, 0, np.sin(q / 2)]),
        jnp.array([0.1, 0.0, 0.0]),
        jnp.array([0, 0, 0.3]),
    )
    step = jax.jit(advance)
    for _ in range(10):
        valves = rng.random(8) < 0.3
        wide = np.zeros((4, 4))
        wide[:, :2] = valves.reshape(4, 2)
        here, there = step(flat, here, valves), move(p, there, wide.ravel())
    np.testing.assert_allclose(there.position, [*here.position, 0.0], atol=3e-6)
    np.testing.assert_allclose(there.velocity, [*here.velocity, 0.0], atol=3e-6)
    np.testing.assert_allclose(there.angular_velocity, [0, 0, here.angular_velocity], atol=3e-6)


def test_sixteen_nozzles_push_and_turn_every_way():
    b = np.asarray(spatial_allocation(spatial()), float)
    assert np.linalg.matrix_rank(b, tol=1e-6) == 6
    # Every nozzle has one that pushes against it, so that all together cancel.
    np.testing.assert_allclose(b.sum(1), 0.0, atol=1e-6)
    # Up at the anchor of 45°: r × z.
    np.testing.assert_allclose(b[:, 3], [0, 0, 1, 0.31 * np.sqrt(0.5), -0.31 * np.sqrt(0.5), 0], atol=1e-7)


def test_what_is_seen_does_not_depend_on_where_north_is():
    rng = np.random.default_rng(1)
    task = find_spatial_task("go-to-pose-6dof")

    def unit(v):
        return v / np.linalg.norm(v)

    def both(q, r):
        from antiphon.worlds.platform.quaternions import product

        return np.array(product(tuple(q), tuple(r)))

    s = SpatialState(rng.normal(size=3), unit(rng.normal(size=4)), rng.normal(size=3), rng.normal(size=3))
    goal = SpatialTarget(rng.normal(size=3), unit(rng.normal(size=4)))
    north = unit(rng.normal(size=4))
    turn = lambda v: np.array(turned(tuple(north), tuple(v)))  # noqa: E731
    other = SpatialState(turn(s.position), both(north, s.orientation), turn(s.velocity), s.angular_velocity)
    moved = SpatialTarget(turn(goal.position), both(north, goal.orientation))
    seen = spatial_observation(task, s, goal)
    assert seen.shape == (30,)
    np.testing.assert_allclose(spatial_observation(task, other, moved), seen, atol=1e-6)
    # −q is the same attitude.
    np.testing.assert_allclose(
        spatial_observation(task, s._replace(orientation=-s.orientation), goal), seen, atol=1e-9
    )
    reached = SpatialState(goal.position, goal.orientation, np.zeros(3), np.zeros(3))
    there = spatial_observation(task, reached, goal)
    np.testing.assert_allclose(there, np.eye(30)[9] + np.eye(30)[13], atol=1e-9)


def test_unknown_names_and_impossible_figures():
    with pytest.raises(UserError, match="go-to-xyz"):
        find_spatial_task("go-to-xy")
    with pytest.raises(UserError, match="inertia"):
        spatial(inertia=(0.1, 0.0, 0.1))
