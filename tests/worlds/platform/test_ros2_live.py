"""Two processes over real DDS: the controller's node, and one that is motion capture and platform.

They need rclpy, so elsewhere these tests are skipped; the wheels of ROS 2 have an environment of their own.
"""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

pytest.importorskip("rclpy")

from antiphon.worlds.platform.flight_log import load_log

PROGRAM = (
    "import sys\nfrom antiphon.cli.errors import explain\nfrom antiphon.cli.platform.ros2 import main\n"
    "try:\n    sys.exit(main(sys.argv[1:]))\nexcept Exception as error:\n    sys.exit(explain(error, True))"
)
ROS2 = (sys.executable, "-c", PROGRAM, "--localhost", "--json")


@pytest.fixture
def start(request, tmp_path):
    """Starts a node whose output is kept; whatever still runs at the end is killed."""
    domain = 40 + hash(request.node.nodeid) % 60
    environment = {**os.environ, "ROS_DOMAIN_ID": str(domain), "JAX_PLATFORMS": "cpu"}
    begun = []

    def run(name, *words):
        with (tmp_path / f"{name}.out").open("w") as out, (tmp_path / f"{name}.err").open("w") as err:
            process = subprocess.Popen((*ROS2, *words), stdout=out, stderr=err, env=environment, cwd=tmp_path)
        begun.append(process)
        return process

    yield run
    for process in begun:
        process.kill()
        process.wait()


def said(folder, name):
    return json.loads((folder / f"{name}.out").read_text().splitlines()[-1])


def wait_for(folder, name, words, seconds=60):
    until = time.monotonic() + seconds
    while words not in (folder / f"{name}.err").read_text():
        assert time.monotonic() < until, (folder / f"{name}.err").read_text()
        time.sleep(0.1)


def test_a_goal_is_reached_over_dds(start, tmp_path):
    platform = start("platform", "--simulate", "--start", "0.5", "-0.3", "0.6")
    wait_for(tmp_path, "platform", "poses to")
    pilot = start("pilot", "--goal", "0", "0", "0", "--seconds", "18", "--log", "f.npz", "--bag", "bag")
    assert pilot.wait(90) == 0
    platform.send_signal(signal.SIGINT)
    assert platform.wait(20) == 0
    measured, flown = said(tmp_path, "platform"), said(tmp_path, "pilot")
    assert measured["worst_error_m_last_5s"] < 0.02
    assert abs(flown["rate_hz"] - 5) < 0.25
    assert measured["last_command"] == [0] * 9
    assert measured["malformed"] == 0
    log, bag = load_log(tmp_path / "f.npz"), load_log(tmp_path / "bag")
    assert len(log.pose_time) == flown["counts"]["accepted"]
    assert bag.valves.tolist() == log.valves.tolist()
    assert abs(log.position[-1]).max() < 0.02


def test_silence_shuts_the_valves_and_sigterm_ends_it(start, tmp_path):
    words = ("--layout", "2023")
    platform = start("platform", "--simulate", *words, "--silent-after", "3")
    wait_for(tmp_path, "platform", "poses to")
    pilot = start("pilot", "--goal", "0", "0", "0", *words)
    wait_for(tmp_path, "platform", "falls silent")
    wait_for(tmp_path, "pilot", "poses have stopped")
    time.sleep(1)
    pilot.send_signal(signal.SIGTERM)
    assert pilot.wait(20) == 0
    platform.send_signal(signal.SIGINT)
    assert platform.wait(20) == 0
    measured, flown = said(tmp_path, "platform"), said(tmp_path, "pilot")
    assert 0 < measured["silent_to_shut_s"] < 0.4
    assert measured["last_command"] == [0] * 9
    assert flown["reason"] == "stopped by hand"
    assert flown["counts"]["stale"] == 1


def test_two_controllers_never_share_the_valves(start, tmp_path):
    start("platform", "--simulate")
    wait_for(tmp_path, "platform", "poses to")
    first = start("first")
    wait_for(tmp_path, "first", "poses from")
    second = start("second", "--goal", "1", "1")
    assert second.wait(60) == 2
    assert "only one may command the valves" in said(tmp_path, "second")["error"]["message"]
    assert first.wait(20) == 2  # nor does the other go on beside a stranger


def test_a_flight_without_poses_ends_in_a_sentence(start, tmp_path):
    pilot = start("pilot", "--wait", "1", "--goal", "1", "1")
    assert pilot.wait(60) == 2
    assert (
        "no good pose came on /vrpn_mocap/RigidBody_005/pose" in said(tmp_path, "pilot")["error"]["message"]
    )


@pytest.mark.parametrize("domain", ["999", "kitchen"])
def test_a_domain_that_cannot_be_is_a_sentence(tmp_path, domain):
    environment = {**os.environ, "ROS_DOMAIN_ID": domain, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        (*ROS2, "--simulate", "--seconds", "1"),
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert done.returncode == 2
    assert f"ROS_DOMAIN_ID is {domain}" in json.loads(done.stdout.splitlines()[-1])["error"]["message"]
