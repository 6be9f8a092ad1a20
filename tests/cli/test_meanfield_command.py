import json

import pytest

from antiphon.cli.main import main

GAME = """
import jax.numpy as jnp
from antiphon.equilibrium import rules

@rules
class Town:
    cost: float = 0.5
    horizon: int = 4
    n_states = 2
    n_actions = 2
    def start(self):
        return jnp.array([0.5, 0.5])
    def next_state(self, state, action, mean_field, time):
        return jnp.where(jnp.arange(2) == action, {right}, 0.1)
    def reward(self, state, action, mean_field, time):
        return -mean_field[state] - self.cost * (state != action)
"""


def asked(capsys, *words):
    status = main(["meanfield", *words, "--json"])
    return status, json.loads(capsys.readouterr().out.strip().splitlines()[-1])


@pytest.fixture(autouse=True)
def _here(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)


def test_solves_plays_and_draws_a_game_with_a_major_player(capsys, tmp_path):
    words = [
        "--game",
        "advertisement",
        "--grid",
        "4",
        "--iterations",
        "3",
        "--paths",
        "16",
        "--set",
        "horizon=4",
    ]
    status, found = asked(capsys, "solve", *words, "--out", "solution.npz")
    assert status == 0
    assert [entry["iteration"] for entry in found["history"]] == [0, 1, 2, 3]
    for name in ("exploitability", "value", "true_value"):
        assert set(found["history"][-1][name]) == {"minor", "major"}
    assert found["seconds_per_iteration"] > 0
    assert found["compile_seconds"] > 0
    status, played = asked(capsys, "simulate", "solution.npz", "--players", "50", "--paths", "20")
    assert status == 0
    assert played["grid"] == found["history"][-1]["value"]
    assert played["finite"]["minor"]["low"] <= played["finite"]["minor"]["high"]
    pytest.importorskip("matplotlib")
    status, drawn = asked(capsys, "plot", "solution.npz", "--out", "pictures")
    assert status == 0
    for file in drawn["files"]:
        assert (tmp_path / file).read_bytes().startswith(b"\x89PNG")


def test_solves_a_plain_game_from_a_file(capsys, tmp_path):
    (tmp_path / "town.py").write_text(GAME.format(right="0.9"))
    status, found = asked(
        capsys, "solve", "--game", "town.py:Town", "--solver", "mirror-descent", "--iterations", "50"
    )
    assert status == 0
    assert found["history"][-1]["exploitability"] < found["history"][0]["exploitability"]
    assert found["history"][-1]["true_value"] == pytest.approx(found["history"][-1]["value"], rel=1e-6)


def test_a_beginners_error_is_one_sentence_and_status_two(capsys, tmp_path):
    (tmp_path / "town.py").write_text(GAME.format(right="0.8"))
    status, found = asked(capsys, "solve", "--game", "town.py:Town")
    assert status == 2
    assert "state 0, action 0, time 0" in found["error"]["message"]
    assert "sum to 1" in found["error"]["mend"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["solve", "--game", "sars"], "no game 'sars'"),
        (["solve", "--game", "nowhere.py:Game"], "no file nowhere.py"),
        (["solve", "--game", "left-right", "--solver", "newton"], "no solver 'newton'"),
        (["solve", "--game", "left-right", "--solver", "stackelberg"], "no major player"),
        (["simulate", "nothing.npz"], "no file nothing.npz"),
        (["dance"], "no verb 'dance'"),
    ],
)
def test_wrong_words_are_said(capsys, words, said):
    status, found = asked(capsys, *words)
    assert status == 2
    assert said in found["error"]["message"]
