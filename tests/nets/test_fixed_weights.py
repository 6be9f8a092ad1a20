"""An adapter on weights that stay apart is the adapter on the same weights."""

import jax
import jax.numpy as jnp
import numpy as np

from antiphon.nets.fixed_weights import FixedWeights
from antiphon.nets.llama import Llama
from antiphon.nets.llama_decoding import Prompts
from antiphon.nets.llama_policy import Adapted, LlamaPolicy
from antiphon.nets.llama_sampling import Decoding
from antiphon.nets.lora import LoRA

CONFIG = Llama(11, 16, 1, 2, 1, 8, 16, context=32)
POLICY = LlamaPolicy(CONFIG, Decoding(4, stop=(1,)), lora=LoRA(2, targets=("q", "down")))
PROMPTS = Prompts(jnp.array([[2, 3, 4], [5, 0, 0]]), jnp.array([3, 1]))
TOKENS = jnp.array([[2, 3, 1, 0], [4, 4, 5, 6]])


def test_it_is_the_adapted_policy():
    base = CONFIG.init(jax.random.key(0))
    adapter = POLICY.lora.init(jax.random.key(1), base.layers)
    adapter = jax.tree.map(lambda leaf: leaf + 0.1, adapter)
    apart, together = FixedWeights(POLICY, base), Adapted(base, adapter)
    np.testing.assert_array_equal(
        apart.logits(adapter, TOKENS, PROMPTS), POLICY.logits(together, TOKENS, PROMPTS)
    )
    key = jax.random.key(2)
    np.testing.assert_array_equal(apart.sample(adapter, key, PROMPTS), POLICY.sample(together, key, PROMPTS))
    # Without parameters it is the base, which a mixture may hold beside the adapter.
    plain = LlamaPolicy(CONFIG, Decoding(4, stop=(1,)))
    np.testing.assert_array_equal(apart.sample((), key, PROMPTS), plain.sample(base, key, PROMPTS))
    mixed = apart.sample_mixture(adapter, (), key, PROMPTS, share=0.0)
    np.testing.assert_array_equal(mixed, apart.sample(adapter, key, PROMPTS))
    for side in apart.sample_beside(adapter, (), (key, key), PROMPTS, counts=(1, 1), share=0.0):
        np.testing.assert_array_equal(side, mixed)
    np.testing.assert_array_equal(apart.chosen(PROMPTS, TOKENS), plain.chosen(PROMPTS, TOKENS))
