"""Judges that users write in Python: ``raters.py:function``, called on texts from inside a compiled step."""

import importlib.util
import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PyTree

from antiphon.core.errors import UserError
from antiphon.nets.llama_decoding import Prompts
from antiphon.worlds.text.tokenizer import Tokenizer

_MEND = "write def judge(prompt, first, second) -> probability, or def score(prompt, text) -> number"


@dataclass(frozen=True)
class TextJudge:
    """A function over texts.

    Attributes:
        name: as it was asked for.
        function: ``(prompt, first, second)`` to the probability that the first is preferred, or
            ``(prompt, completion)`` to a score.
        scores: which of the two.
    """

    name: str
    function: Callable[..., Any] = field(repr=False)
    scores: bool

    @staticmethod
    def load(name: str) -> "TextJudge":
        """A function by ``FILE.py:NAME``; the file is run.

        Raises:
            UserError: no such file or function, a file that fails, or another number of arguments.
        """
        path, _, wanted = name.rpartition(":")
        file = Path(path).expanduser()
        if not file.is_file():
            raise UserError(
                "file", f"there is no Python file {path or name}", "write it as raters.py:function"
            )
        spec = importlib.util.spec_from_file_location(f"antiphon_judge_{file.stem}", file)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        # Dataclasses and pickling look a module up by its name.
        sys.modules[spec.name] = module
        try:
            spec.loader.exec_module(module)
        except Exception as error:
            raise UserError(
                "judge", f"{file} fails when it is loaded ({type(error).__name__}: {error})", "mend the file"
            ) from error
        function = getattr(module, wanted, None)
        if not callable(function):
            raise UserError("judge", f"{file} has no function {wanted!r}", _MEND)
        try:
            count = len(inspect.signature(function).parameters)
        except ValueError:
            count = 0
        if count not in (2, 3):
            raise UserError("judge", f"{name} takes {count} arguments", _MEND)
        return TextJudge(name, function, scores=count == 2)

    def score(self, prompt: str, text: str) -> float:
        """What a completion is worth.

        Raises:
            UserError: the function failed, or returned no number.
        """
        return self._number(prompt, text)

    def compare(self, prompt: str, first: str, second: str) -> float:
        """The probability that the first is preferred: the mean of both orders, so that place does not count.

        Of a score s it is σ(s(first) − s(second)).

        Raises:
            UserError: the function failed, or returned no number or no probability.
        """
        if self.scores:
            gap = self._number(prompt, first) - self._number(prompt, second)
            return 1.0 / (1.0 + float(np.exp(np.clip(-gap, -500, 500))))
        there, back = self._number(prompt, first, second), self._number(prompt, second, first)
        for value in (there, back):
            if not 0 <= value <= 1:
                raise UserError(
                    "judge", f"{self.name} returned {value}, which is no probability", "return 0 to 1"
                )
        return (1.0 + (there - back)) / 2.0

    def _number(self, *texts: str) -> float:
        try:
            value = float(self.function(*texts))
        except Exception as error:
            raise UserError(
                "judge",
                f"{self.name} fails on {_short(texts)} ({type(error).__name__}: {error})",
                "mend the function",
            ) from error
        if not np.isfinite(value):
            raise UserError(
                "judge", f"{self.name} returned {value} for {_short(texts)}", "return a finite number"
            )
        return value


# Known by identity, so that a method that holds one can be an argument of a compiled function.
@dataclass(frozen=True, eq=False)
class CompiledJudge:
    """A text judge as a :class:`~antiphon.feedback.preference.Preference`, and as named rewards.

    The compiled step calls back to the host, where tokens become texts. What the function raises cannot
    pass through a compiled step: it gives NaN, and is kept in ``trouble``.

    Attributes:
        judge: the function.
        tokenizer: tokens to texts.
        asked: prompts as texts, by their token ids; others are decoded.
        trouble: what went wrong, oldest first.
    """

    judge: TextJudge
    tokenizer: Tokenizer
    asked: Mapping[tuple[int, ...], str] = field(default_factory=dict, repr=False)
    trouble: list[UserError] = field(default_factory=list)

    def __call__(
        self, params: PyTree, prompt: Prompts, first: Int[Array, "B T"], second: Int[Array, "B T"]
    ) -> Float[Array, "B"]:
        """The probability that the first is preferred."""
        del params
        return self._called_back(self.judge.compare, prompt, first, second)

    def rewards(
        self, params: PyTree, context: Prompts, tokens: Int[Array, "B T"]
    ) -> dict[str, Float[Array, "B"]]:
        """Its score as the reward ``score``.

        Raises:
            UserError: the function compares and has no score.
        """
        del params
        if not self.judge.scores:
            raise UserError(
                "judge", f"{self.judge.name} compares two texts, and a score of one is needed",
                "write def score(prompt, text), or use nash-md",
            )  # fmt: skip
        return {"score": self._called_back(self.judge.score, context, tokens)}

    def _called_back(
        self, function: Callable[..., float], prompts: Prompts, *sides: Int[Array, "B T"]
    ) -> Float[Array, "B"]:
        def on_host(tokens: Any, length: Any, *sides: Any) -> np.ndarray:
            rows = np.asarray(tokens), np.asarray(length), *map(np.asarray, sides)
            return np.array([self._one(function, *row) for row in zip(*rows, strict=True)], np.float32)

        shape = jax.ShapeDtypeStruct((prompts.length.shape[0],), jnp.float32)
        return jax.pure_callback(on_host, shape, prompts.tokens, prompts.length, *sides)

    def _one(self, function: Callable[..., float], tokens: Any, length: Any, *sides: Any) -> float:
        ids = tuple(int(token) for token in tokens[: int(length)])
        prompt = self.asked.get(ids)
        texts = [self.tokenizer.decode(_until_stop(side, self.tokenizer.stop)) for side in sides]
        try:
            return function(self.tokenizer.decode(ids) if prompt is None else prompt, *texts)
        except UserError as error:
            self.trouble.append(error)
            return float("nan")


def _until_stop(tokens: Any, stop: tuple[int, ...]) -> list[int]:
    ids = [int(token) for token in tokens]
    end = next((place for place, token in enumerate(ids) if token in stop), len(ids))
    return ids[:end]


def _short(texts: tuple[str, ...]) -> str:
    shown = " and ".join(repr(text[:40] + "…" * (len(text) > 40)) for text in texts)
    return shown if len(shown) < 200 else shown[:200] + "…"
