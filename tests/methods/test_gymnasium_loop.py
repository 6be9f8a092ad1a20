"""PPO on Gymnasium's vector environments: it learns, and bootstraps episodes that are cut."""

import dataclasses

import jax
import numpy as np
import pytest

gymnasium = pytest.importorskip("gymnasium")

from gymnasium import spaces  # noqa: E402
from gymnasium.vector import AutoresetMode, SyncVectorEnv  # noqa: E402

from antiphon.core.errors import UserError  # noqa: E402
from antiphon.methods.ppo import BernoulliHead, CategoricalHead, NormalHead  # noqa: E402
from antiphon.methods.ppo.gymnasium_loop import act, learn_outside, outside_method  # noqa: E402


class Corridor(gymnasium.Env):
    """Seven places in a row; a step to the right earns nothing until the last one, which ends the episode."""

    observation_space = spaces.Box(-1, 1, (2,), np.float32)
    action_space = spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place, self.time = 0, 0
        return self.seen(), {}

    def seen(self):
        return np.array([self.place / 3 - 1, self.time / 20], np.float32)

    def step(self, action):
        self.place, self.time = max(self.place + (1 if action else -1), 0), self.time + 1
        done = self.place == 6
        return self.seen(), float(done), done, self.time >= 20, {}


class Endless(gymnasium.Env):
    """One a step for ever, cut every five steps."""

    observation_space = spaces.Box(-1, 1, (1,), np.float32)
    action_space = spaces.MultiBinary(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.time = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        assert action.shape == (2,)
        self.time += 1
        return np.zeros(1, np.float32), 1.0, False, self.time >= 5, {}


def many(kind, mode, count=8):
    return SyncVectorEnv([kind] * count, autoreset_mode=mode)


def test_a_corridor_is_learnt():
    env = many(Corridor, AutoresetMode.NEXT_STEP)
    method = dataclasses.replace(outside_method(env), horizon=64, width=16, learning_rate=5e-3, gamma=0.95)
    heard = []
    learner = learn_outside(method, env, iterations=20, key=jax.random.key(0), watch=heard.append)
    assert heard[0].episode_return < 0.5  # a drunkard rarely gets there in time
    assert heard[-1].episode_return > 0.95
    places = np.array([[place / 3 - 1, 0.0] for place in range(6)], np.float32)
    assert act(method, learner, places).all()


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
def test_an_episode_that_is_cut_is_worth_what_would_have_followed(mode):
    env = many(Endless, mode)
    method = dataclasses.replace(
        outside_method(env), horizon=32, width=8, learning_rate=2e-2, gamma=0.8, entropy=0.0
    )
    heard = []
    learner = learn_outside(method, env, iterations=25, key=jax.random.key(0), watch=heard.append)
    value = float(method.value(learner, np.zeros((1, 1), np.float32))[0])
    # 1 / (1 − γ) = 5. Without the bootstrap it would be at most 1 + .8 + … + .8⁴ = 3.4, and 2.3 on average.
    assert value == pytest.approx(5.0, abs=0.25)
    assert all(one.episode_return == 5.0 for one in heard if one.episodes)
    period = 6 if mode is AutoresetMode.NEXT_STEP else 5
    expected = 8 * 25 * 32 / period
    assert abs(sum(one.episodes for one in heard) - expected) <= 8


def test_watching_may_end_it_and_going_on_needs_no_fresh_start():
    env = many(Endless, AutoresetMode.SAME_STEP, 2)
    method = dataclasses.replace(outside_method(env), horizon=4, width=8)
    heard = []

    def watch(progress):
        heard.append(progress)
        return progress.iteration == 2

    learner = learn_outside(method, env, iterations=50, key=jax.random.key(0), watch=watch)
    assert len(heard) == 2
    again = learn_outside(method, env, iterations=1, key=jax.random.key(1), learner=learner)
    assert float(again.values.seen) > float(learner.values.seen)


def test_heads_follow_the_spaces():
    class Other(Corridor):
        action_space = spaces.Box(-1, 1, (3,), np.float32)

    assert isinstance(outside_method(many(Corridor, AutoresetMode.NEXT_STEP)).head, CategoricalHead)
    assert isinstance(outside_method(many(Endless, AutoresetMode.NEXT_STEP)).head, BernoulliHead)
    gaussian = outside_method(many(Other, AutoresetMode.NEXT_STEP))
    assert isinstance(gaussian.head, NormalHead)
    assert (gaussian.world.observation_size, gaussian.world.action_size) == (2, 3)


def test_what_cannot_be_learnt_here_is_said():
    class Odd(Corridor):
        action_space = spaces.Discrete(3, start=1)

    class Picture(Corridor):
        observation_space = spaces.Box(0, 1, (4, 4), np.float32)

    with pytest.raises(UserError, match="no head"):
        outside_method(many(Odd, AutoresetMode.NEXT_STEP))
    with pytest.raises(UserError, match="observations are") as caught:
        outside_method(many(Picture, AutoresetMode.NEXT_STEP))
    assert "FlattenObservation" in caught.value.mend
    with pytest.raises(UserError, match="never begins anew"):
        outside_method(many(Corridor, AutoresetMode.DISABLED))
    method = outside_method(many(Corridor, AutoresetMode.NEXT_STEP))
    with pytest.raises(UserError, match="PPO for 8 environments and 2"):
        learn_outside(method, many(Corridor, AutoresetMode.NEXT_STEP, 2), iterations=1, key=jax.random.key(0))
    with pytest.raises(UserError, match="stepped outside"):
        method.init(jax.random.key(0))
