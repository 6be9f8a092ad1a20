"""Texts of a network for a set of prompts, and what they are worth."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int32

from antiphon.nets.llama import LlamaParams
from antiphon.nets.llama_decoding import Prompts
from antiphon.nets.llama_policy import LlamaPolicy
from antiphon.worlds.text.examples import Examples

SHOWN = 5
"""Rows whose texts the report holds."""

_PIECE = 100  # prompts that are answered at a time, so that one compiled program does for all
_WRITE = jax.jit(
    lambda policy, params, key, prompts, temperature: policy.sample(
        params, key, prompts, temperature=temperature
    ),
    static_argnums=0,
)


class TextScore(NamedTuple):
    """What the texts for the test rows are worth, 0 to 100.

    Attributes:
        greedy: each token the likeliest.
        sampled: drawn at temperature 1.
        shown: the likeliest texts for the first few rows.
    """

    greedy: float
    sampled: float
    shown: tuple[str, ...] = ()


def write(
    policy: LlamaPolicy, params: LlamaParams, rows: Examples, temperature: float, seed: int
) -> Int32[np.ndarray, "N T"]:
    """A completion of each of N prompts.

    Args:
        policy: the network's sizes, and T.
        params: its weights.
        rows: the prompts.
        temperature: 0 takes the likeliest token.
        seed: of the draws.
    """
    prompts, length = (np.asarray(leaf) for leaf in rows.prompts)
    made = []
    for at in range(0, len(rows), _PIECE):
        # The last piece is filled up with a prompt whose completions are thrown away.
        places = np.minimum(np.arange(at, at + _PIECE), len(rows) - 1)
        key = jax.random.fold_in(jax.random.key(seed), at)
        context = Prompts(jnp.asarray(prompts[places]), jnp.asarray(length[places]))
        made.append(np.asarray(_WRITE(policy, params, key, context, temperature)))
    return np.concatenate(made)[: len(rows)]
