"""Under an adapter every method's optimiser knows the adapter only."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from antiphon.methods.gkd import GKD
from antiphon.methods.nash_md import NashMD
from antiphon.methods.reinforce_kl import ReinforceKL
from antiphon.methods.sft import SFT, SFTBatch
from antiphon.methods.trained_part import for_trained_part
from antiphon.nets.llama import Llama
from antiphon.nets.llama_decoding import Prompts
from antiphon.nets.llama_policy import Adapted, LlamaPolicy
from antiphon.nets.lora import LoRA

CONFIG, LORA = Llama(5, 8, 1, 2, 1, 4, 8), LoRA(rank=2)
POLICY = LlamaPolicy(CONFIG, lora=LORA)
BASE = CONFIG.init(jax.random.key(0))
PARAMS = Adapted(BASE, LORA.init(jax.random.key(1), BASE.layers))
ADAPTER_SIZE = sum(leaf.size for leaf in jax.tree.leaves(PARAMS.adapter))


def first(_, context, a, b):
    return jnp.full(len(a), 0.5)


@pytest.mark.parametrize(
    "optimiser",
    [
        lambda model: SFT(model).init(PARAMS).optimiser,
        lambda model: GKD(model, model).init(PARAMS, PARAMS).optimiser,
        lambda model: NashMD(model, first).init(PARAMS).optimiser,
        lambda model: ReinforceKL(model, lambda *_: {}, (("r", 1.0),)).init(PARAMS, ()).optimiser,
    ],
    ids=["sft", "gkd", "nash_md", "reinforce_kl"],
)
def test_moments_are_kept_of_the_adapter_only(optimiser):
    def kept(model):
        return sum(leaf.size for leaf in jax.tree.leaves(optimiser(model)) if leaf.ndim)

    assert kept(POLICY) == 2 * ADAPTER_SIZE

    class Unaware:
        """The same policy, were it silent about what learns."""

        logits, sample = POLICY.logits, POLICY.sample

    everything = sum(leaf.size for leaf in jax.tree.leaves(PARAMS))
    assert kept(Unaware()) == 2 * everything


def test_a_step_moves_the_adapter_and_leaves_the_rest():
    batch = SFTBatch(jnp.array([[1, 2]]), Prompts(jnp.array([[3]]), jnp.array([1])), jnp.ones((1, 2)))
    method = SFT(POLICY, weight_decay=0.5, warmup=1)
    state = method.init(PARAMS)
    for key in jax.random.split(jax.random.key(2), 2):
        state, _ = method.step(state, batch, key)
    jax.tree.map(np.testing.assert_array_equal, state.params.base, BASE)
    assert any((a != b).any() for a, b in zip(*map(jax.tree.leaves, (state.params.adapter, PARAMS.adapter)),
                                              strict=True))  # fmt: skip


def test_what_does_not_learn_stays_whatever_its_gradient():
    optimiser = for_trained_part(POLICY, optax.sgd(1.0))
    ones = jax.tree.map(jnp.ones_like, PARAMS)
    updates, _ = optimiser.update(ones, optimiser.init(PARAMS), PARAMS)
    assert all((leaf == 0).all() for leaf in jax.tree.leaves(updates.base))
    assert all((leaf == -1).all() for leaf in jax.tree.leaves(updates.adapter))
