"""The quantiser against brute force, its gradient, and the life of its codes."""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.worlds.music import rvq


def vectors(count: int, width: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, width)).astype(np.float32)


def slow_encode(x: np.ndarray, codes: np.ndarray) -> np.ndarray:
    index = np.zeros((len(x), len(codes)), int)
    for n, vector in enumerate(x.astype(np.float64)):
        left = vector.copy()
        for q, book in enumerate(codes):
            index[n, q] = min(
                range(len(book)), key=lambda k, left=left, book=book: ((left - book[k]) ** 2).sum()
            )
            left -= book[index[n, q]]
    return index


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_encode_and_decode_against_brute_force(seed):
    x, codes = vectors(12, seed=seed), vectors(3 * 5, seed=seed + 1).reshape(3, 5, 3)
    tokens = jax.jit(rvq.encode)(jnp.asarray(x.reshape(2, 6, 3)), jnp.asarray(codes))
    np.testing.assert_array_equal(tokens.reshape(12, 3), slow_encode(x, codes))
    for q in (1, 2, 3):
        expected = sum(codes[i][np.asarray(tokens[..., i])] for i in range(q))
        np.testing.assert_allclose(rvq.decode(tokens[..., :q], jnp.asarray(codes)), expected, atol=1e-6)


@pytest.mark.parametrize("levels", [0, 3])
def test_decode_refuses_levels_that_do_not_exist(levels):
    with pytest.raises(ValueError, match="2"):
        rvq.decode(jnp.zeros((4, levels), jnp.int32), jnp.zeros((2, 8, 3)))


def test_straight_through_gradient_and_kept_levels():
    x, codes = jnp.asarray(vectors(6)), jnp.asarray(vectors(12, seed=1).reshape(3, 4, 3))
    keep = jnp.asarray([0, 1, 2, 3, 1, 2])
    seen = rvq.quantise(x, codes, keep)
    tokens = rvq.encode(x, codes)
    np.testing.assert_array_equal(seen.index.T, tokens)
    for n in range(6):
        q = int(keep[n])
        expected = rvq.decode(tokens[n, :q], codes) if q else np.zeros(3)
        np.testing.assert_allclose(seen.vector[n], expected, atol=1e-6)
    weight = jnp.asarray(vectors(6, seed=2))
    through = jax.grad(lambda x: jnp.sum(weight * rvq.quantise(x, codes, keep).vector))(x)
    np.testing.assert_allclose(through, weight)
    towards = jax.grad(lambda x: rvq.quantise(x, codes, keep).commitment)(x)
    np.testing.assert_allclose(towards, 2 * (x - seen.vector) / x.size, atol=1e-6)
    to_codes = jax.grad(
        lambda c: jnp.sum(rvq.quantise(x, c, keep).vector) + rvq.quantise(x, c, keep).commitment
    )
    assert not np.asarray(to_codes(codes)).any()


def test_update_is_a_running_mean():
    codes = jnp.asarray([[[0.0], [10.0]]])
    books = rvq.Codebooks(codes, jnp.ones((1, 2)), codes * 1.0)
    x = jnp.asarray([[1.0], [3.0], [9.0]])
    seen = rvq.quantise(x, codes, jnp.ones(3, jnp.int32))
    new = rvq.update(books, seen, jax.random.key(0), decay=0.5, dead=0.0)
    np.testing.assert_allclose(new.count, [[1.5, 1.0]])  # half of 1 and half of 2 or 1 hits
    np.testing.assert_allclose(new.total, [[[2.0], [9.5]]])
    np.testing.assert_allclose(new.codes, [[[2.0 / 1.5], [9.5]]])


def test_dead_codes_come_back_as_residuals_of_the_batch():
    x = jnp.asarray(vectors(32))
    far = jnp.full((1, 8, 3), 100.0).at[0, 0].set(0.0)
    books = rvq.Codebooks(far, jnp.full((1, 8), 1e-6), far * 1e-6)
    seen = rvq.quantise(x, books.codes, jnp.ones(32, jnp.int32))
    new = rvq.update(books, seen, jax.random.key(1), decay=0.9, dead=0.03)
    batch = {tuple(row) for row in np.asarray(x).round(4)}
    revived = [tuple(row) for row in np.asarray(new.codes[0, 1:]).round(4)]
    assert set(revived) <= batch
    assert len(set(revived)) > 3
    np.testing.assert_allclose(new.count[0, 1:], 4.0)  # the fair share, so that they live on


def test_training_the_books_uses_all_codes_and_shrinks_the_residual_level_by_level():
    x = jnp.asarray(vectors(512, 4))
    books = rvq.Codebooks.init(jax.random.key(0), levels=3, size=16, width=4)
    keep = jnp.full(512, 3)

    @jax.jit
    def step(books, key):
        return rvq.update(books, rvq.quantise(x, books.codes, keep), key, decay=0.8, dead=0.03)

    for i in range(40):
        books = step(books, jax.random.key(i))
    seen = rvq.quantise(x, books.codes, keep)
    left = [float(jnp.mean(r**2)) for r in seen.residual] + [float(seen.commitment)]
    assert all(after < 0.75 * before for before, after in pairwise(left))
    used, perplexity = rvq.usage(seen.index.T, 16)
    assert (np.asarray(used) > 0.9).all()
    assert (np.asarray(perplexity) > 8).all()


def test_usage_and_perplexity_golden():
    tokens = jnp.asarray([[0, 3], [0, 3], [1, 3], [1, 3]])
    used, perplexity = rvq.usage(tokens, 4)
    np.testing.assert_allclose(used, [0.5, 0.25])
    np.testing.assert_allclose(perplexity, [2.0, 1.0], rtol=1e-6)
