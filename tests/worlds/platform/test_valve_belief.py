"""What is found out about valves: against a dense Kalman filter, in flight, and the same on the robot."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from antiphon.core.errors import UserError
from antiphon.worlds.platform import PlatformEnvironment, find_task
from antiphon.worlds.platform.adaptive_decision import AdaptiveDecision
from antiphon.worlds.platform.disturbances import Disturbances
from antiphon.worlds.platform.nominal_plant import NominalPlant, plant_figures
from antiphon.worlds.platform.observation import observation_size, observe, wrapped
from antiphon.worlds.platform.parameters import planar
from antiphon.worlds.platform.plant import CONTROL_PERIOD, PlatformState, Wrench, advance
from antiphon.worlds.platform.policy_file import PlatformPolicy, PolicyMetadata
from antiphon.worlds.platform.policy_search import find_policy
from antiphon.worlds.platform.protocol import PolicyPilot
from antiphon.worlds.platform.robot import PlatformController, Pose, policy_decision, pose_target
from antiphon.worlds.platform.tasks import Target
from antiphon.worlds.platform.valve_belief import BELIEF_SIZE, ValveFilter, belief_observation

FIGURES = plant_figures(planar())
PLANT = NominalPlant.of(FIGURES)
FILTER = ValveFilter()


def at(velocity=(0.0, 0.0), rate=0.0, heading=0.0):
    return PlatformState(np.zeros(2), np.asarray(heading), np.asarray(velocity), np.asarray(rate))


def random_policy(seed=0):
    rng = np.random.default_rng(seed)
    size = observation_size("adaptive")
    layers = tuple(
        (rng.normal(size=(rows, columns)).astype(np.float32), np.zeros(columns, np.float32))
        for rows, columns in ((size, 16), (16, 8))
    )
    return PlatformPolicy(layers, PolicyMetadata("go-to-pose", "adaptive", plant=FIGURES))


def flown(mask, push=(0.0, 0.0, 0.0), steps=60, seed=0):
    """A filter's recollection after random patterns of valves, on a plant with dead ones, pushed."""
    rng = np.random.default_rng(seed)
    params = dataclasses.replace(planar(), mask=jnp.asarray(mask, jnp.float32))
    outside = Wrench(jnp.asarray(push[:2], jnp.float32), jnp.asarray(push[2], jnp.float32))
    move = jax.jit(lambda state, valves: advance(params, state, valves, outside))
    state, recollection = at(), FILTER.begin(np.ones(8))
    recollection = FILTER.see(recollection, PLANT.effects, True, state, CONTROL_PERIOD)
    for _ in range(steps):
        valves = (rng.random(8) < 0.3).astype(float)
        state = PlatformState(*(np.asarray(part, float) for part in move(state, valves)))
        recollection = FILTER.see(
            recollection._replace(valves=valves), PLANT.effects, True, state, CONTROL_PERIOD
        )
    return recollection.belief


