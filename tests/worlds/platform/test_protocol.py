"""The protocol: figures of hand-made flights, what a pilot is shown, a policy that flies as in training."""

import dataclasses
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from antiphon.core.errors import UserError
from antiphon.worlds.platform.disturbances import find_disturbances
from antiphon.worlds.platform.environment import PlatformEnvironment
from antiphon.worlds.platform.parameters import planar
from antiphon.worlds.platform.policy_file import PlatformPolicy, PolicyMetadata
from antiphon.worlds.platform.protocol import (
    Motions,
    PolicyPilot,
    Protocol,
    find_protocol,
    first_ends,
    fly,
    judge,
    pilot_of,
    stays,
)
from antiphon.worlds.platform.robot import policy_decision
from antiphon.worlds.platform.state import PlatformState
from antiphon.worlds.platform.tasks import Target, find_task

SHORT = Protocol(envs=4, steps=6)


def hand_made(steps=4, envs=2, **fields):
    zeros = dict.fromkeys(Motions._fields, np.zeros((steps, envs), np.float32))
    return Motions(**zeros | {name: np.asarray(value) for name, value in fields.items()})


# Figures.


def test_fractions_of_time_count_every_step_of_every_episode():
    metres = [[3.0, 0.04], [0.049, 0.015], [0.019, 0.009], [0.011, 0.001]]
    degrees = [[90.0, 4.9], [4.0, 1.5], [1.9, 0.9], [0.5, 0.1]]
    motions = hand_made(
        position_error=metres, heading_error=np.radians(degrees), air_use=[[1.0, 0.5]] * 4,
        angular_speed=[[0.2, 0.0]] * 4,
    )  # fmt: skip
    found = {name: one.estimate for name, one in judge(find_task("go-to-pose"), motions).items()}
    assert found == pytest.approx(
        {"PT5": 7 / 8, "PT2": 5 / 8, "PT1": 2 / 8, "OT5": 7 / 8, "OT2": 5 / 8, "OT1": 3 / 8, "air_use": 0.75,
         "angular_speed": 0.1, "ever_2cm": 1.0, "ever_1cm": 0.5, "stay": 1.0}
    )  # fmt: skip


def test_intervals_are_over_episodes_not_over_steps():
    # Half of the episodes are always there, half never: what is uncertain is the half, by about 2·√(¼/16).
    near = np.where(np.arange(16) < 8, 0.0, 1.0) * np.ones((500, 1))
    interval = judge(find_task("go-to-xy"), hand_made(500, 16, position_error=near))["PT5"]
    assert interval.estimate == 0.5
    assert interval.n == 16
    assert 0.2 < interval.low < 0.35
    assert 0.65 < interval.high < 0.8
    ever = judge(find_task("go-to-xy"), hand_made(3, 16))["ever_1cm"]
    assert ever.estimate == ever.high == 1.0
    assert ever.low == pytest.approx(0.025 ** (1 / 16))  # 16 of 16 do not prove "always"


def test_who_has_arrived_must_not_roam():
    distance = np.array([[3.0, 3.0, 0.01], [0.01, 0.05, 1.0], [0.14, 0.05, 0.01]])
    np.testing.assert_array_equal(stays(distance, 0.02, 0.15), [True, False, False])


def test_only_the_first_end_of_an_episode_counts():
    ended = np.array([[0, 0, 0], [1, 1, 0], [1, 0, 0]], bool)
    motions = hand_made(3, 3, ended=ended, success=np.array([[0, 0, 0], [1, 0, 0], [0, 0, 1.0]]))
    passed, failed, seconds = first_ends(motions)
    np.testing.assert_array_equal(passed, [True, False, False])
    np.testing.assert_array_equal(failed, [False, True, False])
    assert seconds[0] == pytest.approx(0.4)
    found = judge(find_task("go-through-gate"), motions)
    assert found["passed"].estimate == found["failed"].estimate == pytest.approx(1 / 3)
    assert found["seconds"].estimate == pytest.approx(0.4)
    assert "PT5" not in found


def test_velocity_tasks_are_judged_once_they_have_settled():
    found = judge(
        find_task("track-xyo-velocity"),
        hand_made(velocity_error=[[0.5, 0.5], [0.16, 0.14], [0.02, 0.04], [0.02, 0.04]]),
    )
    assert found["velocity_error"].estimate == pytest.approx(0.03)
    assert found["VT"].estimate == pytest.approx(5 / 8)
    assert found["angular_velocity_error"].estimate == 0.0
    assert not {"PT5", "OT5", "ever_1cm"} & set(found)


