"""Low-rank factors: beside the matrix, worked into it, learning alone, and in PEFT's files."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from antiphon.core.errors import UserError
from antiphon.nets.llama import Llama, merged
from antiphon.nets.llama_decoding import Prompts
from antiphon.nets.llama_policy import Adapted, LlamaPolicy, trainable
from antiphon.nets.llama_sampling import Decoding
from antiphon.nets.lora import Factors, LoRA, LowRank, linear, plain
from antiphon.nets.lora_files import load_adapter, save_adapter
from antiphon.nets.weights import load_arrays, save_arrays

CONFIG = Llama(11, 8, 2, 4, 2, 4, 10, context=32)
LORA = LoRA(rank=3, alpha=6.0, targets=("q", "v", "down"))
POLICY = LlamaPolicy(CONFIG, Decoding(3), lora=LORA)
PROMPTS = Prompts(jnp.array([[1, 2, 3]]), jnp.array([3]))
TOKENS = jnp.array([[4, 5, 6]])
LOGITS, BARE = jax.jit(POLICY.logits), jax.jit(LlamaPolicy(CONFIG).logits)
BASE = jax.tree.map(lambda leaf: 6 * leaf, CONFIG.init(jax.random.key(0)))


def adapter(scale):
    drawn = LORA.init(jax.random.key(1), BASE.layers)
    rng = np.random.default_rng(2)
    return {
        name: Factors(f.a, jnp.asarray(scale * rng.standard_normal(f.b.shape), jnp.float32))
        for name, f in drawn.items()
    }


def test_it_begins_at_the_frozen_network():
    fresh = LORA.init(jax.random.key(1), BASE.layers)
    plain_logits = BARE(BASE, TOKENS, PROMPTS)
    np.testing.assert_array_equal(LOGITS(Adapted(BASE, fresh), TOKENS, PROMPTS), plain_logits)
    assert (np.abs(fresh["down"].a) <= 10**-0.5).all()
    assert np.std(fresh["down"].a) > 0.1


def test_merged_is_beside():
    params = Adapted(BASE, adapter(0.5))
    beside = LOGITS(params, TOKENS, PROMPTS)
    inside = BARE(merged(POLICY.network(params)), TOKENS, PROMPTS)
    # Two orders of summing in float32, which processors round differently; the adapter moves them by 0.1.
    np.testing.assert_allclose(beside, inside, atol=3e-5)
    assert np.abs(beside - BARE(BASE, TOKENS, PROMPTS)).max() > 0.1
    made = jax.jit(POLICY.complete)(params, jax.random.key(0), PROMPTS)
    scores = jax.nn.log_softmax(LOGITS(params, made.tokens, PROMPTS))
    wanted = jnp.take_along_axis(scores, made.tokens[..., None], axis=-1)[..., 0]
    np.testing.assert_allclose(made.log_prob, wanted, atol=1e-5)


def test_the_sum_is_what_it_says():
    rng = np.random.default_rng(0)
    x, w, a, b = (rng.standard_normal(shape) for shape in ((4, 5), (5, 6), (5, 2), (2, 6)))
    low = LowRank(*(jnp.asarray(part, jnp.float32) for part in (w, a, b)), scale=0.7)
    np.testing.assert_allclose(linear(jnp.asarray(x, jnp.float32), low), x @ (w + 0.7 * a @ b), rtol=2e-5)
    np.testing.assert_allclose(plain(low), w + 0.7 * a @ b, rtol=2e-5)
    assert LoRA(rank=4, alpha=8.0).scale == 2.0
    assert LoRA(rank=4, alpha=8.0, rank_stabilised=True).scale == 4.0


def test_only_the_adapter_learns():
    params = Adapted(BASE, adapter(0.1))

    def loss(params):
        return jnp.mean(jnp.sin(POLICY.logits(params, TOKENS, PROMPTS)))

    loss = jax.jit(loss)
    gradient = jax.jit(jax.grad(loss))(params)
    assert all((leaf == 0).all() for leaf in jax.tree.leaves(gradient.base))
    assert all((leaf != 0).any() for leaf in jax.tree.leaves(gradient.adapter))
    # The optimiser keeps moments of the adapter only.
    optimiser = optax.masked(optax.adam(1e-2), trainable)
    state = optimiser.init(params)
    kept = sum(leaf.size for leaf in jax.tree.leaves(state))
    assert kept == 2 * sum(leaf.size for leaf in jax.tree.leaves(params.adapter)) + 1
    updates, _ = optimiser.update(gradient, state, params)
    after = optax.apply_updates(params, updates)
    jax.tree.map(np.testing.assert_array_equal, after.base, params.base)
    assert loss(after) < loss(params)


def test_files_and_back(tmp_path):
    made = adapter(0.5)
    save_adapter(tmp_path, LORA, made, base="a model")
    lora, again = load_adapter(tmp_path, CONFIG)
    assert (lora.rank, lora.scale, set(lora.targets)) == (3, 2.0, {"q", "v", "down"})
    assert set(again) == set(made)
    for name in made:
        jax.tree.map(np.testing.assert_array_equal, again[name], made[name])
    arrays = load_arrays(tmp_path / "adapter_model.safetensors")
    q = arrays["base_model.model.model.layers.1.self_attn.q_proj.lora_A.weight"]
    np.testing.assert_array_equal(q, made["q"].a[1].T)
    assert json.loads((tmp_path / "adapter_config.json").read_text())["target_modules"] == [
        "q_proj", "v_proj", "down_proj",
    ]  # fmt: skip


def test_a_layer_that_is_left_alone_has_zero_factors(tmp_path):
    save_adapter(tmp_path, LORA, adapter(0.5))
    path = tmp_path / "adapter_model.safetensors"
    arrays = {name: array for name, array in load_arrays(path).items() if "layers.0" not in name}
    save_arrays(path, arrays)
    _, again = load_adapter(tmp_path, CONFIG)
    assert all((f.b[0] == 0).all() and (f.b[1] != 0).any() for f in again.values())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"use_dora": True}, "use_dora"),
        ({"peft_type": "IA3"}, "no LoRA adapter"),
        ({"bias": "all"}, "bias='all'"),
        ({"r": 5}, r"factor [AB] of [\w.]+_proj of shape"),
    ],
)
def test_adapters_of_another_kind(tmp_path, change, said):
    save_adapter(tmp_path, LORA, adapter(0.5))
    path = tmp_path / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(UserError, match=said):
        load_adapter(tmp_path, CONFIG)


def test_what_does_not_fit(tmp_path):
    with pytest.raises(UserError, match="rank 0"):
        LoRA(rank=0)
    with pytest.raises(UserError, match="no plain matrix 'w'"):
        LoRA(targets=("w",)).init(jax.random.key(0), BASE.layers)
    with pytest.raises(UserError, match="without targets"):
        LoRA(targets=())
    with pytest.raises(UserError, match=r"adapter_config\.json cannot be read"):
        load_adapter(tmp_path, CONFIG)
    save_adapter(tmp_path, LORA, adapter(0.5))
    one_layer = Llama(11, 8, 1, 4, 2, 4, 10)
    with pytest.raises(UserError, match=r"layers\.1.*no place for"):
        load_adapter(tmp_path, one_layer)
    wider = Llama(11, 12, 2, 4, 2, 4, 10)
    with pytest.raises(UserError, match="beside matrices of shape"):
        LORA.attach(wider.init(jax.random.key(0)).layers, adapter(0.5))
