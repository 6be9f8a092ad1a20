"""Speed of the platform's environment alone: control steps per second, resets and observations included.

Run: antiphon bench platform
"""

from __future__ import annotations

import json
import os
import time

import jax
import jax.numpy as jnp

from antiphon.worlds.platform.disturbances import find_disturbances
from antiphon.worlds.platform.environment import PlatformEnvironment
from antiphon.worlds.platform.estimator import PoseFilter
from antiphon.worlds.platform.spatial_environment import SpatialEnvironment
from antiphon.worlds.platform.tasks import find_task

STEPS = 128
REPEATS = 5


def measure(world: PlatformEnvironment | SpatialEnvironment, envs: int) -> dict[str, float]:
    """Best of a few: other processes can only slow it down. Also with the processor time it took."""

    @jax.jit
    def roll(env_state, actions, key):
        def one(carry, key):
            env_state, total = carry
            env_state, step = world.step(env_state, actions, key)
            # The observation must be computed, or the compiler would leave it out.
            return (env_state, total + jnp.sum(step.observation) + jnp.sum(step.reward)), None

        (env_state, total), _ = jax.lax.scan(one, (env_state, 0.0), jax.random.split(key, STEPS))
        return env_state, total

    env_state, _ = jax.jit(world.reset, static_argnums=1)(jax.random.key(0), envs)
    actions = jax.random.bernoulli(jax.random.key(1), 0.3, (envs, world.action_size)).astype(jnp.float32)
    jax.block_until_ready(roll(env_state, actions, jax.random.key(2)))
    wall, processor = [], []
    for repeat in range(REPEATS):
        began, used = time.perf_counter(), time.process_time()
        jax.block_until_ready(roll(env_state, actions, jax.random.key(repeat)))
        wall.append(time.perf_counter() - began)
        processor.append(time.process_time() - used)
    return {
        "control_steps_per_second": envs * STEPS / min(wall),
        "control_steps_per_processor_second": envs * STEPS / min(processor),
    }


def main() -> None:
    found: dict[str, object] = {"load_before": os.getloadavg()[0], "processors": os.cpu_count()}
    pose = find_task("go-to-pose")
    worlds: dict[str, PlatformEnvironment | SpatialEnvironment] = {
        "go-to-pose": PlatformEnvironment(task=pose),
        "go-to-pose, finding out about valves": PlatformEnvironment(task=pose, observation="adaptive"),
        "go-to-pose, authors' observation": PlatformEnvironment(task=pose, observation="drift"),
        "go-to-pose, all disturbances": PlatformEnvironment(task=pose, disturbances=find_disturbances("all")),
        "go-to-pose, pose filter at 100 Hz": PlatformEnvironment(task=pose, estimator=PoseFilter()),
        "6-DoF go-to-pose": SpatialEnvironment(),
    }
    for name, world in worlds.items():
        sizes = (2048, 4096, 16384) if name == "go-to-pose" else (4096,)
        for envs in sizes:
            found[f"{name}, {envs} environments"] = measure(world, envs)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
