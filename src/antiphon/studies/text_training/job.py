"""What a method is given to work with: the model as a policy, its parameters, the rows, the run."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, PyTree

from antiphon.core.errors import UserError
from antiphon.feedback.pairs import Pairs
from antiphon.nets.fixed_weights import FixedWeights
from antiphon.nets.llama import LlamaParams
from antiphon.nets.llama_decoding import Prompts
from antiphon.nets.llama_policy import LlamaPolicy
from antiphon.nets.llama_sampling import Decoding
from antiphon.nets.lora import LoRA
from antiphon.studies.text_training.settings import TextTraining
from antiphon.train.run_directory import RunDirectory
from antiphon.worlds.text.examples import Examples
from antiphon.worlds.text.judging import CompiledJudge
from antiphon.worlds.text.model import TextModel

Policy = LlamaPolicy | FixedWeights
Fixed = Mapping[str, PyTree]
"""Weights that no step changes, by what they are: ``base`` under an adapter, ``teacher``, ``judge``."""

Say = Callable[[str], None]

_LARGE = 50_000_000


class Plan(NamedTuple):
    """A method ready to run.

    Attributes:
        method: from the fixed weights to the method, whose ``step`` is ``(state, batch, key)``.
        state: to start from.
        batch: what a step reads, from the numbers of its rows.
        show: metrics for the progress line.
        fixed: weights that no step changes, beside the base of an adapter.
        written: completions that are written for each row, 0 where the rows bring them.
        passes: forward passes over prompt and completion that a step is worth; 0 where nobody counted.
        judge: a function of the user's that the step calls, if any.
        export: writes parameters as something else than a language model.
        samples: whether what is trained can write.
    """

    method: Callable[[Fixed], Any]
    state: Any
    batch: Callable[[np.ndarray], PyTree]
    show: tuple[str, ...]
    fixed: Fixed = {}  # noqa: RUF012 - a default that nobody changes
    written: int = 0
    passes: int = 0
    judge: CompiledJudge | None = None
    export: Callable[[PyTree, Any], object] | None = None
    samples: bool = True


@dataclass(frozen=True)
class Job:
    """What a method is given.

    Attributes:
        training: shared settings.
        model: what is trained, with its tokenizer.
        decoder: the same as a policy, without weights.
        params: what learns: all weights, or an adapter.
        examples: the rows.
        rate: the learning rate.
        run: where a method may keep what it trains first.
        say: tells the person who watches.
    """

    training: TextTraining
    model: TextModel
    decoder: LlamaPolicy
    params: PyTree
    examples: Examples
    rate: float
    run: RunDirectory
    say: Say

    @property
    def fixed(self) -> Fixed:
        """The frozen base of an adapter, if there is one."""
        return {} if self.decoder.lora is None else {"base": self.model.params}

    def policy(self, fixed: Fixed) -> Policy:
        """The policy whose parameters are what learns."""
        return FixedWeights(self.decoder, fixed["base"]) if "base" in fixed else self.decoder

    def network(self, params: PyTree) -> LlamaParams:
        """The decoder with these parameters, adapters attached."""
        policy = self.policy(self.fixed)
        whole = policy.whole(params) if isinstance(policy, FixedWeights) else params
        return self.decoder.network(whole)

    def prompts(self, rows: np.ndarray) -> Prompts:
        """Prompts of some rows."""
        tokens, length = self.examples.prompts
        return Prompts(tokens[rows], length[rows])

    def pairs(self, rows: np.ndarray) -> Pairs:
        """Pairs of some rows, the chosen answer first."""
        first, second = self.examples.answers, self.examples.rejected
        assert first is not None
        assert second is not None
        preferred = np.ones(len(rows), np.float32)
        return Pairs(self.prompts(rows), host(first.tokens[rows]), host(second.tokens[rows]), host(preferred))


def decoder_of(model: TextModel, training: TextTraining, new_tokens: int) -> tuple[LlamaPolicy, PyTree]:
    """A model as a policy, and what learns of it.

    Raises:
        UserError: an adapter that cannot be.
    """
    decoding = Decoding(new_tokens, model.tokenizer.stop, model.tokenizer.pad)
    if training.lora is None:
        return LlamaPolicy(model.config, decoding, training.remat), model.params
    lora = LoRA(training.lora, training.lora_alpha or 2.0 * training.lora)
    key = jax.random.fold_in(jax.random.key(training.seed), 1)
    policy = LlamaPolicy(model.config, decoding, training.remat, lora)
    return policy, lora.init(key, model.params.layers)


def default_rate(training: TextTraining, weights: int) -> float:
    """A learning rate for imitation to begin with: larger for adapters and small models."""
    if training.is_new:
        return 1e-3
    if training.lora is not None:
        return 2e-4
    return 3e-4 if weights < _LARGE else 2e-5


def require(value: str, option: str, example: str) -> str:
    """An option without which a method cannot work.

    Raises:
        UserError: it was not given.
    """
    if not value:
        raise UserError("usage", f"no {option} is given", f"add one, such as {option} {example}")
    return value


def host(array: np.ndarray) -> Array:
    """An array of the host where the types say one of jax: the loop brings it to the device."""
    return array  # pyright: ignore[reportReturnType]
