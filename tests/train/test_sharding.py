import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import PartitionSpec

from antiphon.train.checkpoint import CheckpointFolder
from antiphon.train.errors import RunError
from antiphon.train.fit import fit
from antiphon.train.sharding import make_mesh, place, state_shardings

RULES = [(r"\bin$", PartitionSpec("fsdp", "tensor")), (r"\bout$", PartitionSpec("tensor", "fsdp"))]
OPTIMISER = optax.sgd(0.1, momentum=0.9)


def make_state():
    first, second = jax.random.split(jax.random.key(0))
    params = {"in": jax.random.normal(first, (6, 8)) / 3, "out": jax.random.normal(second, (8, 4)) / 3}
    return {"params": params, "moments": OPTIMISER.init(params)}


def batches(i):
    x = np.random.default_rng(i).normal(size=(12, 6)).astype(np.float32)
    return x, np.sin(x[:, :4])


def regress(state, batch, key):
    def loss(params):
        return jnp.mean((jnp.tanh(batch[0] @ params["in"]) @ params["out"] - batch[1]) ** 2)

    value, gradient = jax.value_and_grad(loss)(state["params"])
    updates, moments = OPTIMISER.update(gradient, state["moments"])
    return {"params": optax.apply_updates(state["params"], updates), "moments": moments}, {"loss": value}


def losses_and_state(mesh):
    losses = []
    state = fit(
        regress,
        make_state() if mesh is None else place(make_state(), mesh, RULES),
        batches=batches,
        steps=10,
        chunk=4,
        key=jax.random.key(1),
        mesh=mesh,
        hooks=[lambda info: losses.extend(info.metrics["loss"].tolist())],
    )
    return losses, state


def test_one_device_is_the_same_program():
    plain, meshed = losses_and_state(None), losses_and_state(make_mesh())
    np.testing.assert_allclose(plain[0], meshed[0], rtol=1e-6)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), plain[1], meshed[1])


def test_rules_that_do_not_fit_name_the_leaf():
    mesh = make_mesh()
    shardings = state_shardings(make_state(), mesh, RULES)
    assert shardings["moments"][0].trace["in"].spec == PartitionSpec("fsdp", "tensor")
    assert state_shardings({"x": jnp.zeros(3)}, mesh, RULES)["x"].spec == PartitionSpec()
    with pytest.raises(RunError, match=r"'in\$' splits 2 axes but leaf 'in' has shape \(3,\)"):
        place({"in": jnp.zeros(3)}, mesh, [("in$", PartitionSpec(None, "data"))])
    with pytest.raises(RunError, match="needs 3 devices, there are 1"):
        make_mesh(data=3, devices=jax.devices()[:1])


def on_four_devices(folder):
    """Runs in a process that has four CPU devices."""
    assert jax.device_count() == 4
    single = losses_and_state(None)
    for shape in ((4, 1, 1), (1, 2, 2), (2, 2, 1)):
        mesh = make_mesh(*shape)
        losses, state = losses_and_state(mesh)
        np.testing.assert_allclose(losses, single[0], rtol=1e-5)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), state, single[1])
        # The state stays split as the rules say, after ten steps and after a checkpoint.
        wanted = place(make_state(), mesh, RULES)
        folder.save(state, shape[0])
        restored = folder.latest_good(wanted).state
        folder.path.joinpath(f"step-{shape[0]:09d}.json").unlink()
        for a, b, c in zip(*map(jax.tree.leaves, (state, wanted, restored)), strict=True):
            assert a.sharding.is_equivalent_to(b.sharding, a.ndim)
            assert c.sharding.is_equivalent_to(b.sharding, a.ndim)
            np.testing.assert_array_equal(a, c)
    mesh = make_mesh(1, 2, 2)
    kernel = losses_and_state(mesh)[1]["params"]["in"]
    assert kernel.addressable_shards[0].data.shape == (3, 4)
    with pytest.raises(RunError, match=r"splits axis 0 of leaf 'in', of shape \(3, 4\), in 2"):
        place({"in": jnp.zeros((3, 4))}, mesh, RULES)


def test_sharded_is_single_on_four_devices(tmp_path):
    environment = os.environ | {
        "XLA_FLAGS": f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=4",
        "JAX_PLATFORMS": "cpu",
    }
    subprocess.run([sys.executable, __file__, str(tmp_path)], env=environment, check=True, timeout=300)


if __name__ == "__main__":
    from pathlib import Path

    on_four_devices(CheckpointFolder(Path(sys.argv[1])))
