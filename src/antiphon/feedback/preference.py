"""What a preference is, and where one may come from: a reward, a table, a network that reads two answers."""

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PyTree

from antiphon.core.errors import UserError


@runtime_checkable
class Preference(Protocol):
    """Compares two completions of one prompt.

    A pure function of parameters, prompts and completions, pytrees whose leaves lead with the batch axis, to
    the probability that the first is preferred. Antisymmetric: exchanging the completions gives one minus it.
    """

    def __call__(self, params: PyTree, prompt: PyTree, first: PyTree, second: PyTree) -> Float[Array, "B"]:
        """One probability for each pair of the batch."""
        ...


def antisymmetric(score: Callable[[Any, Any, Any, Any], Float[Array, "B"]]) -> Preference:
    """σ(f(x, y, y') − f(x, y', y)): a preference for any function f, antisymmetric by construction.

    Args:
        score: f, ``(params, prompt, first, second) -> [B]`` log-odds.

    Source: arXiv 2312.00886, section 3, asks for the symmetry; the form is ours.
    """

    def preference(params: PyTree, prompt: PyTree, first: PyTree, second: PyTree) -> Float[Array, "B"]:
        return jax.nn.sigmoid(score(params, prompt, first, second) - score(params, prompt, second, first))

    return preference


def from_reward(reward: Callable[[Any, Any, Any], Float[Array, "B"]]) -> Preference:
    """Bradley–Terry, σ(r(x, y) − r(x, y')): what no circle of preferences can be made of.

    Args:
        reward: r, ``(params, prompt, completion) -> [B]``.
    """

    def preference(params: PyTree, prompt: PyTree, first: PyTree, second: PyTree) -> Float[Array, "B"]:
        return jax.nn.sigmoid(reward(params, prompt, first) - reward(params, prompt, second))

    return preference


def from_table(index: Callable[[Any], Int[Array, "B"]]) -> Preference:
    """A table that is looked up, whose parameters are the table itself, ``[Y, Y]``.

    Args:
        index: which answer a completion is, ``completion -> [B]`` in [0, Y).
    """

    def preference(params: PyTree, prompt: PyTree, first: PyTree, second: PyTree) -> Float[Array, "B"]:
        del prompt
        return params[index(first), index(second)]

    return preference


def check_antisymmetry(
    preference: Preference,
    params: PyTree,
    prompt: PyTree,
    first: PyTree,
    second: PyTree,
    tolerance: float = 1e-4,
) -> None:
    """Refuse what a user calls a preference but is none, on a batch of their own.

    Raises:
        UserError: something is no probability, or both orders do not sum to one.
    """
    there, back = (preference(params, prompt, *pair) for pair in ((first, second), (second, first)))
    if not bool(jnp.all((there >= 0) & (there <= 1))):
        raise UserError(
            "preference",
            "a preference is outside [0, 1] or not a number",
            "return a probability for each pair",
        )
    off = jnp.abs(there + back - 1)
    if not bool(jnp.all(off <= tolerance)):
        pair = int(jnp.argmax(off))
        raise UserError(
            "preference",
            f"pair {pair} gets {float(there[pair]):.4g} one way round and {float(back[pair]):.4g} the other",
            "the two must sum to 1: antisymmetric() makes any score so",
        )
