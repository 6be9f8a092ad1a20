from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np

from antiphon.worlds.platform.columns import cos_sin
from antiphon.worlds.platform.parameters import planar, wrench
from antiphon.worlds.platform.plant import PlatformState, Wrench, advance

move = jax.jit(advance, static_argnames="substeps")


def state(position=(0.0, 0.0), heading=0.0, velocity=(0.0, 0.0), angular_velocity=0.0):
    return PlatformState(*(jnp.asarray(x, float) for x in (position, heading, velocity, angular_velocity)))


def by_small_steps(params, begun, valves, force, torque, dt, many=4000):
    """Ten lines of midpoint steps in float64, for the centre of mass."""
    m, inertia, c = float(params.mass), float(params.inertia), np.asarray(params.com, float)
    fx, fy, tau = np.asarray(wrench(params, valves), float)

    def turn(a, v):
        return np.array([np.cos(a) * v[0] - np.sin(a) * v[1], np.sin(a) * v[0] + np.cos(a) * v[1]])

    def slope(y):
        a = (turn(y[2], (fx, fy)) + force - float(params.linear_drag) * y[3:5]) / m
        return np.array([*y[3:5], y[5], *a, (tau + torque - float(params.angular_drag) * y[5]) / inertia])

    p, heading, v, w = (np.asarray(x, float) for x in begun)
    arm = turn(heading, c)
    y, h = np.array([*(p + arm), heading, *(v + w * np.array([-arm[1], arm[0]])), w]), dt / many
    for _ in range(many):
        y = y + h * slope(y + h / 2 * slope(y))
    arm = turn(y[2], c)
    return (y[:2] - arm, y[2], y[3:5] - y[5] * np.array([-arm[1], arm[0]]), y[5])


def close(found, expected, atol):
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, atol=atol)


def test_a_straight_push_by_hand():
    # Valves 0 and 5 cancel in torque... and 1 N along the diagonal of the body is left: half from each.
    p, diagonal = planar(), jnp.array([1.0, 0, 0, 0, 0, 1.0, 0, 0])
    fx, fy, torque = np.asarray(wrench(p, diagonal))
    np.testing.assert_allclose([fx, fy, torque], [np.sqrt(0.5), -np.sqrt(0.5), 0.0], atol=1e-7)
    found = move(p, state(velocity=(0.1, 0.0)), diagonal)
    a = np.array([fx, fy]) / 5.32
    expected = (np.array([0.02, 0]) + a * 0.02, 0.0, np.array([0.1, 0]) + 0.2 * a, 0.0)
    close(found, expected, 1e-7)


def test_one_step_is_the_limit_of_many_small_ones():
    p = planar(com=(0.05, -0.08), linear_drag=0.6, angular_drag=0.04)
    begun = state((0.3, -0.2), 2.0, (0.2, -0.4), 1.5)
    valves, force, torque = jnp.array([0, 1.0, 1.0, 0, 0, 0, 0, 1.0]), np.array([0.1, -0.2]), 0.03
    expected = by_small_steps(p, begun, valves, force, torque, 0.2)
    push = Wrench(jnp.asarray(force, float), jnp.asarray(torque))
    for substeps in (1, 3):
        close(move(p, begun, valves, push, 0.2, substeps=substeps), expected, 5e-7)
    half = move(p, begun, valves, push, 0.1)
    close(move(p, half, valves, push, 0.1), expected, 5e-7)


def test_free_flight_keeps_momentum_and_energy():
    p = planar(com=(0.1, 0.05))
    now = state((1.0, 2.0), 0.3, (0.2, -0.1), 2.0)

    def centre(s):
        cos, sin = np.cos(float(s.heading)), np.sin(float(s.heading))
        arm = np.array([cos * 0.1 - sin * 0.05, sin * 0.1 + cos * 0.05])
        w = float(s.angular_velocity)
        return np.asarray(s.position) + arm, np.asarray(s.velocity) + w * np.array([-arm[1], arm[0]])

    at, velocity = centre(now)
    for _ in range(20):
        now = move(p, now, jnp.zeros(8))
    then, still = centre(now)
    np.testing.assert_allclose(still, velocity, atol=2e-6)
    np.testing.assert_allclose(then, at + 4.0 * velocity, atol=5e-6)
    np.testing.assert_allclose(now.angular_velocity, 2.0, atol=1e-6)


def test_work_becomes_kinetic_energy():
    p, open_ = planar(), jnp.array([0, 1.0, 0, 0, 0, 0, 0, 0])
    begun, work, now = state(angular_velocity=0.5), 0.0, state(angular_velocity=0.5)
    fx, fy, torque = np.asarray(wrench(p, open_))
    for _ in range(200):
        before, now = now, move(p, now, open_, dt=0.001)
        middle = 0.5 * float(before.heading + now.heading)
        force = [np.cos(middle) * fx - np.sin(middle) * fy, np.sin(middle) * fx + np.cos(middle) * fy]
        work += float(np.dot(force, now.position - before.position))
        work += torque * float(now.heading - before.heading)

    def energy(s):
        return 0.5 * 5.32 * np.sum(np.square(s.velocity)) + 0.5 * 0.20450080 * float(s.angular_velocity) ** 2

    np.testing.assert_allclose(energy(now) - energy(begun), work, rtol=2e-3)


def test_outside_torque_and_force_act_in_the_world():
    push = Wrench(jnp.array([0.532, 0.0]), jnp.asarray(0.2045008))
    found = move(planar(), state(heading=1.0), jnp.zeros(8), push, 0.2)
    close(found, ((0.002, 0.0), 1.02, (0.02, 0.0), 0.2), 1e-6)


def test_batches_of_platforms_and_of_time_steps():
    p = replace(planar(), mass=jnp.array([5.32, 2.66]))
    many = PlatformState(jnp.zeros((2, 2)), jnp.zeros(2), jnp.zeros((2, 2)), jnp.zeros(2))
    push = Wrench(jnp.ones((2, 2)), jnp.zeros(2))
    found = move(p, many, jnp.zeros((2, 8)), push, jnp.array([0.1, 0.2]))
    np.testing.assert_allclose(found.velocity[:, 0], [0.1 / 5.32, 0.2 / 2.66], rtol=1e-6)


def test_the_motion_can_be_differentiated_by_mass():
    def reached(mass):
        p = replace(planar(), mass=mass)
        return jnp.sum(advance(p, state(), jnp.array([1.0, 0, 1, 0, 0, 0, 0, 0]), dt=0.2).position ** 2)

    slope = jax.grad(reached)(5.32)
    # Every length is proportional to 1/mass, its square to 1/mass².
    np.testing.assert_allclose(slope, -2 * reached(5.32) / 5.32, rtol=1e-4)


def test_cosines_and_sines():
    angle = np.linspace(-300, 300, 20001)
    cos, sin = cos_sin(angle)
    np.testing.assert_allclose(cos, np.cos(angle), atol=1e-8)
    np.testing.assert_allclose(sin, np.sin(angle), atol=1e-8)
    cos, sin = cos_sin(jnp.asarray(angle[::50], jnp.float32))
    exact = np.asarray(angle[::50], np.float32).astype(float)
    np.testing.assert_allclose(cos, np.cos(exact), atol=4e-7)
    np.testing.assert_allclose(sin, np.sin(exact), atol=4e-7)
