"""evaluate prints what DESIGN promises, the same twice, and refuses what it does not know."""

import json

import numpy as np
import pytest

from antiphon.cli.platform import evaluate
from antiphon.core.errors import UserError
from antiphon.worlds.platform.policy_file import PlatformPolicy, PolicyMetadata

QUICK = ["--envs", "4", "--protocol", "training"]


def said(capsys, *words):
    assert evaluate.main([*words, *QUICK, "--json"]) == 0
    return json.loads(capsys.readouterr().out.splitlines()[-1])


@pytest.fixture
def trained(tmp_path):
    rng = np.random.default_rng(0)
    layers = ((rng.normal(size=(19, 8)).astype(np.float32), np.zeros(8, np.float32)),)
    return PlatformPolicy(layers, PolicyMetadata("track-xy-velocity")).save(tmp_path / "policy.npz").parent


def test_a_controller_is_judged_and_the_same_seed_says_the_same(capsys):
    found = said(capsys, "lqr")
    assert found["task"] == "go-to-pose"
    assert found["episodes"] == 4
    assert found["PT1"] <= found["PT2"] <= found["PT5"] <= 1.0
    assert found["ever_1cm"] == 1.0
    assert found["intervals"]["PT5"]["low"] <= found["PT5"] <= found["intervals"]["PT5"]["high"]
    again = said(capsys, "lqr")
    assert {**again, "seconds_flown": 0} == {**found, "seconds_flown": 0}
    assert evaluate.main(["lqr", *QUICK]) == 0
    assert "within 5 cm" in capsys.readouterr().out


def test_a_policy_is_judged_at_its_task(trained, capsys):
    found = said(capsys, str(trained))
    assert found["task"] == "track-xy-velocity"
    assert found["PT5"] is None
    assert found["velocity_error"] > 0
    assert set(evaluate.STABLE) <= set(found)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["lqr-rond"], "did you mean 'lqr-round'"),
        (["lqr", "--task", "go-to-pos"], "did you mean 'go-to-pose'"),
        (["lqr", "--disturb", "flor-0.25"], "did you mean 'floor-0.25'"),
        (["lqr", "--protocol", "author"], "did you mean 'authors'"),
        (["lqr", "--envs", "0"], "0 envs"),
        ([], "missing"),
    ],
)
def test_what_is_not_known_is_said(words, message):
    with pytest.raises(UserError, match=message) as caught:
        evaluate.main(words)
    assert caught.value.mend


def test_a_policy_cannot_be_told(trained):
    with pytest.raises(UserError, match="cannot be told"):
        evaluate.main([str(trained), "--tell-dead-valves"])
