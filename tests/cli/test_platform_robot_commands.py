"""export and view write what they say; ros2 refuses what it cannot fly."""

import json
import subprocess
import sys

import numpy as np
import pytest

from antiphon.cli.platform import export, ros2, view
from antiphon.core.errors import UserError
from antiphon.worlds.platform import policy_search
from antiphon.worlds.platform.flight_log import FlightLog
from antiphon.worlds.platform.policy_file import PlatformPolicy, PolicyMetadata, load_policy


@pytest.fixture
def trained(tmp_path):
    rng = np.random.default_rng(0)
    layers = ((rng.normal(size=(19, 8)).astype(np.float32), np.zeros(8, np.float32)),)
    folder = tmp_path / "run"
    PlatformPolicy(layers, PolicyMetadata("go-to-xy", seed=4)).save(folder / "policy.npz")
    return folder


@pytest.fixture
def flight(tmp_path):
    times = np.arange(20) / 10
    log = FlightLog(times, np.zeros((20, 2)), np.zeros(20), np.zeros(1), np.zeros((1, 8), bool))
    return log.save(tmp_path / "flight.npz")


def test_export_writes_both_files_of_a_training(trained, tmp_path, capsys):
    assert export.main([str(trained), "--out", str(tmp_path / "robot"), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["files"] == [str(tmp_path / "robot" / f"go-to-xy.{ending}") for ending in ("onnx", "npz")]
    observations = np.random.default_rng(1).normal(size=(50, 19)).astype(np.float32)
    policy = load_policy(trained / "policy.npz")
    np.testing.assert_array_equal(
        load_policy(said["files"][1]).logits(observations), policy.logits(observations)
    )
    assert export.main([str(trained), "--out", str(tmp_path / "one"), "--name", "p", "--onnx"]) == 0
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["p.onnx"]
    with pytest.raises(UserError, match="is a path"):
        export.main([str(trained), "--name", "a/b"])


def test_a_policy_is_found_by_file_folder_and_name(trained, tmp_path, monkeypatch):
    assert policy_search.find_policy(trained).metadata.seed == 4
    assert policy_search.find_policy(trained / "policy.npz").metadata.seed == 4
    bundle = tmp_path / "bundle"
    load_policy(trained / "policy.npz").save(bundle / "go-to-xy.npz")
    assert policy_search.find_policy("go-to-xy", bundle).metadata.seed == 4
    with pytest.raises(UserError, match="did you mean 'go-to-xy'"):
        policy_search.find_policy("goto-xy", bundle)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no policy"):
        policy_search.find_policy(tmp_path / "empty")


def test_view_takes_policies_and_recordings_alike(trained, flight, tmp_path, capsys):
    page = tmp_path / "page.html"
    assert view.main([str(trained), str(flight), "--out", str(page), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["policies"], said["logs"]) == (["run"], ["flight"])
    assert said["bytes"] == page.stat().st_size
    data = json.loads(page.read_text().split('id="data">')[1].split("</script>")[0])
    assert data["first"] == "policy:0"
    assert data["policies"][0]["task"]["name"] == "go-to-xy"
    assert view.main([str(flight), "--out", str(page)]) == 0
    with pytest.raises(UserError, match="no policy"):
        view.main([str(tmp_path / "nothing"), "--out", str(page)])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--goal", "1"), "--goal has 1 numbers"),
        (("--velocity", "1", "0"), "has no velocity"),
        (("--task", "go-to-moon"), "no task"),
        (("--task", "dock"), "lqr does not do dock"),
        (("--dead-valves", "9"), "no valve 9"),
        (("--valve-map", "1", "1", "2", "3", "4", "5", "6", "7"), "each of 8 valves once"),
        (("--policy", "nowhere.npz"), "no policy"),
        (("--seconds", "0"), "--seconds is 0"),
        (("--bag", "/proc/none/bag"), "bag"),
    ],
)
def test_ros2_refuses_before_it_flies(words, said):
    with pytest.raises(UserError, match=said):
        ros2.main(list(words))


def test_help_comes_without_jax():
    program = (
        "import sys\nfrom antiphon.cli.platform import export, ros2, view\n"
        "for verb in (export, ros2, view):\n"
        "    try:\n        verb.main(['--help'])\n    except SystemExit:\n        pass\n"
        "assert 'jax' not in sys.modules and 'numpy' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60, stdout=subprocess.DEVNULL)
