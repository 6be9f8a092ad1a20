"""PPO's pieces against NumPy loops; seeds by vmap and interrupted runs against plain ones."""

import functools
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from antiphon.core.errors import UserError
from antiphon.methods.ppo import PPO, BernoulliHead, CategoricalHead, NormalHead, folded_layers
from antiphon.methods.ppo.actor_critic import forward
from antiphon.methods.ppo.estimates import estimates
from antiphon.methods.ppo.moments import Moments
from antiphon.train.fit import fit
from antiphon.train.run_directory import RunDirectory

GOAL, LIMIT, OBSERVATIONS = 3, 4, 4


class ChainStep(NamedTuple):
    observation: jax.Array
    final_observation: jax.Array
    reward: jax.Array
    terminated: jax.Array
    truncated: jax.Array
    metrics: dict[str, jax.Array]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Chain:
    """Places 0 to 3 on a line; 3 pays and terminates, and the fourth step truncates. Starts at 0 or 1."""

    pay: float = 1.0

    @property
    def observation_size(self):
        return OBSERVATIONS

    @property
    def action_size(self):
        return 2

    def show(self, place):
        return jax.nn.one_hot(place, OBSERVATIONS)

    def reset(self, key, envs):
        place = jax.random.randint(key, (envs,), 0, 2)
        return (place, jnp.zeros(envs, jnp.int32)), self.show(place)

    def step(self, state, action, key):
        place, age = state
        place, age = jnp.maximum(place + 2 * action - 1, 0), age + 1
        terminated = place == GOAL
        truncated = (age == LIMIT) & ~terminated
        over = terminated | truncated
        (fresh, _), _ = self.reset(key, place.shape[0])
        after = (jnp.where(over, fresh, place), jnp.where(over, 0, age))
        reward = self.pay * terminated - 0.1
        step = ChainStep(
            self.show(after[0]), self.show(place), reward, terminated, truncated, {"place": 1.0 * place}
        )
        return after, step


def small(**changes):
    settings = {
        "head": CategoricalHead(),
        "envs": 6,
        "horizon": 7,
        "minibatches": 2,
        "width": 8,
        "gamma": 0.9,
    }
    return PPO(world=Chain(), **(settings | changes))


@pytest.fixture(scope="module")
def collected():
    """A learner that has learnt a little, what it collects next, and the learner as it was."""
    method = small()

    @jax.jit
    def run(key):
        keys = jax.random.split(key, 4)
        state = method.init(keys[0])
        for key in keys[1:3]:
            state, _ = method.step(state, None, key)
        return state, *method.collect(state, keys[3])

    return method, *run(jax.random.key(3))


def test_the_segment_is_what_the_world_did(collected):
    """Replayed by hand: rewards, endings, and values of what was seen before any reset."""
    method, before, after, segment, metrics = collected
    place, age = (np.array(part) for part in before.world)
    ends = {"terminated": 0, "truncated": 0}
    for t in range(method.horizon):
        np.testing.assert_array_equal(segment.observation[t], np.eye(4)[place])
        landed = np.maximum(place + 2 * np.asarray(segment.action[t]) - 1, 0)
        terminated = landed == GOAL
        truncated = (age + 1 == LIMIT) & ~terminated
        np.testing.assert_allclose(segment.reward[t], terminated - 0.1, rtol=1e-6)
        np.testing.assert_allclose(segment.discount[t], 0.9 * ~terminated, rtol=1e-6)
        np.testing.assert_array_equal(segment.cut[t], terminated | truncated)
        np.testing.assert_allclose(
            segment.value[t], method.value(before.learner, jnp.eye(4)[place]), rtol=1e-5
        )
        # The place where the episode was cut, not the one where the next begins.
        np.testing.assert_allclose(
            segment.next_value[t], method.value(before.learner, jnp.eye(4)[landed]), rtol=1e-5
        )
        probs = jax.nn.softmax(method.distribution(before.learner, segment.observation[t]).logits)
        chosen = np.take_along_axis(np.asarray(probs), np.asarray(segment.action[t])[:, None], 1)[:, 0]
        np.testing.assert_allclose(np.exp(segment.log_prob[t]), chosen, rtol=1e-5)
        over = terminated | truncated
        ends["terminated"] += terminated.sum()
        ends["truncated"] += truncated.sum()
        following = segment.observation[t + 1] if t + 1 < method.horizon else after.observation
        place, age = np.where(over, np.argmax(following, -1), landed), np.where(over, 0, age + 1)
    assert min(ends.values()) > 0
    np.testing.assert_array_equal(after.world[0], place)
    np.testing.assert_allclose(metrics["terminated"], ends["terminated"] / segment.reward.size, rtol=1e-6)


