"""However a flight ends, the valves are shut: the node without ROS, over a list and a clock."""

import contextlib
import math
import threading
from types import SimpleNamespace

import numpy as np
import pytest

from antiphon.core.errors import UserError
from antiphon.worlds.platform.robot import PlatformController, pose_target
from antiphon.worlds.platform.ros2 import controller_node, messages
from antiphon.worlds.platform.ros2.controller_node import Outing, fly
from antiphon.worlds.platform.ros2.layouts import LAYOUT_2025

OFF = [0] * 9
SHUT = [1, *[0] * 8]


class Session:
    """Timers and topics of a node; poses come a hundred times a second, time goes when it is spun."""

    def __init__(self, frame="world", poses=True):
        self.time, self.sent, self.timers, self.topics = 50.0, [], [], {}
        self.asked, self.strangers, self.frame, self.poses, self.at = threading.Event(), 0, frame, poses, {}

    def publisher(self, kind, topic, reliable):
        return self.sent.append

    def subscribe(self, kind, topic, call):
        self.topics[topic] = call

    def every(self, seconds, call):
        self.timers.append([self.time + seconds, seconds, call])

    def speakers(self, topic):
        return 1 + self.strangers

    def now(self):
        return self.time

    def rest(self, seconds):
        self.time += seconds

    def spin(self, until):
        while not until() and not self.asked.is_set():
            self.time += 0.01
            for time, act in sorted(self.at.items()):
                if self.time >= time:
                    del self.at[time]
                    act()
            if self.poses:
                self.topics[LAYOUT_2025.pose_topic](self.pose())
            for timer in self.timers:
                while timer[0] <= self.time:
                    timer[0] += timer[1]
                    timer[2]()

    def pose(self):
        stamp = SimpleNamespace(sec=int(self.time), nanosec=int(self.time % 1 * 1e9))
        turn = SimpleNamespace(x=0.0, y=0.0, z=math.sin(0.1), w=math.cos(0.1))
        return SimpleNamespace(
            header=SimpleNamespace(stamp=stamp, frame_id=self.frame),
            pose=SimpleNamespace(position=SimpleNamespace(x=0.1, y=0.2, z=0.0), orientation=turn),
        )


@pytest.fixture
def session(monkeypatch):
    session = Session()
    monkeypatch.setattr(controller_node, "ros_session", lambda name: contextlib.nullcontext(session))
    monkeypatch.setattr(messages, "valve_message", lambda layout, command: layout.numbers(command))
    for name in ("pose_type", "velocity_type"):
        monkeypatch.setattr(messages, name, lambda: None)
    for name in ("valve_type", "goal_type"):
        monkeypatch.setattr(messages, name, lambda layout: None)
    return session


def opens(state, target):
    return np.ones(8, bool)


FLIGHT = Outing(LAYOUT_2025, pose_target(1.0, 0.0), seconds=10.0)


def ended_well(session):
    """Open at some time; then shut with bearings on for a second, then off."""
    assert [1] * 9 in session.sent
    after = session.sent[len(session.sent) - session.sent[::-1].index([1] * 9) :]
    assert set(map(tuple, after)) == {tuple(SHUT), tuple(OFF)}
    assert after.count(SHUT) >= 20
    first = after.index(OFF)
    assert all(numbers == OFF for numbers in after[first:])
    assert len(after[first:]) >= 3


def test_a_flight_of_ten_seconds(session):
    landed = fly(PlatformController(opens), FLIGHT)
    ended_well(session)
    assert landed.commands == 50
    assert abs(landed.rate_hz - 5) < 0.1
    assert landed.reason == "time is over"
    assert landed.log.valves.any()
    assert len(landed.log.pose_time) == landed.counts.accepted


@pytest.mark.parametrize("trouble", [RuntimeError("the middleware died"), KeyboardInterrupt()])
def test_an_exception_in_the_loop_still_shuts_the_valves(session, trouble):
    def fail():
        raise trouble

    session.at[53.0] = fail
    with pytest.raises(type(trouble)):
        fly(PlatformController(opens), FLIGHT)
    ended_well(session)


def test_a_policy_that_fails_ends_the_flight(session):
    def decide(state, target):
        if session.time > 54:
            raise ZeroDivisionError("no weights")
        return np.ones(8, bool)

    landed = fly(PlatformController(decide), FLIGHT)
    assert landed.reason == "the policy failed: no weights"
    assert session.time < 57
    ended_well(session)


def test_a_stranger_on_the_valves_ends_the_flight(session):
    session.at[54.0] = lambda: setattr(session, "strangers", 1)
    with pytest.raises(UserError, match="only one may command"):
        fly(PlatformController(opens), FLIGHT)
    assert session.time < 57
    ended_well(session)


def test_silence_shuts_and_poses_open_again(session):
    session.at[53.0] = lambda: setattr(session, "poses", False)
    session.at[55.0] = lambda: setattr(session, "poses", True)
    said = []
    landed = fly(PlatformController(opens), Outing(LAYOUT_2025, pose_target(1.0, 0.0), 10.0, say=said.append))
    ended_well(session)
    assert landed.counts.stale == 1
    assert said[1:] == ["flying", "shut, because poses have stopped", "flying"]
    times, valves = landed.log.valve_time, landed.log.valves.any(1)
    begin = 50.0
    quiet = (times + begin > 53.25) & (times + begin < 55.0)
    assert quiet.sum() > 5
    assert not valves[quiet].any()
    assert valves[times + begin > 55.5][:10].all()


def test_a_recording_that_breaks_off_does_not_end_the_flight(session):
    def heard(kind, value, now):
        if now > 53:
            raise OSError(28, "No space left on device")

    with pytest.raises(UserError, match="recording broke off"):
        fly(PlatformController(opens), Outing(LAYOUT_2025, pose_target(1.0, 0.0), 10.0, heard=heard))
    assert session.time > 60
    ended_well(session)


def test_nobody_to_see_the_robot_ends_in_a_sentence(session):
    session.poses = False
    with pytest.raises(UserError, match=r"no good pose came on .* in 2 s"):
        fly(PlatformController(opens), Outing(LAYOUT_2025, pose_target(1.0, 0.0), 10.0, patience=2.0))
    assert session.sent[-1] == OFF
    assert not any(any(numbers[1:]) for numbers in session.sent)


def test_goals_come_by_topic_and_bad_ones_are_refused(session):
    goal = session.pose()
    goal.pose.position.x = 2.5
    far = session.pose()
    far.pose.position.x = 1e6
    other = session.pose()
    other.header.frame_id = "kitchen"
    for time, message in ((52.0, goal), (53.0, far), (54.0, other)):
        session.at[time] = lambda message=message: session.topics[LAYOUT_2025.goal_topic](message)
    landed = fly(PlatformController(opens), Outing(LAYOUT_2025, None, 6.0))
    assert landed.log.goal.shape == (1, 6)
    np.testing.assert_allclose(landed.log.goal[0], [2.5, 0.2, 0.2, 0, 0, 0], atol=1e-6)
    assert landed.counts.goals_refused == 2
    opened = landed.log.valve_time[landed.log.valves.any(1)]
    assert opened[0] >= landed.log.goal_time[0]
    ended_well(session)
