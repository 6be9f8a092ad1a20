from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from antiphon.core.errors import UserError
from antiphon.worlds.platform.curriculum import Curricula, Curriculum
from antiphon.worlds.platform.disturbances import Disturbances
from antiphon.worlds.platform.environment import PlatformEnvironment, drift_environment
from antiphon.worlds.platform.estimator import PoseFilter
from antiphon.worlds.platform.observation import body_observation, drift_observation
from antiphon.worlds.platform.parameters import planar
from antiphon.worlds.platform.passage import outcome, way_left
from antiphon.worlds.platform.plant import advance
from antiphon.worlds.platform.reward import DriftReward, Errors, Reward, Transition, errors
from antiphon.worlds.platform.sight import interpolated
from antiphon.worlds.platform.spatial_environment import SpatialEnvironment
from antiphon.worlds.platform.state import PlatformState
from antiphon.worlds.platform.tasks import TASKS, Spawn, Target, find_task

N = 6
VALVES = np.array([1, 0, 1, 0, 0, 0, 0, 0], np.float32)


# Not compiled: a dozen worlds of six environments each take longer to compile than to run.
def begin(world, key):
    return world.reset(key, N)


def move(world, env_state, action, key):
    return world.step(env_state, action, key)


def played(world, steps, valves=VALVES, seed=0):
    env_state, observation = begin(world, jax.random.key(seed))
    action = jnp.broadcast_to(jnp.asarray(valves), (N, world.action_size))
    history = []
    for t in range(steps):
        before = env_state
        env_state, step = move(world, env_state, action, jax.random.key(100 + t))
        history.append((before, env_state, step))
    return observation, history


def test_a_step_is_the_plants_and_ends_begin_anew():
    world = PlatformEnvironment(episode_steps=3, stagger=False)
    observation, history = played(world, 4)
    first = history[0][0]
    np.testing.assert_allclose(
        observation, body_observation(world.task, first.state, first.target), atol=1e-6
    )
    for t, (before, after, step) in enumerate(history):
        plain = advance(planar(), before.state, jnp.broadcast_to(VALVES, (N, 8)))
        ended = t == 2
        seen = body_observation(world.task, plain, before.target)
        np.testing.assert_allclose(step.final_observation, seen, atol=2e-6)
        assert bool(step.truncated.all()) == bool(step.truncated.any()) == ended
        assert not step.terminated.any()
        e = errors(plain, before.target)
        np.testing.assert_allclose(step.metrics["position_error"], e.position, atol=1e-6)
        np.testing.assert_allclose(step.metrics["air_use"], 0.25)
        now = body_observation(world.task, after.state, after.target)
        np.testing.assert_allclose(step.observation, now, atol=2e-6)
        if ended:
            assert np.abs(step.observation - step.final_observation).max() > 0.1
            np.testing.assert_array_equal(after.elapsed, 0)
            np.testing.assert_array_equal(after.state.velocity, 0)
        else:
            np.testing.assert_allclose(after.state.position, plain.position, atol=1e-6)
    assert int(history[-1][1].ticks) == 4


def test_getting_lost_ends_an_episode_for_good():
    world = PlatformEnvironment(
        task=replace(find_task("go-to-xy"), bound=1.0),
        spawn=Spawn((1.5, 2.0)),
        stagger=False,
        episode_steps=1,
    )
    _, ((_, after, step),) = played(world, 1)
    # Time was up as well: an end without a future is not called a cut.
    assert step.terminated.all()
    assert not step.truncated.any()
    np.testing.assert_array_equal(step.metrics["failed"], 1)
    assert float(jnp.abs(after.state.velocity).max()) == 0