# Flights.


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Jumpy:
    """Opens what works in the first period, and then whenever it sees itself move."""

    pushes: bool = dataclasses.field(default=True, metadata={"static": True})

    def start(self, params, envs):
        return jnp.full(envs, self.pushes)

    def act(self, params, memory, state, target):
        moves = jnp.linalg.norm(state.velocity, axis=-1) > 1e-4
        # Two neighbours that push alike, so that something moves.
        pair = jnp.array([1, 0, 0, 1, 0, 0, 0, 0], bool) & (params.mask > 0)
        return (memory | moves)[:, None] & pair, jnp.zeros_like(memory)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Open:
    """Opens all valves that it believes to work."""

    def start(self, params, envs):
        return jnp.zeros((envs, 8))

    def act(self, params, memory, state, target):
        return jnp.broadcast_to(params.mask > 0, memory.shape), memory


def flights(pilot, disturbance="nominal", task="go-to-pose", **options):
    world = PlatformEnvironment(task=find_task(task), disturbances=find_disturbances(disturbance))
    return fly(world, pilot, SHORT, **options)


def test_episodes_begin_at_rest_three_to_four_metres_away():
    found = flights(Jumpy(pushes=False))
    assert found.position_error.shape == (6, 4)
    assert ((found.position_error >= 3.0) & (found.position_error <= 4.0)).all()
    np.testing.assert_array_equal(found.velocity_error, 0.0)
    np.testing.assert_array_equal(found.air_use, 0.0)


def test_what_is_seen_may_be_late():
    now, late = flights(Jumpy()), flights(Jumpy(), "latency")
    np.testing.assert_array_equal(now.air_use[:3] > 0, [[True] * 4] * 3)
    np.testing.assert_array_equal(late.air_use[:3] > 0, [[True] * 4, [False] * 4, [True] * 4])


def test_what_is_seen_may_be_noisy():
    found = flights(Jumpy(pushes=False), "velocity-noise")
    assert (found.air_use > 0).mean() > 0.9


def test_a_dead_valve_is_known_only_if_told():
    np.testing.assert_array_equal(flights(Open(), "failure-1").air_use, 1.0)
    np.testing.assert_array_equal(flights(Open(), "failure-1", told=True).air_use, 7 / 8)


def policy_for(task="go-to-pose", seed=0, **metadata):
    rng = np.random.default_rng(seed)
    layers = tuple(
        (rng.normal(size=(rows, columns)).astype(np.float32), np.zeros(columns, np.float32))
        for rows, columns in ((19, 8), (8, 8))
    )
    return PlatformPolicy(layers, PolicyMetadata(task, **metadata))


@pytest.mark.parametrize("disturbance", ["nominal", "floor-0.25+latency"])
def test_a_policy_flies_as_in_the_environment_it_was_trained_in(disturbance):
    world = PlatformEnvironment(disturbances=find_disturbances(disturbance))
    policy = policy_for()
    found = fly(world, pilot_of(policy, world), SHORT)
    # The same episodes by the environment's own observations, which the protocol does not use.
    key_reset, _, key_steps = jax.random.split(jax.random.key(SHORT.seed), 3)
    spawn = dataclasses.replace(world.task.spawn, distance=(3.0, 4.0))
    world = dataclasses.replace(world, spawn=spawn, stagger=False, auto_reset=False)
    env_state, observation = world.reset(key_reset, SHORT.envs)
    step = jax.jit(world.step)
    for t, key in enumerate(jax.random.split(key_steps, SHORT.steps)):
        env_state, result = step(env_state, policy(observation), jax.random.split(key)[0])
        observation = result.observation
        np.testing.assert_allclose(found.position_error[t], result.metrics["position_error"], rtol=1e-5)
        np.testing.assert_array_equal(found.air_use[t], result.metrics["air_use"])


def test_a_policy_decides_as_on_the_robot():
    policy = policy_for(valve_map=(2, 0, 1, 4, 3, 5, 7, 6))
    rng = np.random.default_rng(1)
    state = PlatformState(*(rng.normal(size=(20, *tail)).astype(np.float32) for tail in ((2,), (), (2,), ())))
    target = Target(*(np.zeros_like(part) for part in state))
    ours, _ = PolicyPilot.of(policy, find_task("go-to-pose")).act(planar(), None, state, target)
    decide = policy_decision(policy)
    for row in range(20):
        one, goal = PlatformState(*(p[row] for p in state)), Target(*(p[row] for p in target))
        np.testing.assert_array_equal(np.asarray(ours)[row], decide(one, goal))


def test_what_cannot_be_flown_is_said():
    world = PlatformEnvironment()
    short = PlatformPolicy(
        ((np.zeros((12, 8), np.float32), np.zeros(8, np.float32)),), PolicyMetadata("go-to-pose")
    )
    with pytest.raises(UserError, match="reads 12 numbers"):
        pilot_of(short, world)
    other = policy_for(plant={"nozzle_position": [[0.1, 0.1]] * 8})
    with pytest.raises(UserError, match="another valve layout"):
        pilot_of(other, world)
    with pytest.raises(UserError, match="did you mean 'authors'"):
        find_protocol("autors")
    with pytest.raises(UserError, match="0 envs"):
        Protocol(envs=0)
