import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest

from antiphon.core.errors import UserError
from antiphon.worlds.platform.observation import (
    BODY_LAYOUT,
    body_observation,
    drift_observation,
    observe,
    wrapped,
)
from antiphon.worlds.platform.state import PlatformState
from antiphon.worlds.platform.tasks import TASKS, Spawn, Target, find_task

POSE = find_task("go-to-pose")


def scene(array=np.asarray):
    rng = np.random.default_rng(0)
    state = PlatformState(*(array(rng.normal(size=s)) for s in ((5, 2), (5,), (5, 2), (5,))))
    return state, Target(*(array(rng.normal(size=s)) for s in ((5, 2), (5,), (5, 2), (5,))))


def test_the_body_observation_by_hand():
    # Facing north with the target 0.3 m east of us: it is 0.3 m to the right.
    state = PlatformState(np.zeros(2), np.array(np.pi / 2), np.array([0.0, 0.1]), np.array(0.2))
    target = Target(np.array([0.3, 0.0]), np.array(np.pi / 2 + 0.1), np.zeros(2), np.array(0.0))
    seen = body_observation(POSE, state, target)
    tanh = np.tanh
    expected = [
        0, -0.1, 0, tanh(-1.5), 0, tanh(-12.0), np.sin(0.1), np.cos(0.1), tanh(2.0),
        -0.1, 0, tanh(-2.0), 0, -0.2, tanh(-2.0), 0, 0, 0, 0,
    ]  # fmt: skip
    np.testing.assert_allclose(seen, expected, atol=1e-8)
    assert len(BODY_LAYOUT) == 19


def test_the_authors_ten_numbers_by_hand():
    state, target = scene()
    c, s, v, w = np.cos(state.heading), np.sin(state.heading), state.velocity, state.angular_velocity
    e, ev, turn = target.position - state.position, target.velocity - v, target.heading - state.heading
    zero = np.zeros(5)
    data = {
        "go-to-xy": [e[:, 0], e[:, 1], zero, zero],
        "go-to-pose": [e[:, 0], e[:, 1], np.cos(turn), np.sin(turn)],
        "track-xy-velocity": [ev[:, 0], ev[:, 1], zero, zero],
        "track-xyo-velocity": [ev[:, 0], ev[:, 1], target.angular_velocity - w, zero],
        "track-velocity-heading": [ev[:, 0], ev[:, 1], np.cos(turn), np.sin(turn)],
    }
    for label, (name, rest) in enumerate(data.items()):
        expected = np.stack([c, s, v[:, 0], v[:, 1], w, zero + label, *rest], -1)
        np.testing.assert_allclose(drift_observation(find_task(name), state, target), expected, atol=1e-8)


@pytest.mark.parametrize("name", ["go-to-pose", "go-through-gate", "track-xyo-velocity"])
def test_the_body_observation_does_not_know_where_north_is(name):
    task, (state, target), turn = find_task(name), scene(), 2.1
    r = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    turned = [
        kind(x.position @ r.T + shift, x.heading + turn, x.velocity @ r.T, x.angular_velocity)
        for kind, x, shift in ((PlatformState, state, [3.0, -1.0]), (Target, target, [3.0, -1.0]))
    ]
    np.testing.assert_allclose(
        body_observation(task, *turned), body_observation(task, state, target), atol=1e-6
    )


def test_numpy_and_jax_see_the_same():
    for task in TASKS:
        ours = body_observation(task, *scene(lambda x: jnp.asarray(x, jnp.float32)))
        np.testing.assert_allclose(ours, body_observation(task, *scene()), atol=2e-5)


def test_the_robot_sees_without_jax():
    code = (
        "import sys\n"
        "from antiphon.worlds.platform import estimator, observation, spatial_observation, state, tasks\n"
        "from antiphon.worlds.platform import PoseFilter, find_task\n"
        "sys.exit('jax' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=120, check=False).returncode == 0


def test_angles_wrap():
    np.testing.assert_allclose(
        wrapped(np.array([3.5, -3.5, 7.0])), np.array([3.5, -3.5, 7.0]) - [2 * np.pi, -2 * np.pi, 2 * np.pi]
    )


def test_what_cannot_be_seen_is_refused():
    with pytest.raises(UserError, match="drift"):
        drift_observation(find_task("dock"), *scene())
    with pytest.raises(UserError, match="body, adaptive, drift"):
        observe("polar", POSE, *scene())


def test_unknown_tasks_offer_the_nearest_names():
    with pytest.raises(UserError, match="did you mean 'go-to-pose'"):
        find_task("goto_pose")
    with pytest.raises(UserError, match="choose one of: go-to-xy"):
        find_task("zzz")


@pytest.mark.parametrize("wrong", [{"distance": (2.0, 1.0)}, {"speed": -1.0}])
def test_spawns_that_cannot_be_are_refused(wrong):
    with pytest.raises(UserError, match="spawn"):
        Spawn(**wrong)
