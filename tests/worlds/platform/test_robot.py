"""The robot's controller: it flies to its goal, and whatever is wrong with the poses shuts the valves."""

import math
import subprocess
import sys

import numpy as np
import pytest

from antiphon.core.errors import UserError
from antiphon.worlds.platform.flight import SHUT, Command, Phase, Pose
from antiphon.worlds.platform.nominal_plant import NominalPlant, plant_figures
from antiphon.worlds.platform.policy_file import PlatformPolicy, PolicyMetadata
from antiphon.worlds.platform.robot import (
    PlatformController,
    heading_and_lean,
    policy_decision,
    pose_target,
    shutdown,
    velocity_target,
)

ALL_OPEN = np.ones(8, bool)


def yaw(heading):
    return (0.0, 0.0, math.sin(heading / 2), math.cos(heading / 2))


def pose(stamp, x=0.0, y=0.0, heading=0.0, frame="world"):
    return Pose(stamp, frame, (x, y, 0.1), yaw(heading))


def opens_all(state, target):
    return ALL_OPEN


def fed(controller, flight, begin, seconds, x=0.0, delay=0.003, rate=100):
    """Poses at a rate, standing still."""
    for i in range(round(seconds * rate)):
        stamp = begin + i / rate
        flight = controller.receive(flight, pose(stamp, x), stamp + delay)
    return flight


@pytest.fixture(scope="module")
def controller():
    return PlatformController(opens_all)


@pytest.fixture(scope="module")
def flying(controller):
    flight = controller.aim(controller.start(), pose_target(1.0, 0.0))
    flight = controller.step(fed(controller, flight, 1.0, 1.0), 2.0)
    assert flight.phase is Phase.FLYING
    assert flight.command == Command(True, (True,) * 8)
    return flight


def test_valves_stay_shut_until_poses_agree_and_a_goal_is_set(controller):
    flight = controller.start()
    assert controller.step(flight, 0.0).command == Command(True, SHUT)
    flight = fed(controller, flight, 1.0, 0.09)
    assert (
        controller.step(controller.aim(flight, pose_target(1, 0)), 1.1).command.valves == SHUT
    )  # nine poses
    flight = fed(controller, flight, 1.09, 0.5)
    assert controller.step(flight, 1.6).phase is Phase.WAITING  # no goal
    assert controller.step(controller.aim(flight, pose_target(1, 0)), 1.6).phase is Phase.FLYING


def test_a_silent_stream_shuts_the_valves_within_two_periods(controller, flying):
    for silence in np.arange(0.0, 0.2, 0.03):
        # The stream ends `silence` after a step; steps go on.
        flight = fed(controller, flying, 2.0, silence)
        times = [2.2, 2.4]
        commands = []
        for now in times:
            flight = controller.step(flight, now)
            commands.append(flight.command.valves)
        assert commands[-1] == SHUT
        assert flight.phase is Phase.STALE
        assert flight.counts.stale == 1
    # And sooner where the watch is called between steps.
    assert controller.watch(flying, flying.seen + 0.19).command.valves == (True,) * 8
    assert controller.watch(flying, flying.seen + 0.21).command.valves == SHUT


def test_after_a_silence_poses_must_agree_again(controller, flying):
    flight = controller.step(flying, 3.0)
    flight = controller.receive(flight, pose(3.05), 3.053)
    assert controller.step(flight, 3.06).command.valves == SHUT
    flight = fed(controller, flight, 3.06, 0.2)
    assert controller.step(flight, 3.26).phase is Phase.FLYING


@pytest.mark.parametrize(
    ("bad", "name"),
    [
        (pose(2.01, frame="camera"), "wrong_frame"),
        (pose(2.01, x=3.0), "jumped"),
        (pose(2.01, heading=2.0), "jumped"),
        (pose(2.01, x=1500.0), "outside"),
        (pose(1.5), "late"),
        (pose(2.01, x=math.nan), "not_finite"),
        (pose(math.inf), "not_finite"),
        (Pose(2.01, "world", (0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 0.0)), "not_finite"),
        (
            Pose(2.01, "world", (0.0, 0.0, 0.0), (math.sin(math.pi / 4), 0.0, 0.0, math.cos(math.pi / 4))),
            "tilted",
        ),
    ],
)
def test_a_bad_pose_is_refused_and_counted(controller, flying, bad, name):
    after = controller.receive(flying, bad, 2.013)
    assert getattr(after.counts, name) == 1
    assert after.counts.accepted == flying.counts.accepted
    np.testing.assert_array_equal(after.belief.pose, flying.belief.pose)
    # A stream of nothing else is a silent one.
    for i in range(50):
        after = controller.receive(after, bad, 2.02 + i / 100)
    assert controller.step(after, 2.6).command.valves == SHUT


