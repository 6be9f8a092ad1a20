import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from antiphon.core.errors import UserError
from antiphon.nets.frame_model import FrameContext
from antiphon.nets.frame_value import FrameValue


def rows_with_new_ends(tokens):
    """Row t has every token from t on replaced by another one."""
    length = tokens.shape[0]
    return jnp.where(jnp.arange(length) >= jnp.arange(length)[:, None], (tokens + 2) % 5, tokens)


def repeated(context, row, count):
    return jax.tree.map(lambda leaf: jnp.repeat(leaf[row : row + 1], count, axis=0), context)


def test_logits_see_the_tokens_before_and_no_others(small):
    context = repeated(small.context, 0, 12)
    base = small.logits(small.params, jnp.repeat(small.tokens[:1], 12, axis=0), context)
    changed = small.logits(small.params, rows_with_new_ends(small.tokens[0]), context)
    for t in range(12):
        np.testing.assert_allclose(changed[t, : t + 1], base[t, : t + 1], atol=1e-5)
        if t + 1 < 12:
            assert np.abs(changed[t, t + 1] - base[t, t + 1]).max() > 1e-3


def test_values_are_as_causal_as_logits(small):
    value = FrameValue(small.model)
    params = value.from_policy(small.params, initial=0.25)
    context = repeated(small.context, 0, 12)
    tokens = rows_with_new_ends(small.tokens[0])
    values = jax.jit(value.values)
    np.testing.assert_array_equal(values(params, tokens, context), np.full((12, 12), 0.25))
    last = params.heads.logits
    awake = dataclasses.replace(last, weight=jnp.ones_like(last.weight))
    params = params._replace(heads=params.heads._replace(logits=awake))
    base = values(params, jnp.repeat(small.tokens[:1], 12, axis=0), context)
    changed = values(params, tokens, context)
    for t in range(12):
        np.testing.assert_allclose(changed[t, : t + 1], base[t, : t + 1], atol=1e-4)
        if t + 1 < 12:
            assert np.abs(changed[t, t + 1] - base[t, t + 1]) > 1e-4


def test_the_value_network_starts_from_the_policy_and_shares_nothing(small):
    value = FrameValue(small.model)
    params = value.from_policy(small.params)
    np.testing.assert_array_equal(params.blocks.qkv, small.params.blocks.qkv)
    assert params.heads.logits.weight.shape == (2, 16, 1)
    assert params.blocks.qkv.unsafe_buffer_pointer() != small.params.blocks.qkv.unsafe_buffer_pointer()


def test_what_a_clip_is_conditioned_on(small):
    base = small.logits(small.params, small.tokens, small.context)

    def change(**fields):
        other = small.context._replace(**fields)
        return np.abs(small.logits(small.params, small.tokens, other) - base).max((1, 2)) > 1e-3

    words = (small.context.words + 1) % 2048
    np.testing.assert_array_equal(change(words=words), [True, True, False])
    np.testing.assert_array_equal(change(present=jnp.array([False, True, True])), [True, False, True])
    side = small.context.side.at[:, 3, 1].add(1)
    np.testing.assert_array_equal(change(side=side), [True, True, True])
    later = small.logits(small.params, small.tokens, small.context._replace(side=side))
    np.testing.assert_allclose(later[:, :6], base[:, :6], atol=1e-5)


def test_a_shorter_clip_has_the_same_logits(small):
    whole = small.logits(small.params, small.tokens, small.context)
    part = small.logits(small.params, small.tokens[:, :8], small.context)
    np.testing.assert_allclose(part, whole[:, :8], atol=1e-5)
    with pytest.raises(UserError, match="7 tokens are no whole number of frames of 2; cut the sequence"):
        small.model.logits(small.params, small.tokens[:, :7], small.context)


def test_side_information_may_be_absent(small):
    model = dataclasses.replace(small.model, side_sizes=())
    params = small.params._replace(side=())
    context = FrameContext(small.context.words, small.context.side[..., :0], small.context.present)
    out = model.logits(params, small.tokens, context)
    # The same as tables of nothing.
    silent = small.params._replace(side=jax.tree.map(jnp.zeros_like, small.params.side))
    np.testing.assert_allclose(out, small.logits(silent, small.tokens, small.context), atol=1e-5)


def test_the_tree_has_the_names_that_weights_are_stored_under(small):
    from antiphon.nets.weights import named_leaves

    dense = ("weight", "bias")
    block = ("attention_gain", "qkv", "out", "mlp_gain", "gate_up", "down")
    expected = {
        "tokens", "drawn", "side.0", "side.1", "start", "no_caption", "gain", "heads.gain",
        "text.buckets", "text.gain", *(f"text.out.{n}" for n in dense), *(f"text.blocks.{n}" for n in block),
        *(f"blocks.{n}" for n in block),
        *(f"heads.{part}.{n}" for part in ("hidden", "back", "logits") for n in dense),
    }  # fmt: skip
    assert set(named_leaves(small.params)) == expected
