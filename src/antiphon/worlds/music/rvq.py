"""Residual vector quantisation (SoundStream, arXiv 2107.03312) with running-mean codebooks.

Level ``q`` codes what the levels before it left over. A codebook follows the running mean of the vectors
assigned to each code, and a code that nobody uses is replaced by a random residual of the batch.
"""

import functools
import operator
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Codebooks:
    """State of the quantiser.

    ``codes`` ``[Q, K, d]``; ``count`` ``[Q, K]`` running number of vectors per code and step; ``total``
    ``[Q, K, d]`` running sum of those vectors, so ``codes = total / count``.
    """

    codes: Array
    count: Array
    total: Array

    @staticmethod
    def init(key: PRNGKeyArray, levels: int, size: int, width: int) -> "Codebooks":
        """Random codes, each level at half the deviation of the one before."""
        scale = 0.5 ** jnp.arange(levels)[:, None, None]
        codes = jax.random.normal(key, (levels, size, width)) * scale
        # A buffer of its own for the sum, so that the state can be donated.
        return Codebooks(codes, jnp.ones((levels, size)), 1.0 * codes)


def nearest(x: Float[Array, "N d"], codes: Float[Array, "K d"]) -> Int[Array, " N"]:
    """Index of the Euclidean nearest code of each vector."""
    score = x @ codes.T - 0.5 * jnp.sum(codes * codes, axis=-1)
    return jnp.argmax(score, axis=-1).astype(jnp.int32)


def encode(x: Float[Array, "*batch d"], codes: Float[Array, "Q K d"]) -> Int[Array, "*batch Q"]:
    """Greedy residual codes, coarse to fine."""
    flat = x.reshape(-1, x.shape[-1])

    def level(residual, book):
        index = nearest(residual, book)
        return residual - book[index], index

    _, index = jax.lax.scan(level, flat, codes)
    return index.T.reshape(*x.shape[:-1], codes.shape[0])


def decode(tokens: Int[Array, "*batch q"], codes: Float[Array, "Q K d"]) -> Float[Array, "*batch d"]:
    """Sum of the codes of the first ``q`` levels.

    Raises:
      ValueError: ``q`` is not between 1 and ``Q``.
    """
    levels = tokens.shape[-1]
    if not 1 <= levels <= codes.shape[0]:
        raise ValueError(
            f"tokens have {levels} levels, the codebooks {codes.shape[0]}: give 1 to {codes.shape[0]}"
        )
    return functools.reduce(operator.add, [codes[q][tokens[..., q]] for q in range(levels)])


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Quantised:
    """What :func:`quantise` returns.

    ``vector`` ``[N, d]`` straight-through sum of the levels kept; ``index`` ``[Q, N]``; ``residual`` ``[Q, N,
    d]`` input of each level; ``commitment`` scalar, mean squared distance of the encoder to the levels kept.
    """

    vector: Array
    index: Array
    residual: Array
    commitment: Array


def quantise(x: Float[Array, "N d"], codes: Float[Array, "Q K d"], keep: Int[Array, " N"]) -> Quantised:
    """Quantise with the first ``keep`` levels of each vector; the gradient passes straight through."""
    frozen = jax.lax.stop_gradient(x)

    def level(carry, item):
        residual, total = carry
        book, q = item
        index = nearest(residual, book)
        chosen = book[index]
        total = total + jnp.where((q < keep)[:, None], chosen, 0.0)
        return (residual - chosen, total), (index, residual)

    books = jax.lax.stop_gradient(codes)
    start = (frozen, jnp.zeros_like(frozen))
    (_, total), (index, residual) = jax.lax.scan(level, start, (books, jnp.arange(codes.shape[0])))
    commitment = jnp.mean((x - total) ** 2)
    return Quantised(x + jax.lax.stop_gradient(total - x), index, residual, commitment)


def update(books: Codebooks, seen: Quantised, key: PRNGKeyArray, decay: float, dead: float) -> Codebooks:
    """Move every code to the running mean of its vectors and revive dead codes.

    A code is dead when its running count falls below ``dead`` times the fair share ``N / K``.
    """
    size = books.codes.shape[1]
    share = seen.index.shape[1] / size

    def level(count, total, index, residual, key):
        hits = jnp.zeros(size).at[index].add(1.0)
        sums = jnp.zeros_like(total).at[index].add(residual)
        count = decay * count + (1 - decay) * hits
        total = decay * total + (1 - decay) * sums
        is_dead = count < dead * share
        fresh = residual[jax.random.randint(key, (size,), 0, residual.shape[0])]
        count = jnp.where(is_dead, share, count)
        total = jnp.where(is_dead[:, None], fresh * share, total)
        return total / jnp.maximum(count, 1e-6)[:, None], count, total

    keys = jax.random.split(key, books.codes.shape[0])
    codes, count, total = jax.vmap(level)(books.count, books.total, seen.index, seen.residual, keys)
    return Codebooks(codes, count, total)


def usage(tokens: Int[Array, "*batch Q"], size: int) -> tuple[Float[Array, " Q"], Float[Array, " Q"]]:
    """Share of codes used at least once, and perplexity of their frequencies, per level."""
    flat = tokens.reshape(-1, tokens.shape[-1])

    def level(index):
        frequency = jnp.zeros(size).at[index].add(1.0) / index.shape[0]
        entropy = -jnp.sum(jnp.where(frequency > 0, frequency * jnp.log(jnp.maximum(frequency, 1e-12)), 0.0))
        return jnp.mean(frequency > 0), jnp.exp(entropy)

    return jax.vmap(level, in_axes=1)(flat)