def test_episodes_begin_as_asked_and_ends_are_spread():
    world = PlatformEnvironment(spawn=Spawn((1.0, 2.0), speed=0.5, angular_speed=0.3), episode_steps=100)
    env_state, _ = jax.jit(world.reset, static_argnums=1)(jax.random.key(1), 3000)
    away = np.linalg.norm(env_state.state.position, axis=1)
    assert 1.0 <= away.min() < 1.01 < 1.99 < away.max() <= 2.0
    speed = np.linalg.norm(env_state.state.velocity, axis=1)
    assert 0.49 < speed.max() <= 0.5
    assert 0.29 < np.abs(env_state.state.angular_velocity).max() <= 0.3
    for heading in (env_state.state.heading, env_state.target.heading):
        assert np.histogram(heading, 6, (-np.pi, np.pi))[0].min() > 400
    assert np.histogram(env_state.elapsed, 10, (0, 100))[0].min() > 230


def test_the_same_key_gives_the_same_bits():
    world = PlatformEnvironment(
        disturbances=Disturbances(action_noise=0.05, position_noise=0.01), episode_steps=4
    )
    for a, b in zip(jax.tree.leaves(played(world, 3)), jax.tree.leaves(played(world, 3)), strict=True):
        np.testing.assert_array_equal(a, b)


def test_late_valves_and_late_eyes():
    world = PlatformEnvironment(
        disturbances=Disturbances(valve_delay=0.05, latency=0.1, least=1.0), auto_reset=False, stagger=False
    )
    _, history = played(world, 2)
    wide = jnp.broadcast_to(VALVES, (N, 8))
    begun, _, step = history[0]
    late = advance(planar(), advance(planar(), begun.state, 0 * wide, dt=0.05), wide, dt=0.15)
    np.testing.assert_allclose(history[1][0].state.position, late.position, atol=1e-6)
    seen = body_observation(world.task, interpolated(begun.state, late, 0.5), begun.target)
    np.testing.assert_allclose(step.final_observation, seen, atol=2e-5)
    # The pattern of the step before was the same: no delay is felt any more.
    after = advance(planar(), late, wide)
    np.testing.assert_allclose(history[1][1].state.position, after.position, atol=1e-6)


def test_action_noise_pushes_also_through_shut_valves():
    world = PlatformEnvironment(disturbances=Disturbances(action_noise=0.05), auto_reset=False)
    _, ((_, after, _),) = played(world, 1, np.zeros(8))
    turned = np.abs(after.state.angular_velocity)
    assert turned.max() > 0
    # Eight nozzles of 0.05 N at 0.31 m for 0.2 s.
    assert turned.max() < 8 * 0.05 * 0.31 / 0.2045 * 0.2


def test_with_a_filter_the_policy_sees_what_the_filter_believes():
    world = PlatformEnvironment(
        estimator=PoseFilter(), disturbances=Disturbances(position_noise=0.002), auto_reset=False
    )
    _, history = played(world, 3)
    _, after, step = history[-1]
    seen = body_observation(world.task, after.belief.state(), after.target)
    np.testing.assert_allclose(step.observation, seen, atol=1e-6)
    off = np.abs(after.belief.pose[:, :2] - after.state.position)
    assert 0 < off.max() < 0.003
    assert np.abs(after.belief.rate[:, :2] - after.state.velocity).max() < 0.03


def test_disturbances_grow_with_their_curriculum():
    world = PlatformEnvironment(
        disturbances=Disturbances(floor=0.4, least=1.0),
        curricula=Curricula(disturbances=Curriculum(0, 4, "linear"), spawn=Curriculum(0, 4, "linear")),
        episode_steps=1,
        stagger=False,
    )
    _, history = played(world, 4)
    sizes = [np.linalg.norm(after.weather.force, axis=1).mean() for _, after, _ in history]
    np.testing.assert_allclose(sizes, [0.1, 0.2, 0.3, 0.4], rtol=1e-5)


def transition(passed=False, failed=False, cone=0.0, e=(0.1, 0.2, 0.3, 0.4), was=(0.2, 0.2, 0.3, 0.4)):
    return Transition(
        before=Errors(*(jnp.array([x]) for x in was)), after=Errors(*(jnp.array([x]) for x in e)),
        angular_velocity=jnp.array([0.5]), valves=jnp.array([[1.0, 1, 0, 0, 0, 0, 0, 0]]),
        previous_valves=jnp.zeros((1, 8)), passed=jnp.array([passed]), failed=jnp.array([failed]),
        cone=jnp.array([cone]),
    )  # fmt: skip


