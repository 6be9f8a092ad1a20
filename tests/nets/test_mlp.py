import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from antiphon.core.errors import UserError
from antiphon.nets import weights
from antiphon.nets.mlp import MLP


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_forward_against_a_loop(depth):
    net = MLP.init(jax.random.key(0), 3, 2, width=8, depth=depth, activation=jnp.tanh)
    x = np.random.default_rng(0).normal(size=(5, 4, 3)).astype(np.float32)
    matrices = [net.enter.weight, *net.hidden.weight]
    assert len(matrices) == depth
    h = x.astype(np.float64)
    for matrix in matrices:
        h = np.tanh(h @ np.asarray(matrix, np.float64))
    expected = h @ np.asarray(net.leave.weight, np.float64)
    np.testing.assert_allclose(jax.jit(MLP.__call__)(net, x), expected, rtol=1e-4, atol=1e-5)


def test_orthogonal_weights_have_the_gains_asked_for():
    net = MLP.init(jax.random.key(0), 6, 4, width=16, depth=3, gain=2**0.5, last_gain=0.01, orthogonal=True)
    for matrix in net.hidden.weight:
        np.testing.assert_allclose(matrix.T @ matrix, 2 * np.eye(16), atol=1e-5)
    np.testing.assert_allclose(net.enter.weight @ net.enter.weight.T, 2 * np.eye(6), atol=1e-5)
    np.testing.assert_allclose(net.leave.weight.T @ net.leave.weight, 1e-4 * np.eye(4), atol=1e-8)


def test_the_default_gain_keeps_the_scale_of_relu_features():
    net = MLP.init(jax.random.key(0), 512, 1, width=512, depth=8)
    h = net.enter(jax.random.normal(jax.random.key(1), (64, 512)))
    first = np.mean(h**2)
    for i in range(7):
        h = jax.tree.map(lambda leaf, i=i: leaf[i], net.hidden)(jax.nn.relu(h))
    assert 0.5 < np.mean(h**2) / first < 2.0


def test_an_ensemble_is_a_vmap_of_members():
    make = jax.vmap(lambda key: MLP.init(key, 2, 1, width=4))
    ensemble = make(jax.random.split(jax.random.key(0), 3))
    x = jnp.ones((5, 2))
    together = jax.vmap(MLP.__call__, (0, None))(ensemble, x)
    assert together.shape == (3, 5, 1)
    alone = MLP.init(jax.random.split(jax.random.key(0), 3)[1], 2, 1, width=4)(x)
    np.testing.assert_allclose(together[1], alone, rtol=1e-6)


def test_it_fits_a_function_and_survives_a_file(tmp_path):
    x = jax.random.uniform(jax.random.key(1), (256, 2), minval=-1, maxval=1)
    y = jnp.sin(3 * x[:, :1]) * x[:, 1:]
    net = MLP.init(jax.random.key(0), 2, 1, width=32, activation=jax.nn.silu)
    adam = optax.adam(1e-2)

    @jax.jit
    def train(net):
        def step(carry, _):
            net, moments = carry
            loss, gradient = jax.value_and_grad(lambda net: jnp.mean((net(x) - y) ** 2))(net)
            updates, moments = adam.update(gradient, moments)
            return (optax.apply_updates(net, updates), moments), loss

        return jax.lax.scan(step, (net, adam.init(net)), None, length=300)

    (net, _), losses = train(net)
    assert losses[-1] < 0.01 * np.var(y)
    weights.save_tree(tmp_path / "net", net)
    shapes = jax.eval_shape(lambda net: net, net)
    np.testing.assert_array_equal(weights.load_tree(tmp_path / "net", shapes)(x), net(x))
    assert {name.split(".")[0] for name in weights.named_leaves(net)} == {"enter", "hidden", "leave"}


@pytest.mark.parametrize("wrong", [{"d_in": 0}, {"d_out": 0}, {"width": 0}, {"depth": 0}])
def test_sizes_below_one_are_refused(wrong):
    with pytest.raises(UserError, match=f"an MLP with {next(iter(wrong))}=0; give at least 1"):
        MLP.init(jax.random.key(0), **({"d_in": 2, "d_out": 2} | wrong))
