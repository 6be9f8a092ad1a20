from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from antiphon.core.errors import UserError
from antiphon.worlds.platform.mujoco_twin import MujocoTwin, mujoco_xml
from antiphon.worlds.platform.parameters import planar
from antiphon.worlds.platform.plant import advance
from antiphon.worlds.platform.spatial import spatial, spatial_advance
from antiphon.worlds.platform.state import PlatformState, SpatialState, SpatialWrench, Wrench

pytest.importorskip("mujoco")
STEPS = 100


def worst_difference(move, params, begun, disturbance, timestep):
    """Over 20 s of random valves without feedback."""
    twin, now, rng = MujocoTwin(params, timestep), begun, np.random.default_rng(3)
    twin.place(begun)
    step = jax.jit(lambda s, valves: move(params, s, valves, disturbance))
    worst = 0.0
    for _ in range(STEPS):
        valves = rng.random(params.thrust.shape[0]) < 0.25
        now, theirs = step(now, valves), twin.advance(valves, disturbance)
        worst = max(worst, *(np.abs(np.asarray(a) - b).max() for a, b in zip(now, theirs, strict=True)))
    assert np.linalg.norm(now.position - begun.position) > 0.3, "nothing moved"
    return worst


def test_planar_motion_is_mujocos():
    with jax.enable_x64(True):
        begun = PlatformState(*(jnp.asarray(x) for x in ([0.5, -0.3], 0.7, [0.1, 0.05], -0.2)))
        assert worst_difference(advance, planar(), begun, None, 0.02) < 1e-7


def test_planar_motion_is_mujocos_with_drag_and_a_centre_of_mass_and_wind():
    with jax.enable_x64(True):
        begun = PlatformState(*(jnp.asarray(x) for x in ([0.5, -0.3], 0.7, [0.1, 0.05], -0.2)))
        wind = Wrench(jnp.array([0.05, -0.08]), jnp.array(0.01))
        params = planar(com=(0.05, -0.03), linear_drag=0.3, angular_drag=0.02)
        assert worst_difference(advance, params, begun, wind, 0.02) < 1e-7


def test_planar_motion_in_single_precision_stays_within_a_hundredth_of_a_millimetre():
    begun = PlatformState(jnp.zeros(2), jnp.zeros(()), jnp.zeros(2), jnp.zeros(()))
    assert worst_difference(advance, planar(), begun, None, 0.02) < 1e-5


def test_spatial_motion_is_mujocos():
    with jax.enable_x64(True):
        begun = SpatialState(
            *(jnp.asarray(x) for x in ([0.0] * 3, [1.0, 0, 0, 0], [0.0] * 3, [0.1, 0.2, -0.1]))
        )
        push = SpatialWrench(jnp.array([0.01, 0.02, 0.03]), jnp.array([0.001, 0.002, -0.001]))
        params = spatial(inertia=(0.15, 0.2, 0.25), com=(0.02, 0.01, -0.03))
        assert worst_difference(spatial_advance, params, begun, push, 0.01) < 1e-5


def test_dead_valves_are_dead_in_both():
    params = replace(planar(), mask=jnp.array([0.0, 1, 1, 1, 1, 1, 1, 1]))
    twin = MujocoTwin(params)
    twin.place(PlatformState(np.zeros(2), np.zeros(()), np.zeros(2), np.zeros(())))
    assert np.abs(twin.advance(np.eye(8)[0]).velocity).max() == 0.0
    assert np.abs(twin.advance(np.eye(8)[1]).velocity).max() > 0.01


def test_models_of_many_platforms_and_odd_times_are_refused():
    with pytest.raises(UserError, match="one"):
        mujoco_xml(replace(planar(), mass=jnp.ones(3)))
    with pytest.raises(UserError, match="drag"):
        mujoco_xml(spatial(linear_drag=0.1))
    with pytest.raises(UserError, match="multiple"):
        MujocoTwin(planar()).advance(np.zeros(8), dt=0.03)
