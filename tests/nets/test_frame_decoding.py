import jax
import jax.numpy as jnp
import numpy as np
import pytest

from antiphon.core.errors import UserError

KEY = jax.random.key(7)
COLD = 1e-4


def test_cold_samples_are_the_argmax_of_the_logits_at_every_step(small):
    tokens = small.sample(small.params, KEY, small.context, temperature=COLD)
    assert tokens.shape == (3, 12)
    # The logits of a position depend on the tokens before it only, so this is the step-by-step argmax.
    logits = small.logits(small.params, tokens, small.context)
    np.testing.assert_array_equal(tokens, np.argmax(logits, axis=-1))
    assert len(np.unique(tokens)) > 2


@pytest.mark.parametrize("guidance", [0.0, 2.5])
def test_cold_guided_samples_are_the_argmax_of_the_guided_logits(small, guidance):
    tokens = small.sample(small.params, KEY, small.context, temperature=COLD, guidance=guidance)
    without = small.context._replace(present=jnp.zeros(3, bool))
    plain, none = (small.logits(small.params, tokens, c) for c in (small.context, without))
    np.testing.assert_array_equal(tokens, np.argmax(none + guidance * (plain - none), axis=-1))


def test_guidance_of_one_is_no_guidance_and_the_same_key_gives_the_same_bits(small):
    plain = small.sample(small.params, KEY, small.context)
    np.testing.assert_array_equal(small.sample(small.params, KEY, small.context), plain)
    np.testing.assert_array_equal(small.sample(small.params, KEY, small.context, guidance=1.0), plain)
    other = small.sample(small.params, jax.random.key(8), small.context)
    assert (np.asarray(other) != plain).any()


def test_samples_have_the_frequencies_of_the_logits(small):
    """The last frame after a forced prefix, against the exact joint law of its two tokens."""
    count, temperature = 6000, 1.3
    many = jax.tree.map(lambda leaf: jnp.repeat(leaf[:1], count, axis=0), small.context)
    prefix = jnp.repeat(small.tokens[:1], count, axis=0)
    tokens = np.asarray(
        small.sample(small.params, KEY, many, temperature=temperature, prefix=prefix, prefix_frames=5)
    )
    np.testing.assert_array_equal(tokens[:, :10], prefix[:, :10])
    # All five first tokens of the last frame, to read off the conditional laws of the second.
    ends = jnp.repeat(small.tokens[:1], 5, axis=0).at[:, 10].set(jnp.arange(5))
    five = jax.tree.map(lambda leaf: leaf[:5], many)
    p = jax.nn.softmax(small.logits(small.params, ends, five) / temperature, axis=-1)
    joint = np.asarray(p[0, 10][:, None] * p[:, 11], np.float64)
    counts = np.bincount(tokens[:, 10] * 5 + tokens[:, 11], minlength=25).reshape(5, 5)
    deviation = np.sqrt(count * joint * (1 - joint)) + 1
    assert (np.abs(counts - count * joint) < 4.5 * deviation).all()
    # Drawing the second token without looking at the first would show.
    independent = joint.sum(1, keepdims=True) * joint.sum(0)
    assert not (np.abs(counts - count * independent) < 4.5 * deviation).all()


def test_a_prefix_is_kept_and_its_length_may_be_traced(small):
    prefix = small.tokens[:, :6]
    kept = small.sample(small.params, KEY, small.context, prefix=prefix, prefix_frames=2)
    np.testing.assert_array_equal(kept[:, :4], prefix[:, :4])
    fixed = jax.jit(lambda p: small.model.sample(p, KEY, small.context, prefix=prefix, prefix_frames=2))
    np.testing.assert_array_equal(kept, fixed(small.params))
    free = small.sample(small.params, KEY, small.context, prefix=prefix, prefix_frames=0)
    np.testing.assert_array_equal(free, small.sample(small.params, KEY, small.context))


@pytest.mark.parametrize(
    ("prefix_length", "frames", "message"),
    [(None, 1, "1 frames are to be kept but the prefix has 0"), (4, 3, "3 frames .* has 2"), (3, 1, "whole")],
)
def test_a_prefix_that_is_too_short_is_refused(small, prefix_length, frames, message):
    prefix = None if prefix_length is None else small.tokens[:, :prefix_length]
    with pytest.raises(UserError, match=message):
        small.model.sample(small.params, KEY, small.context, prefix=prefix, prefix_frames=frames)


@pytest.mark.parametrize("frames", [1, 3])
def test_clips_shorter_than_the_stages_of_the_scan(small, frames):
    context = small.context._replace(side=small.context.side[:, :frames])
    tokens = small.sample(small.params, KEY, context, temperature=COLD)
    logits = small.logits(small.params, tokens, context)
    np.testing.assert_array_equal(tokens, np.argmax(logits, axis=-1))


def test_both_formats_draw_nearly_the_same(small, matmul_format):
    """Rounding must not change the law: cold samples stay within the rounding of the best logit."""
    # A function of its own, because a compiled one has its format inside.
    tokens = jax.jit(lambda p: small.model.sample(p, KEY, small.context, temperature=COLD))(small.params)
    logits = small.logits(small.params, tokens, small.context)
    chosen = np.take_along_axis(np.asarray(logits), np.asarray(tokens)[..., None], -1)[..., 0]
    assert (np.max(logits, axis=-1) - chosen).max() < (0.3 if matmul_format == "bfloat16" else 1e-4)
