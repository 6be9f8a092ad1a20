import json

import pytest

from antiphon.cli.main import main


def asked(capsys, *words):
    status = main(["meanfield", "imitate", *words, "--json"])
    return status, json.loads(capsys.readouterr().out.splitlines()[-1])


def test_a_clone_of_the_whole_expert_has_no_gap(capsys):
    status, found = asked(
        capsys, "--game", "amplifier", "--method", "cloning", "--demonstrations", "0", "--set", "horizon=4"
    )
    assert status == 0
    assert (found["gap"], found["value_gap"], found["proxy_error"], found["bound"]) == (0.0, 0.0, 0.0, 0.0)
    assert found["method"] == "cloning"
    assert found["constants"]["kernel"] == pytest.approx(1.0)


def test_an_expert_is_found_and_imitated(capsys):
    words = ("--game", "left-right", "--demonstrations", "300", "--iterations", "50", "--seed", "1")
    status, found = asked(capsys, *words)
    assert status == 0
    assert found["expert_exploitability"] < 1e-6
    assert 0 < found["proxy_error"] < 0.3
    assert 0 <= found["gap"] <= found["bound"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--game", "amplifier", "--method", "gail"], "no method 'gail'"),
        (["--game", "amplifier", "--divergence", "kl"], "no divergence 'kl'"),
        (["--game", "amplifier", "--demonstrations", "-1"], "--demonstrations is -1"),
        (["--game", "sis"], "not a game of one population"),
        (["--game", "amplifier", "--expert", "nowhere.npz"], "no file nowhere.npz"),
    ],
)
def test_wrong_words_are_said(capsys, words, said):
    status, found = asked(capsys, *words)
    assert status == 2
    assert said in found["error"]["message"]
