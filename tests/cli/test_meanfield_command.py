import json

import pytest

from antiphon.cli.main import main
from antiphon.core.errors import UserError

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
    assert set(played["epsilon"]) == {"minor", "major"}
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


def test_plays_and_draws_a_plain_game_with_n_players(capsys, tmp_path):
    words = ["--game", "left-right", "--solver", "mirror-descent", "--iterations", "60", "--out", "s.npz"]
    status, found = asked(capsys, "solve", *words)
    assert status == 0
    status, played = asked(capsys, "simulate", "s.npz", "--players", "4", "--paths", "3000")
    assert status == 0
    assert played["limit"] == found["history"][-1]["value"] == pytest.approx(-2 / 3, abs=1e-3)
    # Four players at (2/3, 1/3) sit less evenly than a crowd: each share has variance 2/36, at a cost of 3.
    assert played["finite"]["low"] < -2 / 3 - 3 * 2 / 36 < played["finite"]["high"]
    assert played["one_deviates"]["estimate"] <= 0
    # Of four, one who always goes left costs itself 3/4, right 1, and one who does as all do 5/6.
    epsilon = played["epsilon"]
    assert any(epsilon["low"] < gain < epsilon["high"] for gain in (5 / 6 - 3 / 4, 5 / 6 - 1))
    pytest.importorskip("matplotlib")
    status, drawn = asked(capsys, "plot", "s.npz", "--out", "pictures")
    assert status == 0
    for file in drawn["files"]:
        assert (tmp_path / file).read_bytes().startswith(b"\x89PNG")


def test_entropy_is_priced(capsys):
    words = ["solve", "--game", "left-right", "--iterations", "40"]
    soft = [*words, "--solver", "munchausen", "--temperature", "0.5", "--step-size", "0.5", "--tau", "0.5"]
    status, found = asked(capsys, *soft)
    assert status == 0
    assert abs(found["history"][-1]["exploitability"]) < 1e-4


def test_a_game_without_an_end_is_solved_but_not_drawn(capsys):
    words = ["--game", "susceptible-infected", "--solver", "mirror-descent", "--step-size", "0.1"]
    status, found = asked(capsys, "solve", *words, "--discount", "0.9", "--iterations", "50", "-o", "s.npz")
    assert status == 0
    assert found["discount"] == 0.9
    assert found["history"][-1]["exploitability"] < 0.5 * found["history"][0]["exploitability"]
    status, found = asked(capsys, "plot", "s.npz")
    assert status == 2
    assert "without an end" in found["error"]["message"]


def test_all_solvers_take_a_step():
    from antiphon.cli.meanfield.solvers import SOLVERS, find_solver
    from antiphon.equilibrium import FlowProblem, PartitionProblem, mean_field_game
    from antiphon.worlds.meanfield.left_right import LeftRight

    problem = FlowProblem(mean_field_game(LeftRight()))
    for name in SOLVERS:
        if name in ("stackelberg", "newton"):  # The one has no major player here, the other no float64.
            continue
        solver = find_solver(name, problem, None, None)
        assert solver.policy(solver.init(problem, problem.uniform())).shape == (2, 3, 2)
    grid = PartitionProblem(*[None] * 6)
    for name in ("mf-omo", "mean-field-control"):
        with pytest.raises(UserError, match="without a major player"):
            find_solver(name, grid, None, None)


def test_a_beginners_error_is_one_sentence_and_status_two(capsys, tmp_path):
    (tmp_path / "town.py").write_text(GAME.format(right="0.8"))
    status, found = asked(capsys, "solve", "--game", "town.py:Town")
    assert status == 2
    assert "state 0, action 0, time 0" in found["error"]["message"]
    assert "sum to 1" in found["error"]["mend"]


def test_a_logarithm_of_nobody_is_said(capsys, tmp_path):
    game = GAME.format(right="0.9").replace("[0.5, 0.5]", "[1.0, 0.0]").replace("-mean", "-jnp.log(mean")
    (tmp_path / "town.py").write_text(game.replace("field[state]", "field[state])"))
    status, found = asked(capsys, "solve", "--game", "town.py:Town", "--iterations", "2")
    assert status == 2
    assert "no finite number at iteration 0" in found["error"]["message"]


@pytest.mark.parametrize(
    ("words", "nearest"),
    [
        (["solve", "--game", "buffett"], "did you mean 'buffet'"),
        (["solve", "--game", "four-room"], "did you mean 'four-rooms'"),
        (["solve", "--game", "sis", "--solver", "fictitous-play"], "did you mean 'fictitious-play'"),
        (["simulat", "x"], "did you mean 'simulate'"),
    ],
)
def test_the_nearest_name_is_offered(capsys, words, nearest):
    status, found = asked(capsys, *words)
    assert status == 2
    assert nearest in found["error"]["mend"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["solve", "--game", "sars"], "no game 'sars'"),
        (["solve", "--game", "left-right", "--tau", "-1"], "--tau is -1.0"),
        (["solve", "--game", "nowhere.py:Game"], "no file nowhere.py"),
        (["solve", "--game", "left-right", "--solver", "quasi"], "no solver 'quasi'"),
        (["solve", "--game", "left-right", "--solver", "stackelberg"], "no major player"),
        (["solve", "--game", "left-right", "--solver", "newton"], "single precision"),
        (
            ["solve", "--game", "left-right", "--solver", "fixed-point", "--step-size", "3"],
            "--step-size is 3",
        ),
        (["solve", "--game", "predator-prey", "--solver", "newton", "--float64"], "one population"),
        (["simulate", "nothing.npz"], "no file nothing.npz"),
        (["dance"], "no verb 'dance'"),
    ],
)
def test_wrong_words_are_said(capsys, words, said):
    status, found = asked(capsys, *words)
    assert status == 2
    assert said in found["error"]["message"]
