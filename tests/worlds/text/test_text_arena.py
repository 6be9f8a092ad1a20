"""Judges of users, and tables of who wins."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from antiphon.core.errors import UserError
from antiphon.nets.llama_decoding import Prompts
from antiphon.worlds.text.arena import play
from antiphon.worlds.text.judging import CompiledJudge, TextJudge

SOURCE = """
def longer(prompt, text): return len(text)
def biased(prompt, first, second): return 0.9
def cats(prompt, first, second): return float(first.count("cat") > second.count("cat"))
def broken(prompt, first, second): return 1 / 0
def wild(prompt, first, second): return 3
def one(text): return 1
number = 4
"""


@pytest.fixture
def judge(tmp_path):
    (tmp_path / "raters.py").write_text(SOURCE)
    return lambda name: TextJudge.load(f"{tmp_path}/raters.py:{name}")


def test_functions_become_preferences(judge):
    assert judge("longer").compare("p", "abc", "a") == pytest.approx(1 / (1 + np.exp(-2)))
    # A judge that always prefers the first place has no opinion.
    assert judge("biased").compare("p", "x", "y") == 0.5
    assert judge("cats").compare("p", "a cat", "a dog") == 1.0


@pytest.mark.parametrize(
    ("name", "said"),
    [("nothing", "has no function"), ("number", "has no function"), ("one", "takes 1 arguments")],
)
def test_what_is_no_judge(judge, name, said):
    with pytest.raises(UserError, match=said):
        judge(name)


def test_what_fails_while_judging(judge, tmp_path):
    with pytest.raises(UserError, match="broken fails on"):
        judge("broken").compare("p", "x", "y")
    with pytest.raises(UserError, match="no probability"):
        judge("wild").compare("p", "x", "y")
    (tmp_path / "bad.py").write_text("import nothing_of_that_name")
    with pytest.raises(UserError, match="fails when it is loaded"):
        TextJudge.load(f"{tmp_path}/bad.py:x")
    with pytest.raises(UserError, match="there is no Python file"):
        TextJudge.load("nowhere.py:x")


def test_a_compiled_step_calls_the_function(judge, tokenizer):
    rows = [tokenizer.encode(text) for text in ("the mat", "the log")]
    prompts = Prompts(jnp.array([row + [0] * (9 - len(row)) for row in rows]), jnp.array([*map(len, rows)]))
    sides = []
    for texts in (("a cat", "a dog"), ("a dog", "a cat")):
        ids = [[*tokenizer.encode(text), tokenizer.stop[0], 7] for text in texts]
        sides.append(jnp.array([row + [0] * (12 - len(row)) for row in ids]))
    compiled = CompiledJudge(judge("cats"), tokenizer)
    said = jax.jit(lambda *a: compiled((), *a))(prompts, *sides)
    np.testing.assert_array_equal(said, [1.0, 0.0])
    scored = CompiledJudge(judge("longer"), tokenizer).rewards((), prompts, sides[0])
    np.testing.assert_array_equal(scored["score"], [5.0, 5.0])
    broken = CompiledJudge(judge("broken"), tokenizer)
    assert np.isnan(jax.jit(lambda *a: broken((), *a))(prompts, *sides)).all()
    assert "broken fails on" in broken.trouble[0].message


def test_the_table_and_its_intervals():
    said = [["b", "b", "b", "b"], ["a", "b", "c", "c"], ["b", "b", "b", "b"]]

    def alphabetical(prompts, firsts, seconds):
        return [float(a < b) for a, b in zip(firsts, seconds, strict=True)]

    table = play(("x", "y", "z"), list("1234"), said, alphabetical)
    np.testing.assert_allclose(table.wins, [[0.5, 0.625, 0.5], [0.375, 0.5, 0.375], [0.5, 0.625, 0.5]])
    np.testing.assert_allclose(table.wins + table.wins.T, 1)
    np.testing.assert_allclose(table.low + table.high.T, 1)
    # 2.5 wins of 4: from the bound of 2 up to that of 3.
    low, high = (stats.binomtest(k, 4).proportion_ci(method="exact") for k in (2, 3))
    assert (table.low[0, 1], table.high[0, 1]) == pytest.approx((low.low, high.high))
    with pytest.raises(UserError, match="1 model in the arena"):
        play(("x",), ["1"], [["a"]], alphabetical)
    with pytest.raises(UserError, match="did not answer the same prompts"):
        play(("x", "y"), ["1"], [["a"], []], alphabetical)
