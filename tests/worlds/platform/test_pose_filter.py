import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.core.errors import UserError
from antiphon.worlds.platform.draws import Draws
from antiphon.worlds.platform.estimator import PoseFilter, world_acceleration
from antiphon.worlds.platform.parameters import planar, wrench
from antiphon.worlds.platform.plant import advance
from antiphon.worlds.platform.sight import interpolated, track
from antiphon.worlds.platform.state import PlatformState


def textbook(q, r, poses, dt, accelerations):
    """x ← F x + G a, P ← F P Fᵀ + Q; K = P Hᵀ (H P Hᵀ + R)⁻¹, x ← x + K(z − Hx), P ← (1 − KH) P."""
    f, h = np.array([[1, dt], [0, 1]]), np.array([[1.0, 0.0]])
    g, noise = np.array([dt**2 / 2, dt]), q**2 * np.array([[dt**3 / 3, dt**2 / 2], [dt**2 / 2, dt]])
    x, p = np.array([poses[0], 0.0]), np.diag([r**2, 1.0])
    for z, a in zip(poses[1:], accelerations, strict=True):
        x, p = f @ x + g * a, f @ p @ f.T + noise
        gain = p @ h.T / (h @ p @ h.T + r**2)
        x, p = x + gain[:, 0] * (z - x[0]), (np.eye(2) - gain @ h) @ p
    return x, p


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.sampled_from([0.01, 0.05]))
def test_each_axis_is_the_textbook_filter(seed, dt):
    rng = np.random.default_rng(seed)
    poses, known = 0.05 * rng.normal(size=(12, 3)).cumsum(0), rng.normal(size=(11, 3))
    pose_filter = PoseFilter(0.3, 0.9, 0.01, 0.02)
    belief = pose_filter.begin(poses[0])
    for pose, a in zip(poses[1:], known, strict=True):
        belief = pose_filter.correct(pose_filter.predict(belief, dt, a), pose)
    for axis, (q, r) in enumerate(((0.3, 0.01), (0.3, 0.01), (0.9, 0.02))):
        x, p = textbook(q, r, poses[:, axis], dt, known[:, axis])
        np.testing.assert_allclose([belief.pose[axis], belief.rate[axis]], x, atol=1e-9)
        found = belief.pose_variance[axis], belief.covariance[axis], belief.rate_variance[axis]
        np.testing.assert_allclose(found, [p[0, 0], p[0, 1], p[1, 1]], atol=1e-10)


def test_a_turn_through_half_a_circle_is_no_jump():
    pose_filter, rate = PoseFilter(), 2.0
    belief = pose_filter.begin(np.array([0.0, 0.0, 3.0]))
    for k in range(1, 101):
        heading = (3.0 + rate * k * 0.01 + np.pi) % (2 * np.pi) - np.pi
        belief = pose_filter.predict(belief, 0.01)
        belief = pose_filter.correct(belief, np.array([0.0, 0.0, heading]))
    np.testing.assert_allclose(belief.rate[2], rate, atol=0.05)


def test_numpy_and_jax_agree():
    poses = np.random.default_rng(0).normal(size=(5, 4, 3)) * 0.1
    beliefs = []
    for array in (np.asarray, jnp.asarray):
        belief = PoseFilter().begin(array(poses[0], dtype="float32"))
        for pose in poses[1:]:
            belief = PoseFilter().correct(PoseFilter().predict(belief, 0.01), array(pose, dtype="float32"))
        beliefs.append(belief)
    for a, b in zip(*beliefs, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_velocities_are_better_than_differences_of_poses():
    p, envs, noise = planar(), 32, 0.003
    valves = jnp.tile(jnp.array([1.0, 0, 0, 0, 0, 1.0, 0, 0]), (envs, 1))
    now = PlatformState(*(jnp.zeros(s) for s in ((envs, 2), (envs,), (envs, 2), (envs,))))
    pose_filter = PoseFilter(position_noise=noise, heading_noise=noise)
    belief = pose_filter.begin(jnp.zeros((envs, 3)))
    body = wrench(p, valves) / jnp.array([p.mass, p.mass, p.inertia])
    step = jax.jit(lambda b, s, t, k: track(pose_filter, b, s, t, body, (noise, noise), Draws(k, envs)))
    for k in range(6):
        after = advance(p, now, valves)
        belief, now = step(belief, now, after, jax.random.key(k)), after
    error = np.std(belief.state().velocity - now.velocity)
    # Two poses 0.2 s apart with uniform noise of this width would be off by √2·width/√3/0.2.
    assert error < 0.5 * np.sqrt(2) * noise / np.sqrt(3) / 0.2
    claimed = np.sqrt(belief.rate_variance[:, 0]).mean()
    # It takes uniform noise for Gaussian of three times the variance, so it is better than it says.
    assert 0.2 * claimed < error < 1.2 * claimed


def test_between_two_steps_the_pose_is_the_plants():
    p, valves = planar(), jnp.array([0.0, 1, 0, 0, 0, 0, 0, 0])
    begun = PlatformState(jnp.array([1.0, 0.5]), jnp.asarray(0.2), jnp.array([0.3, -0.1]), jnp.asarray(0.8))
    after = advance(p, begun, valves)
    for share in (0.0, 0.3, 0.8, 1.0):
        expected = advance(p, begun, valves, dt=0.2 * share)
        found = interpolated(begun, after, share)
        np.testing.assert_allclose(found.position, expected.position, atol=5e-6)
        np.testing.assert_allclose(found.heading, expected.heading, atol=5e-6)


def test_accelerations_turn_with_the_platform():
    found = world_acceleration(np.array([0.0, 0.0, np.pi / 2]), np.array([1.0, 0.5, 3.0]))
    np.testing.assert_allclose(found, [-0.5, 1.0, 3.0], atol=1e-8)


def test_a_filter_without_noise_is_refused():
    with pytest.raises(UserError, match="position_noise"):
        PoseFilter(position_noise=0.0)
