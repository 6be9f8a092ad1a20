import jax
import jax.numpy as jnp
import numpy as np
import pytest

from antiphon.core.errors import UserError
from antiphon.nets.layers import stack
from antiphon.nets.transformer import (
    Block,
    BlockConfig,
    Cache,
    block_forward,
    block_step,
    blocks_forward,
    rotary,
    rotate,
)

CONFIG = BlockConfig(width=12, heads=2, hidden=20)
CAUSAL = jnp.tril(jnp.ones((7, 7), bool))


def make(layers=2):
    blocks = jax.jit(lambda key: stack(lambda k: Block.init(k, CONFIG, layers), key, layers))
    return blocks(jax.random.key(0)), np.random.default_rng(0).normal(size=(3, 7, 12)).astype(np.float32)


def attention_by_hand(block, x, mask):
    """One sequence, one head at a time, in float64, with complex rotations."""
    x, block = np.asarray(x, np.float64), Block(*(np.asarray(leaf, np.float64) for leaf in block))

    def norm(x, gain):
        return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-6) * gain

    q, k, v = np.split(norm(x, block.attention_gain) @ block.qkv, 3, axis=-1)
    angle = np.arange(len(x))[:, None] * 10_000.0 ** (-np.arange(3) / 3)
    mixed = np.zeros_like(x)
    for head in (slice(0, 6), slice(6, 12)):
        qc, kc = ((p[:, head][:, :3] + 1j * p[:, head][:, 3:]) * np.exp(1j * angle) for p in (q, k))
        score = np.where(mask, (qc @ kc.conj().T).real / 6**0.5, -np.inf)
        weight = np.exp(score - score.max(-1, keepdims=True))
        mixed[:, head] = weight / weight.sum(-1, keepdims=True) @ v[:, head]
    x = x + mixed @ block.out
    gate, up = np.split(norm(x, block.mlp_gain) @ block.gate_up, 2, axis=-1)
    return x + (gate / (1 + np.exp(-gate)) * up) @ block.down


def test_a_block_against_its_definition():
    blocks, x = make(1)
    block = jax.tree.map(lambda leaf: leaf[0], blocks)
    ours = jax.jit(lambda x: block_forward(block, CONFIG, x, rotary(jnp.arange(7), 6), CAUSAL))(x)
    for row in range(3):
        np.testing.assert_allclose(ours[row], attention_by_hand(block, x[row], CAUSAL), atol=2e-5)


def test_rotated_products_depend_on_the_distance_only():
    q, k = jax.random.normal(jax.random.key(0), (2, 1, 1, 1, 8))

    @jax.jit
    def product(i, j):
        return jnp.sum(rotate(q, rotary(i[None], 8)) * rotate(k, rotary(j[None], 8)))

    products = {(i, j): product(np.array(i), np.array(j)) for i in (0, 3, 40) for j in (0, 1, 25)}
    for (i, j), expected in products.items():
        np.testing.assert_allclose(product(np.array(i + 17), np.array(j + 17)), expected, atol=2e-5)
    np.testing.assert_allclose(products[0, 0], jnp.sum(q * k), rtol=1e-5)
    assert np.ptp(list(products.values())) > 0.1


def test_a_causal_stack_does_not_see_the_future():
    blocks, x = make()
    run = jax.jit(lambda x: blocks_forward(blocks, CONFIG, x, CAUSAL))
    base = run(x)
    for t in range(7):
        other = run(np.where(np.arange(7)[:, None] >= t, -x, x))
        np.testing.assert_array_equal(other[:, :t], base[:, :t])
        assert (np.abs(other - base)[:, t:].max(-1) > 1e-4).all()


def test_a_mask_of_each_sequence_hides_its_columns():
    blocks, x = make()
    there = jnp.arange(7) < jnp.array([7, 4, 2])[:, None]
    run = jax.jit(lambda x: blocks_forward(blocks, CONFIG, x, there[:, None, :] & there[:, :, None]))
    changed = run(jnp.where(there[..., None], x, 100.0))
    np.testing.assert_array_equal(changed[there], run(x)[there])


def test_steps_with_a_cache_equal_the_whole_sequence(matmul_format):
    blocks, x = make()
    whole = jax.jit(lambda x: blocks_forward(blocks, CONFIG, x, CAUSAL))(x)

    @jax.jit
    def by_steps(x):
        caches = [Cache.empty(3, 9, CONFIG) for _ in range(2)]
        out = []
        for t in range(7):
            h = x[:, t]
            for i in range(2):
                block = jax.tree.map(lambda leaf, i=i: leaf[i], blocks)
                h, caches[i] = block_step(block, CONFIG, h, caches[i], t, seen=t + 1 if t < 4 else 9)
            out.append(h)
        return jnp.stack(out, axis=1), caches

    out, caches = by_steps(x)
    assert caches[0].keys.dtype == jnp.dtype(matmul_format)
    np.testing.assert_allclose(out, whole, atol=5e-2 if matmul_format == "bfloat16" else 1e-5)


def test_heads_must_have_pairs():
    with pytest.raises(UserError, match="width of 12 is no multiple of twice the 4 heads; change one"):
        BlockConfig(width=12, heads=4, hidden=8)
