import warnings

import numpy as np
import pytest

gymnasium = pytest.importorskip("gymnasium")

from gymnasium.utils.env_checker import check_env  # noqa: E402

from antiphon.core.errors import UserError  # noqa: E402
from antiphon.worlds.platform.environment import PlatformEnvironment  # noqa: E402
from antiphon.worlds.platform.gymnasium_env import PlatformGym, PlatformVectorGym  # noqa: E402

WORLD = PlatformEnvironment(episode_steps=4)


def test_gymnasiums_checker_is_satisfied():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # It has nothing to render, and rendering is what is checked only for registered environments.
        check_env(PlatformGym(WORLD), skip_render_check=True)


def test_one_episode():
    env = PlatformGym(WORLD)
    with pytest.raises(UserError, match="reset first"):
        env.step(env.action_space.sample())
    env.reset(seed=3)
    flags = [env.step(np.ones(8, np.int8))[2:4] for _ in range(4)]
    assert flags == [(False, False)] * 3 + [(False, True)]


def test_many_episodes_end_in_the_same_step():
    env = PlatformVectorGym(WORLD, 3)
    observation, _ = env.reset(seed=1)
    assert env.observation_space.contains(observation)
    assert env.metadata["autoreset_mode"] is gymnasium.vector.AutoresetMode.SAME_STEP
    for t in range(5):
        before = observation
        observation, reward, terminated, truncated, info = env.step(np.zeros((3, 8), np.int8))
        assert env.observation_space.contains(observation)
        assert reward.shape == terminated.shape == truncated.shape == (3,)
        assert truncated.all() == truncated.any() == (t == 3)
        assert ("final_obs" in info) == (t == 3)
        if t == 3:
            final = np.stack(info["final_obs"])
            # The last of the old episode follows from the one before; the new one begins elsewhere.
            assert np.abs(final - before)[:, :2].max() < 0.1 < np.abs(final - observation)[:, :2].max()
    again, _ = env.reset(seed=1)
    np.testing.assert_array_equal(again, PlatformVectorGym(WORLD, 3).reset(seed=1)[0])
    with pytest.raises(UserError, match="num_envs"):
        PlatformVectorGym(WORLD, 0)


def test_gymnasiums_own_vector_of_single_environments_agrees_in_kind():
    many = gymnasium.vector.SyncVectorEnv([lambda: PlatformGym(WORLD) for _ in range(2)])
    ours = PlatformVectorGym(WORLD, 2)
    assert many.single_observation_space == ours.single_observation_space
    assert many.action_space == ours.action_space
    assert many.reset(seed=0)[0].shape == ours.reset(seed=0)[0].shape
    many.close()