def test_a_place_out_of_reach_is_not_believed_after_a_silence_either(controller, flying):
    flight = controller.receive(controller.step(flying, 2.5), pose(2.5, x=4.0), 2.503)
    assert flight.counts.jumped == 1
    # Three metres and a half a second later at 2 m/s: it may have been carried there.
    assert controller.receive(flight, pose(4.5, x=4.0), 4.503).counts.jumped == 1


def test_poses_held_up_on_the_way_are_late(controller, flying):
    flight = controller.receive(flying, pose(2.01), 2.013)
    flight = controller.receive(flight, pose(2.02), 2.15)  # 0.13 s: still good
    assert flight.counts.late == 0
    assert controller.receive(flight, pose(2.03), 2.3).counts.late == 1


def test_a_stream_without_stamps_is_timed_by_arrival(controller):
    flight = controller.aim(controller.start(), pose_target(1, 0))
    for i in range(100):
        now = 5 + i / 100
        flight = controller.receive(flight, pose(0.0, x=0.5 * i / 100), now)
    assert controller.step(flight, 6.0).phase is Phase.FLYING
    np.testing.assert_allclose(flight.belief.rate[0], 0.5, atol=0.02)


def test_dead_valves_are_never_opened():
    controller = PlatformController(opens_all, dead_valves=(0, 5))
    flight = controller.aim(controller.start(), pose_target(1, 0))
    flight = controller.step(fed(controller, flight, 1.0, 1.0), 2.0)
    assert flight.command.valves == (False, True, True, True, True, False, True, True)


@pytest.mark.parametrize("wrong", [np.ones(4, bool), np.ones(8), None])
def test_a_decision_that_fails_stops_the_flight_for_good(wrong):
    def decide(state, target):
        if wrong is None:
            raise RuntimeError("out of luck")
        return wrong

    controller = PlatformController(decide)
    flight = controller.aim(controller.start(), pose_target(1, 0))
    flight = controller.step(fed(controller, flight, 1.0, 1.0), 2.0)
    assert (flight.phase, flight.command.valves) == (Phase.STOPPED, SHUT)
    assert "policy failed" in flight.reason
    flight = controller.step(fed(controller, flight, 2.0, 1.0), 3.0)
    assert (flight.phase, flight.command.valves) == (Phase.STOPPED, SHUT)


def test_a_bad_goal_is_counted_and_the_old_one_stays(controller, flying):
    for bad in (pose_target(math.nan, 0), pose_target(900, 0), velocity_target(math.inf, 0)):
        after = controller.aim(flying, bad)
        assert after.target is flying.target
        assert after.counts.goals_refused == 1


def test_the_end_is_valves_shut_then_bearings_off(controller, flying):
    stopped = controller.stop(flying, "asked to")
    assert (stopped.phase, stopped.command) == (Phase.STOPPED, Command(True, SHUT))
    assert controller.step(stopped, 2.01).command == Command(True, SHUT)
    assert controller.stop(stopped, "again").reason == "asked to"
    assert [(c.bearing, any(c.valves), wait) for c, wait in shutdown()] == [
        (True, False, 1.0),
        (False, False, 0.0),
    ]


def test_heading_is_that_of_the_quaternion():
    for heading in np.linspace(-3, 3, 7):
        found, lean = heading_and_lean(np.array(yaw(heading)))
        np.testing.assert_allclose([found, lean], [heading, 0], atol=1e-7)
    tipped = np.array([math.sin(0.1), 0, 0, math.cos(0.1)])
    np.testing.assert_allclose(heading_and_lean(tipped)[1], 0.2, atol=1e-7)


def test_what_cannot_be_is_refused_when_built():
    with pytest.raises(UserError, match="no valve 8"):
        PlatformController(opens_all, dead_valves=(8,))
    with pytest.raises(UserError, match="stale_after"):
        PlatformController(opens_all, stale_after=1.0)
    with pytest.raises(UserError, match="rate_hz"):
        PlatformController(opens_all, rate_hz=0.0)


