"""Chains modulo 97: answers worked out by hand and by plain Python, and what counts as right."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from antiphon.core.errors import UserError
from antiphon.worlds.text.arithmetic import Chain, prompts, read, write

CHAIN = Chain()


def answer_in_python(question, modulus=97):
    result, written = int(question[1] + question[0]), []
    for sign, digit in zip(question[2:-1:2], question[3:-1:2], strict=True):
        result = (result * int(digit) if sign == "*" else result + int(digit)) % modulus
        written.append(f"{result:02d}"[::-1] + ",")
    return "".join(written)


def test_golden():
    # 52 · 7 = 364 = 73; 73 + 3 = 76; 76 · 2 = 152 = 55; 55 + 9 = 64.
    assert write(CHAIN.answers(read("25*7+3*2+9=")[None])) == ["37,67,55,46,"]


@pytest.mark.parametrize("chain", [CHAIN, Chain(operations=2, modulus=13)])
def test_answers_are_those_of_plain_python(chain):
    drawn = chain.draw(jax.random.key(0), 500)
    questions, answers = write(drawn.questions), write(drawn.answers)
    assert drawn.questions.shape == (500, chain.question_length)
    assert drawn.answers.shape == (500, chain.answer_length)
    assert answers == [answer_in_python(question, chain.modulus) for question in questions]
    assert len(set(questions)) > 450
    seen = set("".join(question[2:-1] for question in questions))
    assert seen == set("+*23456789")


def test_what_is_right():
    drawn = CHAIN.draw(jax.random.key(1), 64)
    context = drawn.prompts()
    np.testing.assert_array_equal(CHAIN.right(context, drawn.answers), 1)
    np.testing.assert_array_equal(CHAIN.right_steps(context, drawn.answers), 1)
    wrong_end = drawn.answers.at[:, -3].set((drawn.answers[:, -3] + 1) % 10)
    np.testing.assert_array_equal(CHAIN.right(context, wrong_end), 0)
    np.testing.assert_array_equal(CHAIN.right_steps(context, wrong_end), 0.75)


def test_a_step_that_follows_from_a_wrong_one_is_right():
    context = prompts(read("25*7+3*2+9=")[None])
    # 74 is wrong; 77, 57 and 66 follow from it.
    carried = read("47,77,75,66,")[None]
    assert CHAIN.right_steps(context, carried)[0] == 0.75
    assert CHAIN.right(context, carried)[0] == 0


def test_the_same_key_is_the_same_exercises():
    first, second = (CHAIN.draw(jax.random.key(3), 8) for _ in range(2))
    assert (first.questions == second.questions).all()
    assert (jax.jit(CHAIN.answers)(first.questions) == first.answers).all()
    assert (CHAIN.draw(jax.random.key(4), 8).questions != jnp.asarray(first.questions)).any()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Chain(operations=0), "0 operations"),
        (lambda: Chain(modulus=1), "modulus is 1"),
        (lambda: read("12-3="), "'-'"),
    ],
)
def test_what_cannot_be_is_refused(make, said):
    with pytest.raises(UserError, match=said):
        make()
