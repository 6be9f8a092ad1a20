"""Rows as arrays: what is masked, what is too long, which rows a step reads."""

from pathlib import Path

import numpy as np
import pytest

from antiphon.core.errors import UserError
from antiphon.worlds.text.examples import rows_of_step, tokenise
from antiphon.worlds.text.records import Record, Records

ROWS = Records(Path("rows.jsonl"), (
    Record(1, "the cat", " sat"), Record(3, "the dog on the log", " and the end"), Record(4, "x" * 40, " y"),
))  # fmt: skip


def test_completions_end_with_a_stop_and_only_they_count(tokenizer):
    examples = tokenise(ROWS, tokenizer, 200, answers=True, plain=True)
    answers = examples.answers
    assert answers is not None
    assert examples.rejected is None
    for row, record in enumerate(ROWS.good):
        length = int(examples.prompts.length[row])
        prompt = tuple(int(i) for i in examples.prompts.tokens[row, :length])
        assert tokenizer.decode(prompt) == record.prompt
        assert examples.asked[prompt] == record.prompt
        counted = answers.tokens[row][answers.mask[row] > 0]
        assert counted[-1] == tokenizer.stop[0]
        assert tokenizer.decode(counted[:-1]) == record.completion
    assert examples.lines.tolist() == [1, 3, 4]
    slots = examples.prompts.tokens.size + answers.tokens.size
    assert examples.tokens == int(examples.prompts.length.sum() + answers.mask.sum())
    assert examples.padding == pytest.approx(1 - examples.tokens / slots)


def test_texts_go_through_the_chat_template_unless_plain(tokenizer):
    chat = tokenise(ROWS, tokenizer, 200, answers=True)
    assert tuple(tokenizer.encode_chat([{"role": "user", "content": "the cat"}])) in chat.asked
    assert (
        tuple(tokenizer.encode("the cat")) in tokenise(ROWS, tokenizer, 200, answers=True, plain=True).asked
    )


def test_what_is_too_long_is_named(tokenizer):
    short = tokenise(ROWS, tokenizer, 200, answers=True, plain=True, prompt_tokens=20)
    assert [row.line for row in short.bad] == [4]
    assert "has a prompt of 40 tokens, more than the 20 allowed" in short.bad[0].reason
    brief = tokenise(ROWS, tokenizer, 200, answers=True, plain=True, new_tokens=3)
    assert "has a completion of" in brief.bad[0].reason
    # Sampling needs room for all new tokens, whatever the row's own completion takes.
    assert not tokenise(ROWS, tokenizer, 48, answers=True, plain=True).bad
    room = tokenise(ROWS, tokenizer, 48, answers=True, plain=True, new_tokens=16, sampled=True)
    assert [row.line for row in room.bad] == [4]
    assert room.prompts.tokens.shape[1] + 16 <= 48
    with pytest.raises(UserError, match=r"none of the 3 rows of .* fits the model: line 1"):
        tokenise(ROWS, tokenizer, 2, answers=True, plain=True)


def test_every_row_comes_once_before_any_comes_again():
    rows = rows_of_step(10, 4, seed=3)
    seen = np.concatenate([rows(step) for step in range(5)])
    assert sorted(seen[:10]) == sorted(seen[10:]) == list(range(10))
    assert seen[:10].tolist() != seen[10:].tolist()
    again = rows_of_step(10, 4, seed=3)
    assert again(4).tolist() == rows(4).tolist()  # no memory of the steps before
    assert rows_of_step(10, 4, seed=4)(0).tolist() != rows(0).tolist()
    assert len(set(rows_of_step(2, 6, seed=0)(0).tolist())) == 2
