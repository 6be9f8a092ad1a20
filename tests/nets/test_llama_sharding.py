"""A training step of a decoder on four devices is the step on one."""

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec

from antiphon.core import trees
from antiphon.methods.microbatches import mean_over_microbatches
from antiphon.methods.sft import SFT, SFTBatch, token_nats
from antiphon.nets.llama import Llama
from antiphon.nets.llama_decoding import Prompts
from antiphon.nets.llama_policy import LlamaPolicy
from antiphon.nets.llama_sampling import Decoding
from antiphon.nets.llama_sharding import LLAMA_RULES
from antiphon.train.sharding import make_mesh, place, state_shardings

CONFIG = Llama(16, 8, 2, 4, 2, 4, 12, context=32, qkv_bias=True, tied=False)
POLICY = LlamaPolicy(CONFIG, Decoding(new_tokens=4), remat=True)
METHOD = SFT(POLICY, learning_rate=1e-2, steps=10, warmup=1)


def batch():
    rng = np.random.default_rng(0)
    prompts = Prompts(jnp.asarray(rng.integers(0, 16, (8, 5))), jnp.asarray(rng.integers(1, 6, 8)))
    return SFTBatch(jnp.asarray(rng.integers(0, 16, (8, 4))), prompts, jnp.ones((8, 4)))


def params():
    return jax.tree.map(lambda leaf: 5 * leaf, CONFIG.init(jax.random.key(0)))


def two_steps(state, given):
    step, losses = jax.jit(METHOD.step), []
    for i in range(2):
        state, metrics = step(state, given, jax.random.key(i))
        losses.append(float(metrics["loss"]))
    return state, losses


def test_every_matrix_is_split():
    mesh = make_mesh(devices=jax.devices()[:1])
    specs = {
        name: sharding.spec
        for name, sharding in trees.named_leaves(state_shardings(params(), mesh, LLAMA_RULES)).items()
    }
    whole = {name for name, spec in specs.items() if spec == PartitionSpec()}
    assert whole == {"layers.attention_gain", "layers.mlp_gain", "gain"}
    # Moments of the optimiser carry the same names behind others.
    state = METHOD.init(params())
    moments = [
        sharding.spec
        for name, sharding in trees.named_leaves(state_shardings(state, mesh, LLAMA_RULES)).items()
        if name.endswith("mu.layers.q")
    ]
    assert moments == [PartitionSpec(None, "fsdp", "tensor")]


def test_parts_of_a_batch_have_the_gradient_of_the_whole():
    given, weights = batch(), params()

    def gradient(part):
        return jax.grad(lambda p: jnp.mean(token_nats(POLICY, p, part)))(weights)

    whole = jax.jit(gradient)(given)
    parts = jax.jit(lambda given: mean_over_microbatches(gradient, given, 4))(given)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), whole, parts)


def test_sharded_is_single():
    environment = os.environ | {
        "XLA_FLAGS": f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=4",
        "JAX_PLATFORMS": "cpu",
    }
    subprocess.run([sys.executable, __file__], env=environment, check=True, timeout=300)


def on_four_devices():
    assert jax.device_count() == 4
    wanted, losses = two_steps(METHOD.init(params()), batch())
    drawn = jax.jit(POLICY.sample)(params(), jax.random.key(1), batch().context)
    mesh = make_mesh(1, 2, 2)
    state = place(METHOD.init(params()), mesh, LLAMA_RULES)
    assert state.params.layers.q.addressable_shards[0].data.shape == (2, 4, 8)
    # Rows are split over data and fsdp.
    given = jax.device_put(batch(), jax.sharding.NamedSharding(mesh, PartitionSpec(("data", "fsdp"))))
    again = jax.jit(POLICY.sample)(state.params, jax.random.key(1), given.context)
    np.testing.assert_array_equal(again, drawn)
    found, found_losses = two_steps(state, given)
    np.testing.assert_allclose(found_losses, losses, rtol=1e-5)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=2e-5), found.params, wanted.params
    )


if __name__ == "__main__":
    on_four_devices()
