"""Policies of the platform in space: flown as the environment shows it, judged, kept apart from others."""

import dataclasses

import jax
import numpy as np
import pytest

from antiphon.core.errors import UserError
from antiphon.worlds.platform import PlatformEnvironment, find_task
from antiphon.worlds.platform.policy_file import PlatformPolicy, PolicyMetadata, load_policy
from antiphon.worlds.platform.protocol import Motions, Protocol, pilot_of
from antiphon.worlds.platform.robot import policy_decision
from antiphon.worlds.platform.spatial import spatial, spatial_figures
from antiphon.worlds.platform.spatial_environment import SpatialEnvironment
from antiphon.worlds.platform.spatial_protocol import fly_spatial, judge_spatial
from antiphon.worlds.platform.tasks import find_spatial_task

SHORT = Protocol(envs=4, steps=3)
WORLD = SpatialEnvironment(task=find_spatial_task("go-to-pose-6dof"))


def policy_for(order=tuple(range(16))):
    rng = np.random.default_rng(0)
    layers = tuple(
        (rng.normal(size=(rows, columns)).astype(np.float32), np.zeros(columns, np.float32))
        for rows, columns in ((30, 8), (8, 16))
    )
    metadata = PolicyMetadata(
        "go-to-pose-6dof", "spatial", valves=16, valve_map=order, plant=spatial_figures(spatial())
    )
    return PlatformPolicy(layers, metadata)


def test_a_policy_in_space_flies_as_the_environment_shows_it(tmp_path):
    order = tuple(int(i) for i in np.random.default_rng(1).permutation(16))
    policy = load_policy(policy_for(order).save(tmp_path / "policy.npz"))
    found = fly_spatial(WORLD, policy, SHORT)
    assert ((found.position_error[0] > 2.9) & (found.position_error[0] < 4.1)).all()
    spawn = dataclasses.replace(WORLD.task.spawn, distance=(3.0, 4.0))
    world = dataclasses.replace(WORLD, spawn=spawn, stagger=False, auto_reset=False)
    key_reset, key_steps = jax.random.split(jax.random.key(0))
    env_state, observation = world.reset(key_reset, 4)
    step = jax.jit(world.step)
    for t, key in enumerate(jax.random.split(key_steps, 3)):
        valves = np.asarray(policy(observation))[:, np.argsort(order)]
        env_state, result = step(env_state, valves, key)
        observation = result.observation
        np.testing.assert_allclose(found.position_error[t], result.metrics["position_error"], rtol=1e-5)
        np.testing.assert_array_equal(found.air_use[t], result.metrics["air_use"])
    assert 0.2 < found.air_use.mean() < 0.8


def test_who_ends_near_and_facing_has_arrived():
    away, turned = np.array([[9.0, 0.04, 0.04, 0.06]]), np.array([[0.0, 0.08, 0.09, 0.0]])
    rest = np.zeros((1, 4))
    motions = Motions(away, turned, rest, rest, rest, rest, rest, rest > 0)
    assert judge_spatial(WORLD.task, motions, 10)["arrived"].estimate == 1 / 4
    assert judge_spatial(find_spatial_task("go-to-xyz"), motions, 10)["arrived"].estimate == 2 / 4


def test_plane_and_space_are_not_mixed_up():
    planar = PlatformPolicy(
        ((np.zeros((19, 8), np.float32), np.zeros(8, np.float32)),), PolicyMetadata("go-to-pose")
    )
    with pytest.raises(UserError, match="is for the plane"):
        fly_spatial(WORLD, planar, SHORT)
    with pytest.raises(UserError, match="platform in space"):
        pilot_of(policy_for(), PlatformEnvironment(task=find_task("go-to-pose")))
    with pytest.raises(UserError, match="there is no task 'go-to-pose-6dof'"):
        policy_decision(policy_for())
