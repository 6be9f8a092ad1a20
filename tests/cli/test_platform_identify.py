"""identify prints figures with units, and says what it cannot read."""

import json

import numpy as np
import pytest

from antiphon.cli.platform import identify
from antiphon.core.errors import UserError
from antiphon.worlds.platform.flight_log import FlightLog
from antiphon.worlds.platform.mujoco_twin import MujocoTwin
from antiphon.worlds.platform.parameters import planar


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """Flown by MuJoCo, so that not only our own simulator is believed."""
    pytest.importorskip("mujoco")
    twin, rng = MujocoTwin(planar()), np.random.default_rng(0)
    valves = rng.random((60, 8)) < 0.3
    states = [twin.state()]
    for opened in np.repeat(valves, 5, 0):
        states.append(twin.advance(opened, dt=0.04))
    time = 0.04 * np.arange(len(states))
    path = tmp_path_factory.mktemp("flights") / "flight.npz"
    position = np.array([one.position for one in states]) + 0.001 * rng.normal(size=(len(states), 2))
    heading = np.array([one.heading for one in states]) + 0.003 * rng.normal(size=len(states))
    return FlightLog(time, position, heading, 0.2 * np.arange(60), valves).save(path)


def test_a_flight_in_mujoco_gives_mujocos_figures(log, capsys):
    assert identify.main([str(log), "--fix", "mass=5.32", "--json"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])["figures"]
    assert found["thrust"]["low"] < 1.0 < found["thrust"]["high"]
    assert found["thrust"]["high"] - found["thrust"]["low"] < 0.1
    assert found["inertia"]["value"] == pytest.approx(0.2045, rel=0.05)
    assert found["inertia"]["unit"] == "kg m²"


def test_without_a_weight_only_ratios_are_printed(log, capsys):
    assert identify.main([str(log)]) == 0
    said = capsys.readouterr()
    assert "cannot tell mass from thrust" in said.err
    assert "thrust/mass" in said.out
    assert "m/s²" in said.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--fix", "mass"], "not NAME=NUMBER"),
        (["--fix", "weight=5"], "no figure 'weight'"),
        (["--window", "0"], "seconds is 0"),
        (["--delay", "2"], "delay is 2"),
    ],
)
def test_what_makes_no_sense_is_said(log, words, message):
    with pytest.raises(UserError, match=message):
        identify.main([str(log), *words])


def test_a_file_that_is_no_log_is_said(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        identify.main([str(tmp_path / "none.npz")])
    other = tmp_path / "other.npz"
    np.savez(other, a=np.zeros(3))
    with pytest.raises(UserError, match="not a log of a flight"):
        identify.main([str(other)])
