"""A decoder whose large weights are not part of what a method trains, copies, averages or saves.

A method keeps its parameters several times over: policy, reference, average, the optimiser's moments,
checkpoints. With LoRA only the factors change, so only they should be parameters; a teacher has none. Build
the model inside the step, from weights that the step is handed (``fixed`` of
:func:`~antiphon.train.fit.fit`): what a compiled function closes over becomes a constant of its program.
"""

from dataclasses import dataclass

from jaxtyping import Array, Float, Int, PRNGKeyArray

from antiphon.nets.llama import LlamaParams
from antiphon.nets.llama_decoding import Prompts
from antiphon.nets.llama_policy import Adapted, LlamaPolicy
from antiphon.nets.lora import Factors

Adapter = dict[str, Factors] | tuple[()]
"""Factors by matrix, or ``()`` for the fixed weights alone."""


# Known by identity: arrays have no hash, and jax.jit asks for one.
@dataclass(frozen=True, eq=False)
class FixedWeights:
    """A :class:`~antiphon.nets.sequence_model.SequenceModel` whose parameters are an adapter, or nothing.

    Attributes:
        policy: the decoder, with ``lora`` if there is to be an adapter.
        weights: those that stay.
    """

    policy: LlamaPolicy
    weights: LlamaParams

    def logits(self, params: Adapter, tokens: Int[Array, "B T"], context: Prompts) -> Float[Array, "B T V"]:
        """As a SequenceModel has them."""
        return self.policy.logits(self.whole(params), tokens, context)

    def sample(
        self,
        params: Adapter,
        key: PRNGKeyArray,
        context: Prompts,
        *,
        temperature: float | Float[Array, ""] = 1.0,
    ) -> Int[Array, "B T"]:
        """One completion for each prompt."""
        return self.policy.sample(self.whole(params), key, context, temperature=temperature)

    def sample_mixture(
        self,
        params: Adapter,
        other: Adapter,
        key: PRNGKeyArray,
        context: Prompts,
        *,
        share: float | Float[Array, ""],
        temperature: float | Float[Array, ""] = 1.0,
    ) -> Int[Array, "B T"]:
        """Completions of the mixture of two adapters on the same weights."""
        return self.policy.sample_mixture(
            self.whole(params), self.whole(other), key, context, share=share, temperature=temperature
        )

    def sample_beside(
        self,
        params: Adapter,
        other: Adapter,
        keys: tuple[PRNGKeyArray, PRNGKeyArray],
        context: Prompts,
        *,
        counts: tuple[int, int],
        share: float | Float[Array, ""],
        temperature: float | Float[Array, ""] = 1.0,
    ) -> tuple[Int[Array, "B T"], Int[Array, "C T"]]:
        """Completions of one adapter, and of its mixture with another."""
        both = self.whole(params), self.whole(other)
        return self.policy.sample_beside(
            *both, keys, context, counts=counts, share=share, temperature=temperature
        )

    def states(self, params: Adapter, tokens: Int[Array, "B T"], context: Prompts) -> Float[Array, "B T d"]:
        """What the decoder knows before each token of the completions."""
        return self.policy.states(self.whole(params), tokens, context)

    def head(self, params: Adapter, states: Float[Array, "*B d"]) -> Float[Array, "*B V"]:
        """Scores from :meth:`states`."""
        return self.policy.head(self.whole(params), states)

    def chosen(self, context: Prompts, tokens: Int[Array, "B T"]) -> Float[Array, "B T"]:
        """1 on the tokens the policy chose, its stop included; 0 on the padding."""
        return self.policy.chosen(context, tokens)

    def whole(self, params: Adapter) -> LlamaParams | Adapted:
        """Parameters of ``policy``."""
        return Adapted(self.weights, params) if isinstance(params, dict) else self.weights
