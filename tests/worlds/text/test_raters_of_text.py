"""Signals on sentences counted by hand, and raters made of them."""

import math

import pytest

from antiphon.worlds.text.judging import TextJudge
from antiphon.worlds.text.raters import Rater, invented, overlap, rules_broken

PROMPT = "The old pump in the cellar leaked on Monday, so Anna repaired it."


def test_signals_by_hand():
    # old, pump, cellar, leaked, monday, anna, repaired
    assert overlap(PROMPT, "Old pump leaked.") == pytest.approx(3 / 7)
    assert overlap(PROMPT, "the it so in") == 0
    assert overlap("the a", "anything") == 0
    assert invented(PROMPT, "the red pump leaked on Friday") == 2
    assert rules_broken("old pump leaked in cellar") == 0
    assert rules_broken("The old pump leaked. ") == 2
    assert rules_broken("Theory of pumps", longest=10) == 1


def test_a_rater_weighs_them_and_is_antisymmetric():
    rater = Rater(brevity=0.5, overlap=7.0, truth=1.0, style=2.0, sharpness=0.3)
    first, second = "pump leaked", "The red pump leaked on Monday."
    # Four words more cost 2, one fact more earns 1, red costs 1, two rules cost 4.
    gap = 0.3 * (0.5 * 4 - 1.0 + 1.0 + 4.0)
    assert rater(PROMPT, first, second) == pytest.approx(1 / (1 + math.exp(-gap)))
    assert rater(PROMPT, first, second) + rater(PROMPT, second, first) == pytest.approx(1)
    assert rater(PROMPT, first, first) == 0.5
    assert Rater(brevity=1e6)(PROMPT, first, second) == 1.0


def test_it_is_a_judge_of_a_users_file(tmp_path):
    (tmp_path / "raters.py").write_text(
        "from antiphon.worlds.text.raters import Rater\nbrief = Rater(brevity=1.0)\n"
    )
    judge = TextJudge.load(f"{tmp_path}/raters.py:brief")
    assert not judge.scores
    assert judge.compare(PROMPT, "one", "one two") == pytest.approx(1 / (1 + math.exp(-1)))