def test_advantages_bootstrap_where_an_episode_was_cut_and_not_where_it_ended(collected):
    method, before, _, segment, _ = collected
    learner = before.learner
    data, noted = estimates(learner, segment, method.lambda_)
    reward, value, following = (
        np.asarray(x, float) for x in (segment.reward, segment.value, segment.next_value)
    )
    advantage = np.zeros_like(reward)
    for n in range(method.envs):
        running = 0.0
        for t in reversed(range(method.horizon)):
            future = 0.0 if segment.discount[t, n] == 0 else 0.9
            if segment.cut[t, n]:
                running = 0.0
            running = reward[t, n] + future * following[t, n] - value[t, n] + future * 0.95 * running
            advantage[t, n] = running
    target = advantage + value
    np.testing.assert_allclose(data.advantage, (advantage - advantage.mean()) / advantage.std(), atol=1e-4)
    np.testing.assert_allclose(noted.values.restore(data.target), target, atol=1e-5)
    assert noted.values.seen == learner.values.seen + target.size


def test_the_critic_keeps_its_answers_when_its_units_change(collected):
    method, before, _, segment, _ = collected
    data, noted = estimates(before.learner, segment, method.lambda_)
    assert abs(noted.values.deviation - before.learner.values.deviation) > 1e-4
    again = noted.values.restore(forward(noted.params.critic, data.observation)[..., 0])
    np.testing.assert_allclose(again, segment.value, atol=1e-5)


def test_the_first_gradient_is_that_of_the_plain_policy_gradient(collected):
    """At ratio 1 the surrogate's gradient is −mean(A ∇ log π); nothing is clipped and the KL is 0."""
    method, before, _, segment, _ = collected
    data, noted = estimates(before.learner, segment, method.lambda_)

    def plain(params):
        outputs = forward(params.actor, data.observation)
        log_probs = jax.nn.log_softmax(outputs)
        chosen = jnp.take_along_axis(log_probs, data.action[..., None], -1)[..., 0]
        value = forward(params.critic, data.observation)[..., 0]
        entropy = -jnp.sum(jnp.exp(log_probs) * log_probs, -1)
        return jnp.mean(-chosen * data.advantage + 0.5 * (value - data.target) ** 2 - 0.01 * entropy)

    gradient, metrics = jax.grad(method._loss, has_aux=True)(noted.params, data, jnp.asarray(0.01))
    jax.tree.map(
        lambda x, y: np.testing.assert_allclose(x, y, atol=2e-6), gradient, jax.grad(plain)(noted.params)
    )
    assert metrics["kl"] < 1e-9
    assert metrics["clipped"] == 0