def test_the_outputs_of_a_policy_are_put_in_the_platforms_order():
    # The bias alone decides: outputs 0 and 3 are open.
    bias = np.array([1, -1, -1, 1, -1, -1, -1, -1], np.float32)
    order = (5, 1, 3, 7, 0, 4, 6, 2)
    policy = PlatformPolicy(
        ((np.zeros((19, 8), np.float32), bias),), PolicyMetadata("go-to-pose", valve_map=order)
    )
    flight = PlatformController(opens_all).start()
    assert flight.belief is None
    state = PlatformController(opens_all).filter.begin(np.zeros(3)).state()
    opened = policy_decision(policy)(state, pose_target(1, 0))
    assert list(np.flatnonzero(opened)) == [5, 7]
    short = PlatformPolicy(((np.zeros((5, 8), np.float32), bias),), PolicyMetadata("go-to-pose"))
    with pytest.raises(UserError, match="reads 5 numbers"):
        policy_decision(short)
    with pytest.raises(UserError, match="no task"):
        policy_decision(policy, "go-to-moon")


def test_known_thrust_is_what_the_simulator_does():
    import jax

    from antiphon.worlds.platform.parameters import planar, wrench

    params = planar(com=(0.02, -0.01), mass=4.0)
    plant = NominalPlant.of(plant_figures(params))
    rng = np.random.default_rng(0)
    for _ in range(5):
        valves, heading = rng.random(8) < 0.5, rng.uniform(-3, 3)
        force_x, force_y, torque = np.asarray(jax.jit(wrench)(params, valves))
        cos, sin = np.cos(heading), np.sin(heading)
        expected = [
            (cos * force_x - sin * force_y) / 4,
            (sin * force_x + cos * force_y) / 4,
            torque / plant.inertia,
        ]
        np.testing.assert_allclose(plant.acceleration(heading, valves), expected, atol=1e-6)
    with pytest.raises(UserError, match="usable mass"):
        NominalPlant.of({"mass": "heavy"})


def test_closed_loop_over_noisy_poses_reaches_the_goal():
    """Pattern look-ahead on a NumPy model, 100 Hz poses of 1 mm noise, one known dead valve."""
    from itertools import product

    from antiphon.worlds.platform.parameters import planar

    plant = NominalPlant.of(plant_figures(planar()))
    patterns = np.array(list(product([False, True], repeat=8)))
    patterns = patterns[patterns.sum(1) <= 3]
    patterns = patterns[~patterns[:, 2]]

    def decide(state, target):
        half = float(state.heading) + 0.1 * float(state.angular_velocity)
        push = np.array([plant.acceleration(half, valves) for valves in patterns])
        at = np.array([*(state.position - target.position), math.remainder(float(state.heading), math.tau)])
        rate = np.array([*state.velocity, float(state.angular_velocity)])
        after, then = at + 0.2 * rate + 0.02 * push, rate + 0.2 * push
        # Where it would stop: squares of error + look-ahead × velocity.
        return patterns[np.argmin(((after + 2.2 * then) ** 2 * [1, 1, 0.3] + 0.05 * then**2).sum(1))]

    controller = PlatformController(decide, plant=plant, dead_valves=(2,))
    flight = controller.aim(controller.start(), pose_target(0.0, 0.0))
    rng, now = np.random.default_rng(0), 0.0
    at, rate = np.array([0.8, -0.5, 1.0]), np.zeros(3)
    far = []
    for tick in range(3000):
        now = tick / 100
        seen = at + rng.normal(size=3) * [0.001, 0.001, 0.002]
        flight = controller.receive(flight, pose(now + 1e-3, seen[0], seen[1], seen[2]), now + 0.004)
        if tick % 20 == 10:
            flight = controller.step(flight, now + 0.005)
        push = plant.acceleration(at[2], np.array(flight.command.valves))
        at, rate = at + 0.01 * rate + 0.5e-4 * push, rate + 0.01 * push
        far.append(np.hypot(at[0], at[1]))
    assert flight.phase is Phase.FLYING
    assert flight.counts.jumped == 0
    assert max(far[-300:]) < 0.02
    believed = controller.estimate(flight, now + 0.005)
    np.testing.assert_allclose(believed.velocity, rate[:2], atol=0.01)


def test_flying_a_policy_file_needs_no_jax():
    program = (
        "import sys\n"
        "from antiphon.worlds.platform import bags, flight_log, policy_search, robot\n"
        "from antiphon.worlds.platform.ros2 import controller_node\n"
        "assert 'jax' not in sys.modules, 'jax was imported'\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
