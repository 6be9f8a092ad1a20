"""What a method may ask of a policy over token sequences."""

from typing import Any, Protocol, runtime_checkable

from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

Context = Any
"""What a model conditions on (captions, prompt tokens): a pytree whose leaves lead with the batch axis B."""


class SequenceModel(Protocol):
    """An autoregressive policy: text and music models are both one, so every method is written once.

    ``T`` tokens of one vocabulary of ``V``; a model with several tokens a frame lays them out frame after
    frame. Implementations are hashable (frozen dataclasses of sizes), so that a method that holds one can be
    an argument of a compiled function.
    """

    def logits(self, params: PyTree, tokens: Int[Array, "B T"], context: Context) -> Float[Array, "B T V"]:
        """Scores of the token at every position given the context and the tokens before it."""
        ...

    def sample(
        self, params: PyTree, key: PRNGKeyArray, context: Context, *, temperature: float = 1.0
    ) -> Int[Array, "B T"]:
        """One completion for each context, drawn from ``softmax(logits / temperature)``."""
        ...


class ValueModel(Protocol):
    """Predicts what a partial sequence will be worth."""

    def values(self, params: PyTree, tokens: Int[Array, "B T"], context: Context) -> Float[Array, "B T"]:
        """Expected return before each token is drawn."""
        ...


@runtime_checkable
class PartlyTrained(Protocol):
    """A model some of whose parameters stay as they are."""

    def trainable(self, params: PyTree) -> PyTree:
        """The same tree with True on the leaves that learn and False on the others."""
        ...
