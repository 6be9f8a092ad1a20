"""All completions of four tokens, and exact preferences among them that a dial makes more or less cyclic.

    P(y ≻ y') = σ( s [ √(1 − d) (r(y) − r(y')) / √2 + √d g(y, y') ] )

r is a quality and g a bilinear form of features whose matrix is antisymmetric, each of unit deviation under
the Markov chain that the reference is fitted to. At d = 0 scores explain everything; the larger the dial d,
the more completions prefer each other in circles. Everything can be enumerated, so that a trained policy's
win rates, its divergence and what beats it are known exactly.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Float64, Int

from antiphon.core.errors import UserError

_FEATURES = 6


class TokenWorld(NamedTuple):
    """Completions, how they come up, who is preferred.

    Attributes:
        completions: all of them in lexicographic order, ``[Y, T]``.
        chain: log-probability of each under a random Markov chain, ``[Y]``: what a reference learns to write.
        quality: r, ``[Y]``, in units of its deviation under the chain.
        preference: P, ``[Y, Y]``.
    """

    completions: Int[np.ndarray, "Y T"]
    chain: Float64[np.ndarray, " Y"]
    quality: Float64[np.ndarray, " Y"]
    preference: Float32[np.ndarray, "Y Y"]


def token_world(
    seed: int, dial: float, *, vocabulary: int = 8, length: int = 4, sharpness: float = 1.5
) -> TokenWorld:
    """A random world.

    Args:
        seed: of the chain and the features; worlds of one seed differ in the dial alone.
        dial: d, the cyclic share of the preferences' variance, in [0, 1].
        vocabulary: tokens, V.
        length: tokens of a completion, T; there are V^T completions, and a table of their squares.
        sharpness: s, log-odds of a preference one deviation strong.

    Raises:
        UserError: a dial outside [0, 1], or more completions than can be listed.
    """
    if not 0 <= dial <= 1:
        raise UserError("field", f"dial is {dial}, outside [0, 1]", "give a share from 0 to 1")
    count = vocabulary**length
    if count > 10_000:
        raise UserError(
            "field", f"{count} completions cannot be compared with one another", "take fewer tokens"
        )
    rng = np.random.default_rng([seed, 23])
    completions = np.stack(np.unravel_index(np.arange(count), (vocabulary,) * length), axis=1)
    chain = _markov_chain(rng, completions, vocabulary)
    law = np.exp(chain)
    features = _standard(_features(rng, completions, vocabulary), law)
    quality = _standard(features @ rng.standard_normal(features.shape[1]), law)
    form = rng.standard_normal((features.shape[1],) * 2)
    twist = features @ (form - form.T) @ features.T
    twist /= np.sqrt(law @ twist**2 @ law)
    odds = np.sqrt(1 - dial) * (quality[:, None] - quality[None]) / np.sqrt(2) + np.sqrt(dial) * twist
    preference = 1 / (1 + np.exp(-sharpness * odds))
    return TokenWorld(completions, chain, quality, preference.astype(np.float32))


def _markov_chain(rng: np.random.Generator, completions: np.ndarray, vocabulary: int) -> np.ndarray:
    start, moves = rng.standard_normal(vocabulary), rng.standard_normal((vocabulary, vocabulary))
    start -= np.logaddexp.reduce(start)
    moves -= np.logaddexp.reduce(moves, axis=1)[:, None]
    return start[completions[:, 0]] + moves[completions[:, :-1], completions[:, 1:]].sum(1)


def _features(rng: np.random.Generator, completions: np.ndarray, vocabulary: int) -> np.ndarray:
    """Sums of random values of the tokens at their places and of neighbours, ``[Y, 6]``."""
    length = completions.shape[1]
    alone = rng.standard_normal((length, vocabulary, _FEATURES))
    pairs = rng.standard_normal((vocabulary, vocabulary, _FEATURES))
    single = alone[np.arange(length), completions].sum(1)
    return single + pairs[completions[:, :-1], completions[:, 1:]].sum(1)


def _standard(values: np.ndarray, law: np.ndarray) -> np.ndarray:
    """Mean zero and deviation one under a law, column by column."""
    values = values - law @ values
    return values / np.sqrt(law @ values**2)
