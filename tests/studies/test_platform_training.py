"""Training a platform policy: what is saved is what was learnt, and a stop keeps it."""

import dataclasses
import os
import signal

import jax
import numpy as np
import pytest

from antiphon.core.errors import UserError
from antiphon.methods.ppo import PPO
from antiphon.studies.platform_training import Budget, policy_of, train_policy
from antiphon.train.run_directory import RunDirectory
from antiphon.worlds.platform.environment import PlatformEnvironment
from antiphon.worlds.platform.policy_file import load_policy
from antiphon.worlds.platform.tasks import find_task

METHOD = PPO(
    world=PlatformEnvironment(task=find_task("go-to-xy")), envs=8, horizon=4, minibatches=2, width=8, epochs=1
)


@pytest.fixture(scope="module")
def trained():
    seen = []
    return train_policy(METHOD, 3, Budget(seconds=None, steps=70), watch=seen.append), seen


def test_steps_are_counted_in_whole_iterations(trained):
    done, seen = trained
    assert done.finished
    assert done.steps == 96
    assert [one.steps for one in seen] == [32, 64, 96]
    np.testing.assert_allclose([one.share for one in seen], [1 / 3, 2 / 3, 1.0])
    assert {"reward", "success", "position_error", "air_use", "learning_rate"} <= set(done.metrics)
    # The last of three iterations, two thirds of the way to a rate of zero.
    np.testing.assert_allclose(done.metrics["learning_rate"], METHOD.learning_rate / 3, rtol=1e-5)


def test_the_file_opens_the_valves_that_the_learner_would(trained, tmp_path):
    learner = jax.jit(METHOD.init)(jax.random.key(0)).learner
    rng = np.random.default_rng(0)
    seen = rng.normal(2.0, 0.3, size=(500, 19)).astype(np.float32)
    learner = learner._replace(observations=learner.observations.including(seen))
    policy = load_policy(policy_of(METHOD, learner, seed=3, steps=96).save(tmp_path / "policy.npz"))
    logits = METHOD.distribution(learner, seen).logits
    np.testing.assert_allclose(policy.logits(seen), logits, atol=1e-5)
    assert (policy.metadata.task, policy.metadata.seed) == ("go-to-xy", 3)
    assert policy.metadata.plant["mass"] == pytest.approx(5.32)
    assert trained[0].policy.metadata.trained_by.endswith("96 control steps")


def test_ctrl_c_gives_the_policy_so_far():
    def press(standing):
        if standing.steps == 64:
            os.kill(os.getpid(), signal.SIGINT)

    done = train_policy(METHOD, 3, Budget(seconds=1e6), watch=press)
    assert not done.finished
    assert done.steps in (64, 96)
    assert len(done.policy.layers) == 3


def test_an_interrupted_training_goes_on_bit_for_bit(trained, tmp_path):
    def press(standing):
        if standing.steps == 32:
            os.kill(os.getpid(), signal.SIGINT)

    run, budget = RunDirectory.create("training", {}, seed=3, root=tmp_path), Budget(seconds=None, steps=70)
    cut = train_policy(METHOD, 3, budget, watch=press, run=run)
    assert (cut.finished, cut.steps) == (False, 32)
    seen = []
    whole = train_policy(METHOD, 3, budget, watch=seen.append, run=run)
    assert [one.steps for one in seen] == [64, 96]
    assert seen[0].seconds > cut.seconds
    for ours, theirs in zip(whole.policy.layers, trained[0].policy.layers, strict=True):
        np.testing.assert_array_equal(ours[0], theirs[0])
        np.testing.assert_array_equal(ours[1], theirs[1])
    again = train_policy(METHOD, 3, budget, run=run)
    assert (again.finished, again.steps) == (True, 96)
    np.testing.assert_array_equal(again.policy.layers[0][0], whole.policy.layers[0][0])


def test_the_clock_ends_a_training_without_steps():
    shares = []
    done = train_policy(METHOD, 3, Budget(seconds=1e-3), watch=lambda one: shares.append(one.share))
    assert done.finished
    assert shares[-1] == 1.0
    assert done.steps == 32 * len(shares)


def test_what_cannot_be_trained_is_said():
    with pytest.raises(UserError, match="never end"):
        Budget(None, None)
    with pytest.raises(UserError, match="training of 0 steps"):
        Budget(steps=0)
    with pytest.raises(UserError, match="no platform"):
        train_policy(dataclasses.replace(METHOD, world=object()), 0, Budget(steps=1))
