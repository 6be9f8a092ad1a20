"""What a reward is, and how rewards combine: rescaled, weighted, averaged over windows."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from antiphon.core.errors import UserError


@runtime_checkable
class Reward(Protocol):
    """Judges whole completions.

    A function of prompts and completions, both pytrees whose leaves have the batch as first axis, to one
    number each. Pure unless its own documentation says otherwise.
    """

    def __call__(self, prompt: PyTree, completion: PyTree) -> Float[Array, "B"]:
        """One reward for each prompt and completion of a batch."""
        ...


class Scored(NamedTuple):
    """A combined reward with what it was made of.

    Attributes:
        total: the weighted sum, [B].
        parts: every reward by name, before its weight, [B] each.
    """

    total: Float[Array, "B"]
    parts: dict[str, Float[Array, "B"]]


# Compared by identity: mappings have no hash, and jax.jit asks for one.
@dataclass(frozen=True, eq=False)
class WeightedSum:
    """Σ_name weight · reward; itself a `Reward`.

    Bring the parts to one scale first (`Rescaled`): MusicRL found that the linear combination works best so.

    Attributes:
        rewards: by name.
        weights: by the same names; a weight of 0 still reports the part.

    Raises:
        UserError: no reward, or names that differ.

    Source: MusicRL, arXiv 2402.04229 (its weights are not disclosed).
    """

    rewards: Mapping[str, Reward]
    weights: Mapping[str, float]

    def __post_init__(self) -> None:
        if not self.rewards:
            raise UserError("field", "a weighted sum of no rewards", "give at least one reward")
        odd = sorted(set(self.rewards) ^ set(self.weights))
        if odd:
            raise UserError(
                "field", f"{odd[0]!r} has a reward or a weight but not both", "name rewards and weights alike"
            )

    def score(self, prompt: PyTree, completion: PyTree) -> Scored:
        """The total and every part by name."""
        parts = {name: reward(prompt, completion) for name, reward in self.rewards.items()}
        # A part with weight 0 is only watched: a NaN of its own must not reach the total.
        terms = [self.weights[name] * part for name, part in parts.items() if self.weights[name] != 0]
        total = jnp.sum(jnp.stack(terms), axis=0) if terms else jnp.zeros_like(next(iter(parts.values())))
        return Scored(total, parts)

    def __call__(self, prompt: PyTree, completion: PyTree) -> Float[Array, "B"]:
        """The total alone."""
        return self.score(prompt, completion).total


def rescale(
    scores: Float[Array, "*B"], low: float | Float[Array, ""], high: float | Float[Array, ""]
) -> Float[Array, "*B"]:
    """Linear map that takes `low` to 0 and `high` to 1, without clipping.

    Source: MusicRL, arXiv 2402.04229: mean opinion scores from [1, 5] to [0, 1]; it mentions no
    clipping.
    """
    return (scores - low) / (high - low)


@dataclass(frozen=True)
class Rescaled:
    """A reward on the scale on which `low` is 0 and `high` is 1; itself a `Reward`.

    Attributes:
        reward: the reward on its own scale.
        low: becomes 0.
        high: becomes 1; below `low` the sign turns.

    Raises:
        UserError: low equal to high.
    """

    reward: Reward
    low: float
    high: float

    def __post_init__(self) -> None:
        if self.low == self.high:
            raise UserError(
                "field", f"low and high are both {self.low}", "give two different ends of the scale"
            )

    def __call__(self, prompt: PyTree, completion: PyTree) -> Float[Array, "B"]:
        """The reward, rescaled."""
        return rescale(self.reward(prompt, completion), self.low, self.high)


def even_starts(length: int, window: int, count: int) -> tuple[int, ...]:
    """First steps of `count` windows spread evenly from the start of a completion to its end.

    Three windows of 10 s in 30 s tile it; two of 20 s overlap in the middle.

    Raises:
        UserError: a window longer than the completion, or no window.
    """
    if not 0 < window <= length or count < 1:
        raise UserError(
            "field",
            f"{count} windows of {window} steps in a completion of {length}",
            "give at least one window, no longer than the completion",
        )
    if count == 1:
        return (0,)
    return tuple(round(i * (length - window) / (count - 1)) for i in range(count))


def segment_mean(
    reward: Reward, prompt: PyTree, completion: PyTree, starts: tuple[int, ...], window: int
) -> Float[Array, "B"]:
    """Average of a reward over K windows: (1/K) Σ_k reward(prompt, completion[:, s_k : s_k + window]).

    Args:
        reward: judges one window at a time; it sees the whole prompt.
        prompt: leaves [B, …].
        completion: leaves [B, T, …].
        starts: first steps s_k of the windows.
        window: steps in a window.

    Raises:
        UserError: a window that leaves the completion.
    """
    length = min(leaf.shape[1] for leaf in jax.tree.leaves(completion))
    if not starts or min(starts) < 0 or max(starts) + window > length:
        raise UserError(
            "field",
            f"windows of {window} steps from {starts} leave a completion of {length}",
            "take the starts from even_starts(length, window, count)",
        )
    # One call a window, not one call on a stacked batch: a reward may be stateful in memory, not in shape.
    scores = [
        reward(prompt, jax.tree.map(lambda leaf, s=start: leaf[:, s : s + window], completion))
        for start in starts
    ]
    return jnp.mean(jnp.stack(scores), axis=0)


@dataclass(frozen=True)
class SegmentMean:
    """A reward averaged over windows of a completion, as a `Reward`.

    Attributes:
        reward: judges one window.
        starts: first steps of the windows.
        window: steps in a window.

    Source: MusicRL, arXiv 2402.04229: three segments of 10 s for text adherence, the first and
    last 20 s of
    30 s for quality and preference.
    """

    reward: Reward
    starts: tuple[int, ...]
    window: int

    def __call__(self, prompt: PyTree, completion: PyTree) -> Float[Array, "B"]:
        """The mean over the windows."""
        return segment_mean(self.reward, prompt, completion, self.starts, self.window)
