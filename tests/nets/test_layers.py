import jax
import jax.numpy as jnp
import numpy as np

from antiphon.nets.layers import ConvNeXt, Dense, apply_stack, depthwise_conv, layer_norm, rms_norm, stack


def test_norms_against_their_definitions():
    rng = np.random.default_rng(0)
    x, gain = rng.normal(size=(4, 6)) * 3 + 1, rng.normal(size=6)
    x32, gain32 = jnp.asarray(x, jnp.float32), jnp.asarray(gain, jnp.float32)
    np.testing.assert_allclose(
        rms_norm(x32, gain32), x / np.sqrt((x**2).mean(-1, keepdims=True)) * gain, rtol=1e-5
    )
    centred = (x - x.mean(-1, keepdims=True)) / x.std(-1, keepdims=True) * gain
    np.testing.assert_allclose(layer_norm(x32, gain32), centred, rtol=1e-5, atol=1e-6)
    assert rms_norm(x32.astype(jnp.bfloat16), gain32).dtype == jnp.float32


def test_depthwise_convolution_against_a_loop():
    rng = np.random.default_rng(1)
    x, taps = rng.normal(size=(2, 9, 3)), rng.normal(size=(5, 3))
    expected = np.zeros_like(x)
    for t in range(9):
        for i in range(5):
            if 0 <= t + i - 2 < 9:
                expected[:, t] += taps[i] * x[:, t + i - 2]
    ours = depthwise_conv(jnp.asarray(x, jnp.float32), jnp.asarray(taps, jnp.float32))
    np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-5)


def test_a_convnext_block_sees_its_kernel_and_no_further():
    block = ConvNeXt.init(jax.random.key(0), width=4, kernel=5)
    x = jax.random.normal(jax.random.key(1), (11, 4))
    change = np.abs(block(x.at[5].add(1.0)) - block(x)).max(-1) > 0
    np.testing.assert_array_equal(np.flatnonzero(change), [3, 4, 5, 6, 7])


def test_a_stack_runs_its_independent_layers_in_order():
    layers = stack(lambda key: Dense.init(key, 3, 3), jax.random.key(0), 3)
    x = jnp.ones((2, 3))
    by_hand = x
    for i in range(3):
        by_hand = jax.tree.map(lambda leaf, i=i: leaf[i], layers)(by_hand)
    np.testing.assert_allclose(apply_stack(layers, x), by_hand, rtol=1e-6)
    assert not np.allclose(layers.weight[0], layers.weight[1])


def test_sizes_of_fresh_weights():
    dense = Dense.init(jax.random.key(0), 400, 300, scale=0.5)
    np.testing.assert_allclose(np.std(dense.weight) * 20, 0.5, rtol=0.02)
    for d_in, d_out in ((8, 5), (5, 8)):
        weight = np.asarray(Dense.orthogonal(jax.random.key(1), d_in, d_out, scale=2.0).weight)
        short = weight @ weight.T if d_in < d_out else weight.T @ weight
        np.testing.assert_allclose(short, 4 * np.eye(5), atol=1e-5)
