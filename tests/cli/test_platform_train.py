"""antiphon platform: the verbs there are, and a training from the command line."""

import importlib
import json

import pytest

from antiphon.cli.platform import main, verbs
from antiphon.core.errors import UserError
from antiphon.worlds.platform.policy_search import bundled_policies, bundled_spatial_policies, find_policy


def test_every_verb_has_its_module(capsys):
    for verb in verbs.VERBS:
        assert callable(importlib.import_module(f"antiphon.cli.platform.{verb}").main)
    assert main(["--help"]) == 0
    said = capsys.readouterr().out
    assert all(about in said for about in verbs.VERBS.values())
    with pytest.raises(UserError, match="did you mean 'train'"):
        main(["trian"])


def test_training_writes_a_policy_and_says_how_fast(tmp_path, capsys):
    words = ["train", "--task", "track-xy-velocity", "--steps", "600", "--envs", "16", "--seed", "2"]
    assert main([*words, "--energy", "0.3", "--out", str(tmp_path / "run"), "--json"]) == 0
    said = capsys.readouterr()
    found = json.loads(said.out.splitlines()[-1])
    assert found["policy"] == str(tmp_path / "run" / "policy.npz")
    assert found["steps"] == 1024
    assert {"seconds", "steps_per_second", "compile_seconds"} <= set(found)
    assert "velocity error" in said.err
    policy = find_policy(found["policy"])
    assert (policy.metadata.task, policy.metadata.seed) == ("track-xy-velocity", 2)


def test_a_training_is_resumed_with_its_own_settings(tmp_path, capsys):
    words = ["train", "--task", "go-to-xyz", "--steps", "500", "--envs", "16", "--seed", "2"]
    assert main([*words, "--out", str(tmp_path / "run")]) == 0
    assert main(["train", "--resume", str(tmp_path / "run"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (found["task"], found["seed"], found["steps"]) == ("go-to-xyz", 2, 512)
    policy = find_policy(tmp_path / "run")
    assert (policy.metadata.observation, policy.metadata.valves) == ("spatial", 16)
    with pytest.raises(UserError, match="leave all but --resume"):
        main(["train", "--resume", str(tmp_path / "run"), "--steps", "9"])
    with pytest.raises(UserError, match="no training to resume"):
        main(["train", "--resume", str(tmp_path / "nowhere")])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--task", "go-to-pos"), "did you mean 'go-to-pose'"),
        (("--disturb", "flor-0.25"), "floor-0.25"),
        (("--envs", "17"), "do not divide"),
        (("--seconds", "-1"), "positive"),
    ],
)
def test_wrong_arguments_are_said_before_anything_is_written(words, said, tmp_path):
    with pytest.raises(UserError, match=said):
        main(["train", *words, "--out", str(tmp_path / "run")])
    assert not (tmp_path / "run").exists()


def test_a_folder_that_cannot_be_made_is_said_before_training(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be made"):
        main(["train", "--out", str(tmp_path / "file" / "run")])


def test_bundled_policies_are_for_the_task_of_their_name():
    bundled = bundled_policies()
    assert {"go-to-pose", "go-to-pose-robust"} <= set(bundled)
    for name in bundled | bundled_spatial_policies():
        metadata = find_policy(name).metadata
        assert metadata.task == name.removesuffix("-robust")
        assert (metadata.observation == "adaptive") == name.endswith("-robust")
