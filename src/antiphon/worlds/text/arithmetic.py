"""Arithmetic with written-out steps: chains of sums and products modulo 97, and what marks them.

A question is a number and four operations; the answer writes the running result after each of them. Numbers
have two digits, the last one first, so that 52 · 7 + 3, times 2, plus 9 reads

    25*7+3*2+9=   37,67,55,46,          52 · 7 = 73,  73 + 3 = 76,  76 · 2 = 55,  55 + 9 = 64  (mod 97)

and every question and every answer has one length. A step follows from the result *as written* before it, so
what a teacher says next is right after a student's mistake too. There are 97 · 8 · 2 = 1,552 such facts and
nothing else to know, so that what is learnt grows smoothly with what was seen.
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from antiphon.core.errors import UserError
from antiphon.nets.llama_decoding import Prompts

LETTERS = "0123456789+*=,"
"""The vocabulary: a token is its place here."""

_PLUS, _TIMES, _EQUALS, _COMMA = (LETTERS.index(letter) for letter in "+*=,")
_SMALLEST, _LARGEST = 2, 9


class Exercises(NamedTuple):
    """Questions and their right answers, as tokens.

    Attributes:
        questions: ``[N, 3 + 2 K]`` for K operations.
        answers: ``[N, 3 K]``.
    """

    questions: Int[Array, "N P"]
    answers: Int[Array, "N T"]

    def prompts(self) -> Prompts:
        """The questions as the context of a text policy."""
        return prompts(self.questions)


@dataclass(frozen=True)
class Chain:
    """Chains of one length.

    Attributes:
        operations: K, steps of a chain.
        modulus: results are remainders by it; below 101 to have two digits.

    Raises:
        UserError: no operation, or remainders that are not two digits.
    """

    operations: int = 4
    modulus: int = 97

    def __post_init__(self) -> None:
        if self.operations < 1:
            raise UserError("config", f"a chain of {self.operations} operations", "ask for at least one")
        if not 2 <= self.modulus <= 100:
            raise UserError("config", f"the modulus is {self.modulus}", "give a number from 2 to 100")

    @property
    def question_length(self) -> int:
        """Tokens of a question."""
        return 3 + 2 * self.operations

    @property
    def answer_length(self) -> int:
        """Tokens of an answer."""
        return 3 * self.operations

    def draw(self, key: PRNGKeyArray, count: int) -> Exercises:
        """``count`` exercises: start, signs and digits 2 … 9 uniform and independent. Jittable."""
        key_start, key_sign, key_digit = jax.random.split(key, 3)
        shape = (count, self.operations)
        start = jax.random.randint(key_start, (count,), 0, self.modulus)
        times = jax.random.bernoulli(key_sign, 0.5, shape)
        digit = jax.random.randint(key_digit, shape, _SMALLEST, _LARGEST + 1)
        signs = jnp.stack([jnp.where(times, _TIMES, _PLUS), digit], axis=-1).reshape(count, -1)
        end = jnp.full((count, 1), _EQUALS)
        questions = jnp.concatenate([_digits(start), signs, end], axis=1).astype(jnp.int32)
        return Exercises(questions, self.answers(questions))

    def answers(self, questions: Int[Array, "N P"]) -> Int[Array, "N T"]:
        """The right answers. Jittable."""
        result = questions[:, 0] + 10 * questions[:, 1]
        written = []
        for step in range(self.operations):
            sign, digit = questions[:, 2 + 2 * step], questions[:, 3 + 2 * step]
            result = jnp.where(sign == _TIMES, result * digit, result + digit) % self.modulus
            written += [_digits(result), jnp.full((len(questions), 1), _COMMA)]
        return jnp.concatenate(written, axis=1).astype(jnp.int32)

    def right(self, context: Prompts, tokens: Int[Array, "N T"]) -> Float[Array, "N"]:
        """1 where the last result is the right one, else 0; a reward.

        Args:
            context: the questions.
            tokens: what was answered.
        """
        wanted = self.answers(context.tokens)[:, -3:]
        return jnp.all(tokens[:, -3:] == wanted, axis=1).astype(jnp.float32)

    def right_steps(self, context: Prompts, tokens: Int[Array, "N T"]) -> Float[Array, "N"]:
        """Share of the steps that follow from the result as it was written before them."""
        start = context.tokens[:, :2]
        before = jnp.concatenate([start, *(tokens[:, 3 * k : 3 * k + 2] for k in range(self.operations))], 1)
        follows = []
        for step in range(self.operations):
            sign, digit = context.tokens[:, 2 + 2 * step], context.tokens[:, 3 + 2 * step]
            last = before[:, 2 * step] + 10 * before[:, 2 * step + 1]
            result = jnp.where(sign == _TIMES, last * digit, last + digit) % self.modulus
            follows.append(jnp.all(tokens[:, 3 * step : 3 * step + 2] == _digits(result), axis=1))
        return jnp.mean(jnp.stack(follows), axis=0)


def prompts(questions: Int[Array, "N P"]) -> Prompts:
    """Questions as the context of a text policy."""
    return Prompts(questions, jnp.full(questions.shape[0], questions.shape[1], jnp.int32))


def write(tokens: Int[Array, "*N T"]) -> list[str]:
    """Tokens as text, a string for each row."""
    rows = np.asarray(tokens).reshape(-1, np.shape(tokens)[-1])
    return ["".join(LETTERS[token] for token in row) for row in rows]


def read(text: str) -> Int[Array, " T"]:
    """Text as tokens.

    Raises:
        UserError: a letter that is not in the vocabulary.
    """
    odd = next((letter for letter in text if letter not in LETTERS), None)
    if odd is not None:
        raise UserError("prompt", f"{text!r} has the letter {odd!r}", f"write with {LETTERS} only")
    return jnp.asarray([LETTERS.index(letter) for letter in text], jnp.int32)


def _digits(number: Int[Array, "N"]) -> Int[Array, "N 2"]:
    """The last digit, then the first."""
    return jnp.stack([number % 10, number // 10], axis=-1)