def test_one_step_is_that_of_a_dense_filter():
    heading, valves, dt = 0.7, np.array([1.0, 0, 0, 1, 0, 1, 0, 0]), CONTROL_PERIOD
    before, after = at(heading=heading), at((0.03, -0.05), 0.11, heading)
    recollection = FILTER.see(FILTER.begin(np.ones(8)), PLANT.effects, True, before, dt)
    prior = recollection.belief
    found = FILTER.see(recollection._replace(valves=valves), PLANT.effects, True, after, dt).belief
    # The same by matrices of eleven rows, in the world frame's push.
    c, s = np.cos(heading), np.sin(heading)
    back = np.array([[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]])
    h = dt * np.concatenate([PLANT.effects * valves / 3, back], 1)
    mean = np.concatenate([prior.effect, prior.push])
    wide, turning = prior.push_variance
    p = np.diag([*prior.effect_variance, wide, wide, turning])
    noise = np.diag([FILTER.velocity_noise**2, FILTER.velocity_noise**2, FILTER.turn_noise**2])
    gain = p @ h.T @ np.linalg.inv(h @ p @ h.T + noise)
    measured = back @ np.array([0.03, -0.05, 0.11])
    mean = mean + gain @ (measured - h @ mean)
    left = np.diag(p - gain @ h @ p)
    np.testing.assert_allclose(np.concatenate([found.effect, found.push]), mean, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(
        found.effect_variance,
        np.minimum(left[:8] + FILTER.effect_drift**2, FILTER.effect_spread**2),
        rtol=1e-6,
    )
    np.testing.assert_allclose(
        found.push_variance,
        np.minimum([left[8:10].mean() + FILTER.push_drift**2, left[10] + FILTER.turn_drift**2],
                   [FILTER.push_spread**2, FILTER.turn_spread**2]), rtol=1e-6
    )  # fmt: skip


@pytest.mark.parametrize("dead", [(), (3,), (1, 6)])
def test_dead_valves_and_a_push_are_found_out(dead):
    mask = 1.0 - np.isin(np.arange(8), dead)
    belief = flown(mask, push=(0.2, -0.1, 0.03))
    np.testing.assert_allclose(belief.effect, mask, atol=0.12)
    np.testing.assert_allclose(belief.push[:2], np.array([0.2, -0.1]) / PLANT.mass, atol=0.008)
    np.testing.assert_allclose(belief.push[2], 0.03 / PLANT.inertia, atol=0.05)


def test_nothing_amiss_looks_like_nothing():
    seen = belief_observation(flown(np.ones(8)), np.asarray(0.4))
    assert seen.shape == (BELIEF_SIZE,)
    np.testing.assert_allclose(seen, 0.0, atol=0.03)
    assert not belief_observation(FILTER.begin(np.ones(8)).belief, np.asarray(0.4)).any()


def test_who_is_told_knows_at_once_and_the_first_sight_teaches_nothing():
    works = 1.0 - np.isin(np.arange(8), (2,))
    begun = FILTER.begin(works)
    seen = FILTER.see(begun, PLANT.effects, True, at((0.4, 0.1), 2.0), CONTROL_PERIOD)
    np.testing.assert_array_equal(seen.belief.effect, works)
    np.testing.assert_array_equal(seen.belief.push, 0.0)


def test_numpy_jax_and_the_environment_find_out_the_same():
    disturbances = Disturbances(failures=2, floor=0.3, velocity_noise=0.005)
    world = PlatformEnvironment(
        observation="adaptive", disturbances=disturbances, auto_reset=False, stagger=False
    )
    policy, envs, steps = random_policy(), 32, 40
    pilot = PolicyPilot.of(policy, find_task("go-to-pose"))

    def step(carry, key):
        env_state, observation, memory = carry
        seen = env_state.recollection.seen
        valves, memory = pilot.act(world.params, memory, seen, env_state.target)
        going, result = world.step(env_state, policy(observation), key)
        return (going, result.observation, memory), (seen, env_state.target, policy(observation), valves)

    begun, observation = world.reset(jax.random.key(0), envs)
    carry = (begun, observation, pilot.start(world.params, envs))
    run = jax.jit(lambda carry: jax.lax.scan(step, carry, jax.random.split(jax.random.key(1), steps))[1])
    seen, target, ours, theirs = jax.tree.map(np.asarray, run(carry))
    np.testing.assert_array_equal(ours, theirs)
    assert 0.2 < ours.mean() < 0.8
    # The robot's decision, one platform at a time, by NumPy alone.
    decision = policy_decision(policy)
    assert isinstance(decision, AdaptiveDecision)
    wrong = 0
    for env in range(envs):
        memory = None
        for t in range(steps):
            state = PlatformState(*(part[t, env] for part in seen))
            goal = Target(*(part[t, env] for part in target))
            valves, memory = decision.act(memory, state, goal, t * CONTROL_PERIOD)
            wrong += int((valves != ours[t, env]).sum())
    assert wrong == 0  # of 10,240 valves


def test_the_robot_finds_out_from_poses():
    """A valve that is dead and not told of, poses at 100 Hz with noise: the controller's memory knows it."""
    rng = np.random.default_rng(0)
    policy = random_policy(3)
    controller = PlatformController(policy_decision(policy), PLANT, arena=1e6, top_speed=100.0)
    params = dataclasses.replace(planar(), mask=jnp.asarray(1.0 - np.isin(np.arange(8), (5,)), jnp.float32))
    move = jax.jit(lambda state, valves: advance(params, state, valves, dt=0.01))
    flight, state = controller.aim(controller.start(), pose_target(0.0, 0.0, 0.0)), at()
    for tick in range(1500):
        now = 1.0 + 0.01 * tick
        x, y = state.position + rng.uniform(-0.0005, 0.0005, 2)
        half = 0.5 * float(state.heading)
        pose = Pose(now, "world", (float(x), float(y), 0.0), (0.0, 0.0, np.sin(half), np.cos(half)))
        flight = controller.receive(flight, pose, now)
        if tick % 20 == 0:
            # Whatever the weights say, each valve gets its turn.
            flight = controller.step(flight, now)
            if flight.memory is not None:
                valves = np.zeros(8)
                valves[rng.integers(8)] = 1.0
                opened = flight.memory.recollection._replace(valves=valves)
                command = flight.command._replace(valves=tuple(bool(v) for v in valves))
                flight = flight._replace(command=command, memory=flight.memory._replace(recollection=opened))
        state = PlatformState(
            *(np.asarray(part, float) for part in move(state, np.array(flight.command.valves, float)))
        )
    assert flight.memory is not None
    effect = flight.memory.recollection.belief.effect
    assert effect[5] < 0.4
    assert np.delete(effect, 5).min() > 0.7


def test_the_bundled_policy_flies_a_robot_with_a_dead_valve_that_nobody_told_of():
    policy = find_policy("go-to-pose-robust")
    controller = PlatformController(policy_decision(policy), PLANT)
    broken = dataclasses.replace(PLANT, thrust=PLANT.thrust * (1.0 - np.isin(np.arange(8), (6,))))
    flight = controller.aim(controller.start(), pose_target(0.0, 0.0, 0.0))
    rng, at, rate, far = np.random.default_rng(0), np.array([0.9, -0.6, 1.5]), np.zeros(3), []
    for tick in range(3000):
        now = 1.0 + 0.01 * tick
        x, y, heading = at + rng.uniform(-1, 1, 3) * [0.0005, 0.0005, 0.001]
        half = 0.5 * heading
        seen = Pose(now, "world", (x, y, 0.0), (0.0, 0.0, np.sin(half), np.cos(half)))
        flight = controller.receive(flight, seen, now)
        if tick % 20 == 0:
            flight = controller.step(flight, now)
        push = broken.acceleration(at[2], np.array(flight.command.valves))
        at, rate = at + 0.01 * rate + 0.5e-4 * push, rate + 0.01 * push
        far.append(np.hypot(at[0], at[1]))
    assert max(far[-500:]) < 0.02
    assert abs(wrapped(at[2])) < 0.06
    assert flight.memory is not None
    assert np.argmin(flight.memory.recollection.belief.effect) == 6


def test_what_cannot_be_is_refused():
    with pytest.raises(UserError, match="effect_drift"):
        ValveFilter(effect_drift=0.0)
    with pytest.raises(UserError, match="there is none"):
        observe("adaptive", find_task("go-to-pose"), at(), pose_target(0, 0))
    with pytest.raises(UserError, match="has no colour"):
        PolicyMetadata("go-to-pose", "adaptive", valve_filter={"colour": 1.0})
    body = PlatformPolicy(
        ((np.zeros((19, 8), np.float32), np.zeros(8, np.float32)),), PolicyMetadata("go-to-pose")
    )
    with pytest.raises(UserError, match="finds nothing out"):
        AdaptiveDecision(body, find_task("go-to-pose"), PLANT)
