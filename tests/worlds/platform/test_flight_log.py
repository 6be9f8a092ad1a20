"""Logs and bags: what was flown is what is read."""

import numpy as np
import pytest

from antiphon.core.errors import UserError
from antiphon.worlds.platform.bags import read_bag, write_bag
from antiphon.worlds.platform.flight import Command, Pose
from antiphon.worlds.platform.flight_log import FlightLog, Recorder, load_log
from antiphon.worlds.platform.robot import pose_target, velocity_target
from antiphon.worlds.platform.ros2.layouts import LAYOUT_2023, LAYOUT_2025


@pytest.fixture(scope="module")
def log():
    rng = np.random.default_rng(0)
    recorder = Recorder({"task": "go-to-pose"})
    recorder.goal(pose_target(1.0, -2.0, 0.5), 100.0)
    for i in range(40):
        heading = 3.0 + i / 50  # over the seam at pi
        turn = (0.0, 0.0, np.sin(heading / 2), np.cos(heading / 2))
        recorder.pose(Pose(7.0 + i / 100, "world", (i / 100, 1.0, 0.0), turn), 100.01 + i / 100)
        if i % 20 == 10:
            recorder.command(Command(True, tuple(map(bool, rng.random(8) < 0.5))), 100.01 + i / 100 + 1e-3)
    recorder.goal(velocity_target(0.1, 0.2, 0.3), 101.0)
    return recorder.log()


def equal(found, expected, atol=1e-9):
    for name in ("pose_time", "position", "heading", "valve_time", "valves", "goal_time", "goal"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), atol=atol, err_msg=name)


def test_a_recording_begins_at_zero_and_headings_do_not_jump(log):
    assert log.goal_time[0] == 0
    np.testing.assert_allclose(log.heading, 3.0 + np.arange(40) / 50)
    np.testing.assert_allclose(log.goal[1], [0, 0, 0, 0.1, 0.2, 0.3])
    assert log.valves.shape == (2, 8)


def test_a_saved_log_comes_back(log, tmp_path):
    found = load_log(log.save(tmp_path / "flight.npz"))
    equal(found, log)
    assert found.facts == {"task": "go-to-pose"}


@pytest.mark.parametrize("layout", [LAYOUT_2023, LAYOUT_2025], ids=["2023", "2025"])
def test_a_bag_holds_the_same_flight(log, tmp_path, layout):
    pytest.importorskip("rosbags")
    folder = write_bag(log, tmp_path / "bag", layout)
    equal(load_log(folder), log, atol=1e-6)
    with pytest.raises(UserError, match="exists already"):
        write_bag(log, folder, layout)
    other = LAYOUT_2025 if layout is LAYOUT_2023 else LAYOUT_2023
    with pytest.raises(UserError, match="has nothing on"):
        read_bag(folder, other)
    (tmp_path / "none").mkdir()
    with pytest.raises(UserError, match="cannot be read as a ROS bag"):
        load_log(tmp_path / "none")


def test_a_layout_turns_commands_to_numbers_and_back():
    rng = np.random.default_rng(1)
    for layout in (LAYOUT_2023, LAYOUT_2025):
        for _ in range(20):
            command = Command(bool(rng.random() < 0.5), tuple(map(bool, rng.random(8) < 0.5)))
            assert layout.command(layout.numbers(command)) == command
        # Number 1 + k of the message is the valve that the map names at k.
        alone = layout.numbers(Command(True, tuple(valve == layout.valve_map[3] for valve in range(8))))
        assert alone == [1, 0, 0, 0, 1, 0, 0, 0, 0]
        for wrong in ([1] * 8, [2, *[0] * 8], []):
            assert layout.command(wrong) is None


def test_a_bad_log_is_named(log, tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        load_log(tmp_path / "none.npz")
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(UserError, match="not a log"):
        load_log(tmp_path / "text.npz")
    whole = log.save(tmp_path / "flight.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[:300])
    with pytest.raises(UserError, match=r"cut\.npz"):
        load_log(tmp_path / "cut.npz")
    np.savez(tmp_path / "policy.npz", weight_0=np.zeros(3))
    with pytest.raises(UserError, match="not a log"):
        load_log(tmp_path / "policy.npz")


def test_a_log_with_holes_is_refused(log):
    position = log.position.copy()
    position[7, 1] = np.nan
    with pytest.raises(UserError, match="position is not finite in row 7"):
        FlightLog(log.pose_time, position, log.heading, log.valve_time, log.valves)
    with pytest.raises(UserError, match="pose_time runs backwards at row 1"):
        FlightLog(log.pose_time[::-1], log.position, log.heading, log.valve_time, log.valves)
    with pytest.raises(UserError, match="valves has shape"):
        FlightLog(log.pose_time, log.position, log.heading, log.valve_time, log.valves[:, :4])