def test_rewards_by_hand():
    def three(e, far, near, fine):
        return 0.2 * np.exp(-e / far) + 0.4 * np.exp(-e / near) + 0.4 * np.exp(-e / fine)

    reward, drift = Reward(energy=0.2, switching=0.1, spin=0.3), DriftReward(energy=0.01, spin=0.1)
    here, facing = three(0.1, 2, 0.25, 0.03), three(0.2, 1, 0.25, 0.05)
    costs = 0.2 * 0.25 + 0.1 * 0.25
    expected = {
        "go-to-xy": here - costs - 0.3 * 0.5,
        "go-to-pose": here + facing - costs,
        "track-xyo-velocity": three(0.3, 1, 0.25, 0.03) + 0.6 * three(0.4, 1, 0.25, 0.05) - costs,
        "go-through-position": 0.5 - 0.6 - costs - 0.3 * 0.5,
        "dock": here + facing - costs,
    }
    for name, value in expected.items():
        np.testing.assert_allclose(reward(find_task(name), transition()), [value], rtol=1e-5)
    np.testing.assert_allclose(
        reward(find_task("go-to-pose"), transition(), 0.5), [here + facing - costs / 2], rtol=1e-5
    )
    gate, dock = find_task("go-through-gate"), find_task("dock")
    shorter = transition()._replace(closer=jnp.array([0.06]))
    np.testing.assert_allclose(reward(gate, shorter), [0.3 - 0.6 - costs - 0.3 * 0.5], rtol=1e-5)
    whirling = transition()._replace(angular_velocity=jnp.array([12.0]))
    whirl = reward(find_task("go-through-pose"), whirling) - reward(
        find_task("go-through-pose"), transition()
    )
    np.testing.assert_allclose(whirl, [-0.3 * 9.5], rtol=1e-5)
    gained = reward(gate, transition(passed=True)) - reward(gate, transition())
    np.testing.assert_allclose(gained, 10.0, rtol=1e-5)
    lost = reward(dock, transition()) - reward(dock, transition(failed=True, cone=0.3))
    np.testing.assert_allclose(lost, 20.3, rtol=1e-5)
    theirs = np.exp(-0.4) + np.exp(-0.8) - 0.01 * 2 - 0.1 * 0.5
    np.testing.assert_allclose(drift(find_task("go-to-pose"), transition()), [theirs], rtol=1e-5)
    turning = np.exp(-1.2) + 1 / 1.4 - 0.02 - 0.05
    np.testing.assert_allclose(drift(find_task("track-xyo-velocity"), transition()), [turning], rtol=1e-5)


def test_the_way_to_a_gate_leads_round_its_posts():
    target = Target(*(jnp.zeros((6, *tail)) for tail in ((2,), (), (2,), ())))
    # A gate that is crossed towards +x: before it, beside its mouth, behind it, behind a post, beside it.
    places = jnp.array([[-2.0, 0.0], [-0.1, 0.8], [0.5, 0.0], [0.3, -1.5], [0.001, 1.0], [-0.001, 1.0]])
    state = PlatformState(places, jnp.zeros(6), jnp.zeros((6, 2)), jnp.zeros(6))
    bend = np.hypot(0.6, 1.0) + 0.6
    expected = [
        2.0,
        np.hypot(0.5, 0.8) + 0.6,
        np.hypot(0.5, 1.0) + bend,
        np.hypot(0.9, 1.5) + 0.6,
        bend,
        bend,
    ]
    np.testing.assert_allclose(way_left(find_task("go-through-gate"), state, target), expected, atol=2e-3)
    straight = way_left(find_task("go-through-position"), state, target)
    np.testing.assert_allclose(straight, jnp.linalg.norm(places, axis=1), rtol=1e-5)