def test_moments_are_those_of_everything_seen():
    rng = np.random.default_rng(0)
    parts = [rng.normal(3.0, size=(size, 2, 5)).astype(np.float32) for size in (4, 1, 9)]
    masks = [rng.integers(0, 2, part.shape[:2]) for part in parts]
    moments = Moments.init((5,))
    for part, mask in zip(parts, masks, strict=True):
        moments = moments.including(part, mask)
    seen = np.concatenate([part[mask > 0] for part, mask in zip(parts, masks, strict=True)])
    np.testing.assert_allclose(moments.mean, seen.mean(0), rtol=1e-5)
    np.testing.assert_allclose(moments.variance, seen.var(0), rtol=1e-4)
    assert moments.seen == len(seen)
    nothing = moments.including(parts[0], np.zeros((4, 2)))
    jax.tree.map(np.testing.assert_array_equal, nothing, moments)
    x = parts[0]
    np.testing.assert_allclose(moments.restore(moments.normalise(x)), x, rtol=1e-5)


@pytest.mark.parametrize("head", [BernoulliHead(), NormalHead()])
def test_folded_layers_are_the_policy_on_raw_observations(head):
    method = small(head=head)
    learner = method.init_learner(jax.random.key(0))
    rng = np.random.default_rng(1)
    seen = rng.normal(size=(64, 4)) * [0.1, 1, 5, 1] + [1, 0, -3, 0]
    learner = learner._replace(observations=learner.observations.including(jnp.asarray(seen, jnp.float32)))
    hidden = seen
    layers = [(np.asarray(w, float), np.asarray(b, float)) for w, b in folded_layers(
        learner.params.actor, learner.observations
    )]  # fmt: skip
    for weight, bias in layers[:-1]:
        hidden = np.tanh(hidden @ weight + bias)
    outputs = hidden @ layers[-1][0] + layers[-1][1]
    policy = method.distribution(learner, jnp.asarray(seen, jnp.float32))
    expected = policy.logits if isinstance(head, BernoulliHead) else policy.mode()
    np.testing.assert_allclose(outputs, expected, atol=1e-5)


def test_the_learning_rate_follows_the_kl_target():
    method = small(kl_target=0.01)
    learner = method.init_learner(jax.random.key(0))
    rates = [float(method._adapted(learner, jnp.asarray(kl))) for kl in (0.001, 0.01, 0.03)]
    assert rates[0] > rates[1] == 1.0 > rates[2]
    assert small()._adapted(learner, jnp.asarray(0.03)) == 1.0


def test_seeds_by_vmap_are_single_seeds(collected):
    method = collected[0]

    def train(key):
        state = method.init(key)
        state, _ = method.step(state, jnp.asarray(0.0), jax.random.fold_in(key, 1))
        return method.step(state, jnp.asarray(0.5), jax.random.fold_in(key, 2))

    keys = jax.random.split(jax.random.key(7), 2)
    together, one = jax.jit(jax.vmap(train))(keys), jax.jit(train)
    alone = jax.tree.map(lambda *leaves: jnp.stack(leaves), *[one(key) for key in keys])
    assert_close = functools.partial(np.testing.assert_allclose, rtol=2e-3, atol=2e-5)
    jax.tree.map(assert_close, together, alone)


def test_an_interrupted_run_goes_on_bit_for_bit(tmp_path):
    method, key = small(), jax.random.key(5)
    settings = {"key": key, "chunk": 2, "batches": lambda i: np.float32(i / 6), "progress": "quiet"}
    start = method.init(jax.random.key(1))
    whole = fit(method.step, start, steps=6, **settings)
    run = RunDirectory.create("ppo", {}, seed=5, size="smoke", root=tmp_path)
    fit(method.step, start, steps=3, run=run, **settings)
    resumed = fit(method.step, start, steps=6, run=RunDirectory.open(run.path), **settings)
    jax.tree.map(np.testing.assert_array_equal, resumed, whole)
    moved = jax.tree.map(lambda x, y: bool(jnp.any(x != y)), resumed.learner.params, start.learner.params)
    assert moved.actor.enter.weight


def test_what_cannot_work_is_said():
    with pytest.raises(UserError, match="6 environments do not divide into 4"):
        small(minibatches=4)
    with pytest.raises(UserError, match="horizon=0"):
        small(horizon=0)
    with pytest.raises(UserError, match=r"gamma=1\.5"):
        small(gamma=1.5)
