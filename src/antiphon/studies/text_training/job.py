"""What a method is given to work with: the model as a policy, its parameters, the rows."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import PyTree

from antiphon.core.errors import UserError
from antiphon.nets.fixed_weights import FixedWeights
from antiphon.nets.llama import LlamaParams
from antiphon.nets.llama_decoding import Prompts
from antiphon.nets.llama_policy import LlamaPolicy
from antiphon.nets.llama_sampling import Decoding
from antiphon.nets.lora import LoRA
from antiphon.studies.text_training.settings import TextTraining
from antiphon.worlds.text.examples import Examples
from antiphon.worlds.text.judging import CompiledJudge
from antiphon.worlds.text.model import TextModel

Policy = LlamaPolicy | FixedWeights

_LARGE = 50_000_000


class Plan(NamedTuple):
    """A method ready to run.

    Attributes:
        step: ``(state, batch, key) -> (state, metrics)``.
        state: to start from.
        batch: what a step reads, from the numbers of its rows.
        params_of: the policy's parameters in a state.
        show: metrics for the progress line.
        written: completions that are written for each row, 0 where the rows bring them.
        passes: forward passes over the rows that a step is worth; 0 where nobody counted.
        judge: a function that the step calls, if any.
    """

    step: Callable[[Any, Any, Any], tuple[Any, Any]]
    state: PyTree
    batch: Callable[[np.ndarray], PyTree]
    params_of: Callable[[Any], PyTree]
    show: tuple[str, ...]
    written: int = 0
    passes: int = 0
    judge: CompiledJudge | None = None


@dataclass(frozen=True)
class Job:
    """What a method is given.

    Attributes:
        training: shared settings.
        model: what is trained, with its tokenizer.
        policy: the same as a SequenceModel.
        params: of the policy: all weights, or an adapter.
        lora: which weights are adapted, if any.
        examples: the rows.
        rate: the learning rate.
    """

    training: TextTraining
    model: TextModel
    policy: Policy
    params: PyTree
    lora: LoRA | None
    examples: Examples
    rate: float

    def prompts(self, rows: np.ndarray) -> Prompts:
        """Prompts of some rows."""
        tokens, length = self.examples.prompts
        return Prompts(tokens[rows], length[rows])

    def weights(self, params: PyTree) -> LlamaParams:
        """The decoder with these parameters, adapters attached."""
        network = self.policy.policy.network if isinstance(self.policy, FixedWeights) else self.policy.network
        whole = self.policy.whole(params) if isinstance(self.policy, FixedWeights) else params
        return network(whole)

    @property
    def decoding(self) -> Decoding:
        """How completions are written."""
        return (self.policy.policy if isinstance(self.policy, FixedWeights) else self.policy).decoding


def policy_of(
    model: TextModel, training: TextTraining, new_tokens: int
) -> tuple[Policy, PyTree, LoRA | None]:
    """A model as a policy, its parameters, and the adapter's kind.

    Raises:
        UserError: an adapter that cannot be.
    """
    decoding = Decoding(new_tokens, model.tokenizer.stop, model.tokenizer.pad)
    if training.lora is None:
        return LlamaPolicy(model.config, decoding, training.remat), model.params, None
    lora = LoRA(training.lora, training.lora_alpha or 2.0 * training.lora)
    policy = LlamaPolicy(model.config, decoding, training.remat, lora)
    key = jax.random.fold_in(jax.random.key(training.seed), 1)
    return FixedWeights(policy, model.params), lora.init(key, model.params.layers), lora


def fixed(model: TextModel, decoding: Decoding) -> FixedWeights:
    """A model that stays as it is, such as a teacher; its parameters are ``()``."""
    return FixedWeights(LlamaPolicy(model.config, decoding), model.params)


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
