from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from antiphon.core import trees
from antiphon.core.errors import UserError


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Layer:
    weight: jax.Array
    bias: jax.Array


def tree():
    return {
        "out": jnp.array([3.0]),
        "blocks": [Layer(jnp.ones((2, 3)), jnp.zeros(3)), Layer(jnp.full((1, 1), 4.0), jnp.zeros(1))],
    }


def test_norm_count_and_distance():
    np.testing.assert_allclose(trees.norm(tree()), np.sqrt(9 + 6 + 16))
    assert trees.count(tree()) == 1 + 6 + 3 + 1 + 1
    np.testing.assert_allclose(trees.distance(tree(), trees.scale(tree(), 3.0)), 2 * np.sqrt(31), rtol=1e-6)
    assert trees.norm({}) == 0


def test_norm_accumulates_half_precision_in_float32():
    ones = jnp.ones(4096, jnp.bfloat16)
    assert trees.norm({"w": ones}).dtype == jnp.float32
    np.testing.assert_allclose(trees.norm({"w": ones}), 64.0)


def test_arithmetic():
    doubled = trees.add(tree(), tree())
    for ours, expected in zip(
        jax.tree.leaves(doubled), jax.tree.leaves(trees.scale(tree(), 2.0)), strict=True
    ):
        np.testing.assert_array_equal(ours, expected)
    assert trees.norm(trees.subtract(doubled, doubled)) == 0
    assert trees.scale({"w": jnp.ones(2, jnp.bfloat16)}, jnp.float32(0.5))["w"].dtype == jnp.bfloat16


def test_clip_factor():
    clipped = trees.scale(tree(), trees.clip_factor(tree(), 1.0))
    np.testing.assert_allclose(trees.norm(clipped), 1.0, rtol=1e-6)
    assert trees.clip_factor(tree(), 100.0) == 1.0
    assert trees.clip_factor({"w": jnp.zeros(3)}, 1.0) == 1.0


def test_names_round_trip():
    named = trees.named_leaves(tree())
    assert set(named) == {"out", "blocks.0.weight", "blocks.0.bias", "blocks.1.weight", "blocks.1.bias"}
    template = jax.eval_shape(tree)
    again = trees.from_named_leaves(template, dict(reversed(named.items())))
    assert jax.tree.structure(again) == jax.tree.structure(tree())
    for ours, expected in zip(jax.tree.leaves(again), jax.tree.leaves(tree()), strict=True):
        np.testing.assert_array_equal(ours, expected)


def test_wrong_names_and_shapes_are_refused():
    named = trees.named_leaves(tree())
    with pytest.raises(UserError, match=r"'blocks\.0\.bias'"):
        trees.from_named_leaves(tree(), {k: v for k, v in named.items() if k != "blocks.0.bias"})
    with pytest.raises(UserError, match="'extra' has no place"):
        trees.from_named_leaves(tree(), named | {"extra": jnp.zeros(1)})
    with pytest.raises(UserError, match=r"shape \(2,\) where \(1,\)"):
        trees.from_named_leaves(tree(), named | {"out": jnp.zeros(2)})
    with pytest.raises(UserError, match="two leaves"):
        trees.named_leaves({"a.b": 1, "a": {"b": 2}})
