"""How a policy of the platform in space is judged: as on the plane, with the attitude for the heading."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from antiphon.core.errors import UserError
from antiphon.core.statistics import Interval, proportion
from antiphon.worlds.platform.policy_file import PlatformPolicy
from antiphon.worlds.platform.protocol import Layer, Motions, Protocol, judge
from antiphon.worlds.platform.spatial_environment import SpatialEnvironment
from antiphon.worlds.platform.tasks import Task

_NEAR, _FACING = 0.05, math.radians(5.0)


def fly_spatial(world: SpatialEnvironment, policy: PlatformPolicy, protocol: Protocol) -> Motions:
    """Flies all episodes of a protocol with a policy, from rest and any attitude; they are never begun anew.

    Args:
        world: task, platform and disturbances.
        policy: of the spatial observation.
        protocol: how many, how long, from how far.

    Raises:
        UserError: the policy is one of the planar platform.
    """
    if policy.metadata.observation != "spatial":
        raise UserError(
            "policy",
            f"the policy is for the plane ({policy.metadata.task}), the task {world.task.name} is in space",
            "give a policy trained for a task in space",
        )
    spawn = dataclasses.replace(world.spawn or world.task.spawn, speed=0.0, angular_speed=0.0)
    if protocol.distance is not None:
        spawn = dataclasses.replace(spawn, distance=protocol.distance)
    world = dataclasses.replace(
        world, spawn=spawn, episode_steps=protocol.steps + 1, stagger=False, auto_reset=False
    )
    order = tuple(int(place) for place in np.argsort(policy.metadata.valve_map))
    key = jax.random.key(protocol.seed)
    flown = _flown(world, policy.layers, key, order, protocol.envs, protocol.steps)
    return Motions(*(np.asarray(part) for part in flown))


def judge_spatial(task: Task, motions: Motions, resamples: int = 2000) -> dict[str, Interval]:
    """The figures of `judge`, and ``arrived``: the share of episodes that end within 5 cm (and 5°)."""
    figures = judge(task, motions, resamples)
    there = motions.position_error[-1] < _NEAR
    if task.heading:
        there = there & (motions.heading_error[-1] < _FACING)
    return figures | {"arrived": proportion(int(np.sum(there)), there.size)}


def _flown(
    world: SpatialEnvironment,
    layers: tuple[Layer, ...],
    key: Key[Array, ""],
    order: tuple[int, ...],
    envs: int,
    steps: int,
) -> Motions:
    key_reset, key_steps = jax.random.split(key)

    def step(carry: tuple, key: Key[Array, ""]) -> tuple[tuple, Motions]:
        env_state, hidden = carry
        for weight, bias in layers[:-1]:
            hidden = jnp.tanh(hidden @ weight + bias)
        weight, bias = layers[-1]
        valves = (hidden @ weight + bias > 0)[..., np.array(order)]
        env_state, result = world.step(env_state, valves, key)
        error = result.metrics
        spin = jnp.linalg.norm(env_state.state.angular_velocity, axis=-1)
        motions = Motions(
            error["position_error"], error["heading_error"], error["velocity_error"],
            error["angular_velocity_error"], spin, error["air_use"], error["success"], result.terminated,
        )  # fmt: skip
        return (env_state, result.observation), motions

    return jax.lax.scan(step, world.reset(key_reset, envs), jax.random.split(key_steps, steps))[1]


_flown = jax.jit(_flown, static_argnums=(3, 4, 5))
