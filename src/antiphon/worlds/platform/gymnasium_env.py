"""The platform as Gymnasium environments, single and vectorised, for learners of other houses."""

import dataclasses
from functools import partial
from typing import Any

import gymnasium
import jax
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from antiphon.core.errors import UserError
from antiphon.worlds.platform.environment import PlatformEnvironment
from antiphon.worlds.platform.spatial_environment import SpatialEnvironment

World = PlatformEnvironment | SpatialEnvironment


class PlatformGym(gymnasium.Env[np.ndarray, np.ndarray]):
    """One platform; `reset` and `step` as Gymnasium has them.

    Actions are `MultiBinary` (valves), observations a wide `Box` of float32. ``info`` holds the metrics
    of a step as floats.

    Args:
        world: the environment; its `auto_reset` and `stagger` are switched off, as Gymnasium asks for. The
            episode's length is the world's, and no `TimeLimit` is needed.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 (Gymnasium's own attribute)

    def __init__(self, world: World | None = None) -> None:
        self._world = dataclasses.replace(world or PlatformEnvironment(), auto_reset=False, stagger=False)
        self.observation_space, self.action_space = _spaces(self._world)
        self._env_state: Any = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """A new episode; the seed settles everything that follows."""
        super().reset(seed=seed)
        self._env_state, observation = _reset(self._world, _key(self.np_random), 1)
        return np.asarray(observation[0]), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """One control step of 0.2 s.

        Raises:
            UserError: it was not reset first.
        """
        if self._env_state is None:
            raise UserError("usage", "the environment was stepped before it was reset", "call reset first")
        valves = np.asarray(action, np.float32)[None]
        self._env_state, step = _step(self._world, self._env_state, valves, _key(self.np_random))
        info = {name: float(value[0]) for name, value in step.metrics.items()}
        return (
            np.asarray(step.final_observation[0]),
            float(step.reward[0]),
            bool(step.terminated[0]),
            bool(step.truncated[0]),
            info,
        )


class PlatformVectorGym(VectorEnv[np.ndarray, np.ndarray, np.ndarray]):
    """N platforms moved by one compiled program.

    Episodes that end begin anew in the same step (`AutoresetMode.SAME_STEP`): the observation returned is the
    new one, and ``info["final_obs"]`` the last of the old, where ``info["_final_obs"]`` is true.

    Args:
        world: the environment.
        num_envs: N.

    Raises:
        UserError: fewer than one environment.
    """

    metadata: dict[str, Any] = {"render_modes": [], "autoreset_mode": AutoresetMode.SAME_STEP}  # noqa: RUF012

    def __init__(self, world: World | None = None, num_envs: int = 64) -> None:
        if num_envs < 1:
            raise UserError("field", f"{num_envs} environments are none", "give num_envs of at least 1")
        self._world = dataclasses.replace(world or PlatformEnvironment(), auto_reset=True, stagger=False)
        self.num_envs = num_envs
        self.single_observation_space, self.single_action_space = _spaces(self._world)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._env_state: Any = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """N new episodes; the seed settles everything that follows."""
        super().reset(seed=seed)
        self._env_state, observation = _reset(self._world, _key(self.np_random), self.num_envs)
        return np.asarray(observation), {}

    def step(
        self, actions: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """One control step of 0.2 s for all.

        Raises:
            UserError: they were not reset first.
        """
        if self._env_state is None:
            raise UserError(
                "usage", "the environments were stepped before they were reset", "call reset first"
            )
        valves = np.asarray(actions, np.float32)
        self._env_state, stepped = _step(self._world, self._env_state, valves, _key(self.np_random))
        step: Any = jax.tree.map(np.asarray, stepped)
        everyone = np.ones(self.num_envs, bool)
        info: dict[str, Any] = {}
        for name, values in step.metrics.items():
            info[name], info[f"_{name}"] = values, everyone
        done = step.terminated | step.truncated
        if done.any():
            final = np.full(self.num_envs, None, object)
            for index in np.flatnonzero(done):
                final[index] = step.final_observation[index]
            info["final_obs"], info["_final_obs"] = final, done
            ends = {name: np.where(done, values, 0.0) for name, values in step.metrics.items()}
            info["final_info"] = ends | {f"_{name}": done for name in ends}
            info["_final_info"] = done
        return step.observation, np.asarray(step.reward, np.float64), step.terminated, step.truncated, info


# The world is an argument, so that environments of one kind share one compiled program.
@partial(jax.jit, static_argnums=2)
def _reset(world: World, key: jax.Array, envs: int) -> Any:
    return world.reset(key, envs)


@jax.jit
def _step(world: World, env_state: Any, valves: Any, key: jax.Array) -> Any:
    return world.step(env_state, valves, key)


def _spaces(world: World) -> tuple[spaces.Box, spaces.MultiBinary]:
    # Nothing here reaches a thousand metres or metres per second, and Gymnasium frowns on infinite boxes.
    seen = spaces.Box(-1000.0, 1000.0, (world.observation_size,), np.float32)
    return seen, spaces.MultiBinary(world.action_size)


def _key(generator: np.random.Generator) -> jax.Array:
    return jax.random.key(generator.integers(2**31))
