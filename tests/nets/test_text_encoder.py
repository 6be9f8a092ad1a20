import jax
import jax.numpy as jnp
import numpy as np

from antiphon.nets.text_encoder import TextEncoder

ENCODER = TextEncoder(d_out=5, buckets=50, width=16, heads=2, layers=2)
PARAMS = jax.jit(ENCODER.init)(jax.random.key(0))
WORDS = np.array([[[3, 4, 0], [7, 0, 0], [9, 2, 1]], [[5, 0, 0], [6, 8, 0], [1, 2, 3]]])

encode_with = jax.jit(ENCODER.__call__)
squares = jax.jit(jax.grad(lambda params, words: jnp.sum(ENCODER(params, words) ** 2)))


def encode(words):
    """Padded to one shape, so that one program serves all."""
    return encode_with(PARAMS, np.pad(words, ((0, 0), (0, 5 - words.shape[1]), (0, 0))))


def test_padding_words_change_nothing():
    padded = encode_with(PARAMS, np.pad(WORDS, ((0, 0), (0, 4), (0, 2))))
    np.testing.assert_allclose(padded, encode_with(PARAMS, WORDS), atol=1e-5)
    assert np.abs(encode(WORDS[:, :2]) - encode(WORDS)).max() > 1e-3


def test_the_row_of_padding_is_never_read():
    poisoned = PARAMS._replace(buckets=PARAMS.buckets.at[0].set(1e3))
    np.testing.assert_array_equal(encode_with(poisoned, WORDS), encode_with(PARAMS, WORDS))
    gradient = squares(PARAMS, WORDS)
    assert (gradient.buckets[0] == 0).all()
    assert (np.abs(gradient.buckets[1:10]).max(-1) > 0).all()


def test_word_order_counts_and_piece_order_does_not():
    assert np.abs(encode(WORDS[:, ::-1]) - encode(WORDS)).max() > 1e-3
    np.testing.assert_allclose(encode(WORDS[..., ::-1]), encode(WORDS), atol=1e-5)


def test_a_caption_without_words_is_finite():
    assert np.isfinite(encode(np.zeros_like(WORDS))).all()
    gradient = squares(PARAMS, np.zeros_like(WORDS))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))
