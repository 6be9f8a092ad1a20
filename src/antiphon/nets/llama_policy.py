"""A decoder as a policy: completions of prompts, drawn or scored."""

from dataclasses import dataclass, field
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from antiphon.nets.llama import Llama, LlamaParams, head_logits, hidden_states
from antiphon.nets.llama_decoding import Prompts, positions_of
from antiphon.nets.llama_sampling import (
    Completions,
    Decoding,
    chosen_tokens,
    generate,
    generate_beside,
    generate_mixture,
)
from antiphon.nets.lora import Factors, LoRA


class Adapted(NamedTuple):
    """Weights of a policy with LoRA: those that stay, and those that learn.

    Attributes:
        base: frozen; its gradient is zero.
        adapter: factors by matrix.
    """

    base: LlamaParams
    adapter: dict[str, Factors]


@dataclass(frozen=True)
class LlamaPolicy:
    """A :class:`~antiphon.nets.sequence_model.SequenceModel` whose context is :class:`Prompts`.

    Attributes:
        config: sizes of the decoder.
        decoding: length and end of its completions.
        remat: whether the backward pass computes the layers again instead of keeping what they held.
        lora: which matrices are adapted; parameters are then :class:`Adapted`, else ``LlamaParams``.
    """

    config: Llama
    decoding: Decoding = field(default_factory=Decoding)
    remat: bool = False
    lora: LoRA | None = None

    def logits(
        self, params: LlamaParams | Adapted, tokens: Int[Array, "B T"], context: Prompts
    ) -> Float[Array, "B T V"]:
        """As a SequenceModel has them, ``[B, T, V]``; for large V use :meth:`states` and :meth:`head`."""
        return self.head(params, self.states(params, tokens, context))

    def sample(
        self,
        params: LlamaParams | Adapted,
        key: PRNGKeyArray,
        context: Prompts,
        *,
        temperature: float | Float[Array, ""] = 1.0,
    ) -> Int[Array, "B T"]:
        """One completion for each prompt, padded to ``decoding.new_tokens``."""
        return self.complete(params, key, context, temperature=temperature).tokens

    def complete(
        self,
        params: LlamaParams | Adapted,
        key: PRNGKeyArray,
        context: Prompts,
        *,
        temperature: float | Float[Array, ""] = 1.0,
    ) -> Completions:
        """Completions with their log-probabilities and lengths; see :func:`generate`."""
        return generate(self.network(params), self.config, context, key, self.decoding, temperature)

    def sample_mixture(
        self,
        params: LlamaParams | Adapted,
        other: LlamaParams | Adapted,
        key: PRNGKeyArray,
        context: Prompts,
        *,
        share: float | Float[Array, ""],
        temperature: float | Float[Array, ""] = 1.0,
    ) -> Int[Array, "B T"]:
        """Completions of the mixture with ``share`` of ``other``; see :func:`generate_mixture`."""
        both = self.network(params), self.network(other)
        configs = self.config, self.config
        return generate_mixture(both, configs, context, key, share, self.decoding, temperature).tokens

    def sample_beside(
        self,
        params: LlamaParams | Adapted,
        other: LlamaParams | Adapted,
        keys: tuple[PRNGKeyArray, PRNGKeyArray],
        context: Prompts,
        *,
        counts: tuple[int, int],
        share: float | Float[Array, ""],
        temperature: float | Float[Array, ""] = 1.0,
    ) -> tuple[Int[Array, "B T"], Int[Array, "C T"]]:
        """Completions of the policy and of the mixture in one loop; see :func:`generate_beside`."""
        both = self.network(params), self.network(other)
        configs = self.config, self.config
        drawn = generate_beside(both, configs, context, keys, share, self.decoding, temperature, counts)
        return drawn[0].tokens, drawn[1].tokens

    def states(
        self, params: LlamaParams | Adapted, tokens: Int[Array, "B T"], context: Prompts
    ) -> Float[Array, "B T d"]:
        """What the decoder knows before each token of the completions."""
        width = context.tokens.shape[1]
        # The last token is only predicted, never read.
        position, present = positions_of(context, tokens.shape[1] - 1)
        slots = jnp.concatenate([context.tokens, tokens[:, :-1]], axis=1)
        behind = jnp.broadcast_to(jnp.arange(width, slots.shape[1]), (len(slots), slots.shape[1] - width))
        before_each = jnp.concatenate([context.length[:, None] - 1, behind], axis=1)
        return hidden_states(
            self.network(params), self.config, slots, position, present, remat=self.remat, asked=before_each
        )

    def head(self, params: LlamaParams | Adapted, states: Float[Array, "*B d"]) -> Float[Array, "*B V"]:
        """Scores from :meth:`states`, for any part of them: a loss need not hold ``[B, T, V]`` at once."""
        base = params.base if isinstance(params, Adapted) else params
        return head_logits(jax.lax.stop_gradient(base) if self.lora else base, states)

    def chosen(self, context: Prompts, tokens: Int[Array, "B T"]) -> Float[Array, "B T"]:
        """1 on the tokens the policy chose, its stop included; 0 on the padding."""
        del context
        return chosen_tokens(tokens, self.decoding.stop)

    def trainable(self, params: LlamaParams | Adapted) -> PyTree:
        """What learns, of :class:`Adapted` the adapter only."""
        return trainable(params)

    def network(self, params: LlamaParams | Adapted) -> LlamaParams:
        """The decoder's weights, adapters attached."""
        if not isinstance(params, Adapted):
            return params
        base = jax.lax.stop_gradient(params.base)
        lora = self.lora or LoRA()
        return base._replace(layers=lora.attach(base.layers, params.adapter))


def trainable(params: PyTree) -> PyTree:
    """True on the leaves that learn, of :class:`Adapted` the adapter only; a mask for ``optax.masked``."""
    if not isinstance(params, Adapted):
        return jax.tree.map(lambda _: True, params)
    return Adapted(jax.tree.map(lambda _: False, params.base), jax.tree.map(lambda _: True, params.adapter))
