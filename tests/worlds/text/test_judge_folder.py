"""Judges in folders and out again."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from antiphon.core.errors import UserError
from antiphon.nets.llama import Llama
from antiphon.nets.llama_decoding import Prompts
from antiphon.nets.llama_judge import LlamaJudge
from antiphon.worlds.text.huggingface_folder import load_folder
from antiphon.worlds.text.judge_folder import LearnedJudge
from antiphon.worlds.text.tokenizer import Tokenizer

tokenizers = pytest.importorskip("tokenizers")
PROMPT = Prompts(jnp.array([[2, 3]]), jnp.array([2]))
A, B = jnp.array([[2, 1]]), jnp.array([[3, 3]])


def made(kind):
    words = {"<end>": 0, "a": 1, "b": 2, "c": 3}
    backend = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="<end>"))
    judge = LlamaJudge(Llama(4, 8, 1, 2, 1, 4, 8, context=16), stop=(0,), mark=0)
    params = judge.init(jax.random.key(0))
    params = params._replace(head=4 * jnp.arange(8.0), trunk=jax.tree.map(lambda w: 6 * w, params.trunk))
    return LearnedJudge(
        "made", kind, judge, params, Tokenizer(backend, (0,), 0, names={"eos_token": "<end>"})
    )


@pytest.mark.parametrize("kind", ["reward", "preference"])
def test_a_judge_comes_back_as_it_was(tmp_path, kind):
    before = made(kind)
    files = before.export(tmp_path)
    assert all(file.is_file() for file in files)
    after = LearnedJudge.load(tmp_path)
    assert (after.kind, after.judge) == (kind, before.judge)
    said = [judge.preference()(judge.params, PROMPT, A, B) for judge in (before, after)]
    np.testing.assert_array_equal(*said)
    assert abs(float(said[0][0]) - 0.5) > 0.01
    assert after.tokenizer.same_vocabulary(before.tokenizer)
    # The trunk alone is a model folder like any other.
    assert load_folder(tmp_path)[0] == before.judge.config
    if kind == "reward":
        scored = after.rewards(after.params, PROMPT, A)["score"]
        np.testing.assert_array_equal(scored, before.judge.reward(before.params, PROMPT, A))
    else:
        with pytest.raises(UserError, match="compares two texts"):
            after.rewards(after.params, PROMPT, A)


def test_what_is_no_judge_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"no judge\.json"):
        LearnedJudge.load(tmp_path)
    made("reward").export(tmp_path)
    (tmp_path / "judge.json").write_text(json.dumps({"kind": "mood", "mark": 0, "stop": [0]}))
    with pytest.raises(UserError, match="lacks kind"):
        LearnedJudge.load(tmp_path)
    odd = made("reward")
    LearnedJudge("odd", "reward", odd.judge, odd.params._replace(head=jnp.zeros(5)), odd.tokenizer).export(
        tmp_path
    )
    with pytest.raises(UserError, match=r"shape \(1, 5\)"):
        LearnedJudge.load(tmp_path)
