"""PPO finds optima that are known, and values that only a right treatment of endings gives."""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from antiphon.methods.ppo import PPO, BernoulliHead, NormalHead


class Answer(NamedTuple):
    observation: jax.Array
    final_observation: jax.Array
    reward: jax.Array
    terminated: jax.Array
    truncated: jax.Array
    metrics: dict[str, jax.Array]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Copying:
    """Two random signs are shown, and each coin or number that repeats its sign pays; episodes of four steps.

    The observation also tells the step of the episode, of a clock that goes round. `ends`: 1, the fourth step
    terminates; 0, it truncates.
    """

    ends: float = 0.0

    @property
    def observation_size(self):
        return 3

    @property
    def action_size(self):
        return 2

    def show(self, key, age):
        signs = jax.random.rademacher(key, (age.shape[0], 2)).astype(jnp.float32)
        return signs, jnp.concatenate([signs, age[:, None] / 4], -1)

    def reset(self, key, envs):
        age = jnp.arange(envs) % 4
        signs, observation = self.show(key, age)
        return (signs, age), observation

    def step(self, state, action, key):
        signs, age = state
        reward = 1.0 - jnp.mean((action - (signs + 1) / 2) ** 2, -1)
        over, age = age == 3, (age + 1) % 4
        following, observation = self.show(key, age)
        terminated = over & (self.ends > 0)
        return (following, age), Answer(observation, observation, reward, terminated, over & ~terminated, {})


def train(method, key, iterations=60):
    def step(state, given):
        index, key = given
        return method.step(state, index / iterations, key)

    keys = jax.random.split(key, iterations)
    return jax.lax.scan(step, method.init(key), (jnp.arange(iterations), keys))


@pytest.fixture(scope="module")
def by_ending():
    """Trained with coins, where episodes are cut (0) and where they end (1)."""
    method = PPO(
        world=Copying(jnp.arange(2.0)), head=BernoulliHead(), envs=64, horizon=16, minibatches=4, epochs=4,
        gamma=0.8, learning_rate=1e-2, width=16,
    )  # fmt: skip
    axes = jax.tree.map(lambda _: None, method)
    axes = PPO(**{**vars(axes), "world": Copying(0)})
    return method, jax.jit(jax.vmap(train, (axes, None)))(method, jax.random.key(0))


def test_coins_are_learnt_to_the_optimum(by_ending):
    _, (_, metrics) = by_ending
    assert metrics["reward"].shape == (2, 60)
    np.testing.assert_allclose(metrics["reward"][:, 0], 0.5, atol=0.05)
    assert (metrics["reward"][:, -5:] > 0.98).all()


def test_values_know_what_was_cut_and_what_ended(by_ending):
    """One a step for ever is worth 1/(1 − γ) = 5 at any age; with an end, the geometric sum of the rest."""
    method, (state, _) = by_ending
    shown = jnp.array([[1.0, -1.0, age / 4] for age in range(4)])
    cut, ended = jax.vmap(method.value, (0, None))(state.learner, shown)
    np.testing.assert_allclose(cut, 5.0, rtol=0.1)
    np.testing.assert_allclose(ended, [sum(0.8**t for t in range(4 - age)) for age in range(4)], rtol=0.1)


def test_continuous_actions_are_learnt_too():
    method = PPO(
        world=Copying(), head=NormalHead(), envs=64, horizon=16, minibatches=4, epochs=4, gamma=0.8,
        learning_rate=1e-2, width=16, entropy=0.0, kl_target=0.02,
    )  # fmt: skip
    state, metrics = jax.jit(train)(method, jax.random.key(1))
    shown = jnp.array([[a, b, 0.5] for a in (-1.0, 1.0) for b in (-1.0, 1.0)])
    np.testing.assert_allclose(
        method.distribution(state.learner, shown).mode(), (shown[:, :2] + 1) / 2, atol=0.1
    )
    assert metrics["reward"][-1] > 0.95 > metrics["reward"][0]