@pytest.mark.parametrize(
    ("task", "before", "after", "passed", "hit"),
    [
        ("go-through-position", (-0.3, 0.05), (0.3, 0.05), True, False),
        ("go-through-position", (-0.3, 0.2), (0.3, 0.2), False, False),
        ("go-through-position", (0.3, 0.05), (0.5, 0.05), False, False),
        ("go-through-pose", (-0.3, 0.05), (0.3, 0.05), False, False),  # the heading is off
        ("go-through-gate", (-0.1, 0.1), (0.1, 0.1), True, False),
        ("go-through-gate", (0.1, 0.1), (-0.1, 0.1), False, False),  # the wrong way
        ("go-through-gate", (-0.1, 0.3), (0.1, 0.3), False, True),  # on the post
        ("go-through-gate", (-0.1, 0.9), (0.1, 0.9), False, False),  # past the gate
        ("go-through-gate", (-0.2, 0.1), (-0.1, 0.1), False, False),
        ("dock", (-0.5, 0.0), (-0.4, 0.1), False, False),
        ("dock", (-0.5, 0.0), (-0.3, 0.3), False, True),  # outside the cone
        ("dock", (-0.1, 0.0), (0.1, 0.0), False, True),  # through the dock
        ("dock", (-0.9, 0.9), (-0.7, 0.7), False, False),  # outside, but far
    ],
)
def test_passages_by_hand(task, before, after, passed, hit):
    def at(x):
        return PlatformState(jnp.array([x]), jnp.array([1.0]), jnp.zeros((1, 2)), jnp.zeros(1))

    target = Target(jnp.zeros((1, 2)), jnp.zeros(1), jnp.zeros((1, 2)), jnp.zeros(1))
    found = outcome(find_task(task), at(before), at(after), target)
    assert (bool(found.passed[0]), bool(found.hit[0])) == (passed, hit)


def test_the_authors_preset():
    world = drift_environment("go-to-pose", energy=0.05)
    observation, _ = played(world, 1)
    assert observation.shape == (N, 10)
    env_state, observation = begin(world, jax.random.key(0))
    expected = drift_observation(world.task, env_state.state, env_state.target)
    np.testing.assert_allclose(observation, expected, atol=1e-6)
    assert world.reward.energy == 0.05
    with pytest.raises(UserError, match="drift"):
        drift_environment("dock")
    with pytest.raises(UserError, match="empty"):
        PlatformEnvironment(episode_steps=0)


@pytest.mark.parametrize("task", [task for task in TASKS if task.name not in ("go-to-pose", "go-to-xy")])
def test_every_task_runs(task):
    world = PlatformEnvironment(task=task, episode_steps=2)
    observation, ((_, _, step),) = played(world, 1)
    assert observation.shape == step.observation.shape == (N, 19)
    assert bool(jnp.isfinite(step.reward).all())
    assert set(step.metrics) >= {"position_error", "heading_error", "velocity_error", "air_use", "success"}


def test_six_degrees_of_freedom():
    world = SpatialEnvironment(
        disturbances=Disturbances(floor=0.2, heading_noise=0.01, failures=2, mass=0.2, com=0.02),
        episode_steps=2,
        stagger=False,
    )
    observation, history = played(world, 2, np.ones(16))
    assert observation.shape == (N, 30)
    (begun, after, first), (_, fresh, second) = history
    assert not first.truncated.any()
    assert second.truncated.all()
    np.testing.assert_array_equal(begun.physics["mask"].sum(1), 14)
    np.testing.assert_allclose(np.linalg.norm(after.state.orientation, axis=1), 1.0, atol=1e-6)
    np.testing.assert_array_equal(fresh.state.velocity, 0.0)
    np.testing.assert_array_equal(fresh.elapsed, 0)
    assert np.abs(fresh.physics["mask"] - begun.physics["mask"]).max() == 1
    with pytest.raises(UserError, match="latency"):
        SpatialEnvironment(disturbances=Disturbances(latency=0.1))
