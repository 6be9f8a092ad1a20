"""The decoder against a loop over positions and heads, and the ways of running it against each other."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from antiphon.core.errors import UserError
from antiphon.methods.sft import SFT, SFTBatch
from antiphon.nets import llama as llama_module
from antiphon.nets.llama import Llama, hidden_states
from antiphon.nets.llama_decoding import Prompts
from antiphon.nets.llama_policy import LlamaPolicy
from antiphon.nets.llama_sampling import Decoding

PLAIN = Llama(11, 12, 2, 4, 2, 6, 10, context=64, tied=False)
SWITCHED = Llama(
    11, 12, 2, 4, 2, 6, 10, context=64, qkv_bias=True, qk_norm=True, windows=(0, 3), rope_base=50.0
)  # fmt: skip
MODELS = {"plain": PLAIN, "switched": SWITCHED}


def loud(config):
    """Weights of such a size that tokens differ, biases and gains that are not neutral."""
    params = config.init(jax.random.key(3))
    leaves, structure = jax.tree.flatten(params)
    rng = np.random.default_rng(5)
    drawn = [jnp.asarray(0.4 * rng.standard_normal(leaf.shape), jnp.float32) for leaf in leaves]
    return jax.tree.unflatten(structure, [leaf + noise for leaf, noise in zip(leaves, drawn, strict=True)])


def norm(x, gain, epsilon):
    return x / np.sqrt(np.mean(x * x) + epsilon) * gain


def turned(x, position, base):
    half = len(x) // 2
    angle = position * base ** (-2 * np.arange(half) / len(x))
    a, b = x[:half], x[half:]
    return np.concatenate([a * np.cos(angle) - b * np.sin(angle), a * np.sin(angle) + b * np.cos(angle)])


def loop_logits(params, c, tokens):
    """Logits after each of the tokens, one position and one head at a time, in float64."""
    p = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
    x = [p.embedding[token] for token in tokens]
    for i in range(c.layers):
        w = jax.tree.map(lambda leaf, i=i: leaf[i], p.layers)
        keys, values, after = [], [], []
        for t, h in enumerate(x):
            n = norm(h, w.attention_gain, c.epsilon)
            q, k, v = n @ w.q, n @ w.k, n @ w.v
            if c.qkv_bias:
                q, k, v = q + w.q_bias, k + w.k_bias, v + w.v_bias
            q, k = q.reshape(c.heads, -1), k.reshape(c.kv_heads, -1)
            if c.qk_norm:
                q = np.stack([norm(one, w.q_gain, c.epsilon) for one in q])
                k = np.stack([norm(one, w.k_gain, c.epsilon) for one in k])
            keys.append([turned(one, t, c.rope_base) for one in k])
            values.append(v.reshape(c.kv_heads, -1))
            window = c.windows[i] if c.windows and c.windows[i] else t + 1
            seen = range(max(0, t + 1 - window), t + 1)
            mixed = []
            for head in range(c.heads):
                group = head * c.kv_heads // c.heads
                one = turned(q[head], t, c.rope_base)
                score = np.array([one @ keys[s][group] for s in seen]) / np.sqrt(c.head_width)
                weight = np.exp(score - score.max())
                weight /= weight.sum()
                mixed.append(sum(a * values[s][group] for a, s in zip(weight, seen, strict=True)))
            h = h + np.concatenate(mixed) @ w.o
            n = norm(h, w.mlp_gain, c.epsilon)
            gate = n @ w.gate
            after.append(h + (gate / (1 + np.exp(-gate)) * (n @ w.up)) @ w.down)
        x = after
    head = p.embedding.T if c.tied else p.head
    return np.stack([norm(h, p.gain, c.epsilon) @ head for h in x])


@pytest.fixture(scope="module", params=list(MODELS))
def model(request):
    config = MODELS[request.param]
    policy = LlamaPolicy(config, Decoding(new_tokens=5))
    return policy, loud(config), jax.jit(policy.logits), jax.jit(policy.complete)


PROMPTS = Prompts(jnp.array([[1, 2, 3, 4], [5, 6, 0, 0], [7, 8, 9, 0]]), jnp.array([4, 2, 3]))
TOKENS = jnp.array([[3, 1, 4, 1, 5], [9, 2, 6, 5, 3], [5, 8, 9, 7, 9]])


def test_logits_are_those_of_a_loop(model):
    policy, params, logits, _ = model
    found = logits(params, TOKENS, PROMPTS)
    for row in range(3):
        length = int(PROMPTS.length[row])
        whole = np.concatenate([PROMPTS.tokens[row, :length], TOKENS[row]])
        wanted = loop_logits(params, policy.config, whole)[length - 1 : -1]
        np.testing.assert_allclose(found[row], wanted, atol=2e-4)
        assert np.ptp(wanted) > 1


def test_padding_says_nothing(model):
    _, params, logits, complete = model
    other = PROMPTS._replace(tokens=jnp.where(PROMPTS.tokens == 0, 10, PROMPTS.tokens))
    np.testing.assert_array_equal(logits(params, TOKENS, PROMPTS), logits(params, TOKENS, other))
    wide = PROMPTS._replace(tokens=jnp.pad(PROMPTS.tokens, ((0, 0), (0, 3)), constant_values=2))
    np.testing.assert_allclose(logits(params, TOKENS, PROMPTS), logits(params, TOKENS, wide), atol=1e-5)
    key = jax.random.key(0)
    narrow, padded = complete(params, key, PROMPTS), complete(params, key, wide)
    np.testing.assert_array_equal(narrow.tokens, padded.tokens)


def test_cache_is_no_cache(model):
    _, params, logits, complete = model
    made = complete(params, jax.random.key(1), PROMPTS)
    scores = jax.nn.log_softmax(logits(params, made.tokens, PROMPTS))
    wanted = jnp.take_along_axis(scores, made.tokens[..., None], axis=-1)[..., 0]
    np.testing.assert_allclose(made.log_prob, wanted, atol=2e-5)
    assert len(np.unique(made.tokens)) > 2


def test_batched_is_single(model):
    policy, params, _, complete = model
    keys = jax.random.split(jax.random.key(2), 3)
    together = complete(params, keys, PROMPTS)
    alone = Prompts(PROMPTS.tokens[1:2, :2], jnp.array([2]))
    single = jax.jit(policy.complete)(params, keys[1:2], alone)
    np.testing.assert_array_equal(single.tokens[0], together.tokens[1])
    np.testing.assert_allclose(single.log_prob[0], together.log_prob[1], atol=1e-5)


def test_rolled_and_recomputed_layers_are_the_same(monkeypatch):
    params = loud(SWITCHED)

    def gradient(remat):
        policy = LlamaPolicy(SWITCHED, remat=remat)

        def loss(params):
            return jnp.mean(jnp.sin(policy.logits(params, TOKENS, PROMPTS)))

        return jax.jit(jax.grad(loss))(params)

    plain = gradient(False)
    monkeypatch.setattr(llama_module, "_UNROLLED_LAYERS", 0)
    again = gradient(True)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-6), plain, again)
    rolled = jax.jit(LlamaPolicy(SWITCHED, Decoding(3)).complete)(params, jax.random.key(0), PROMPTS)
    monkeypatch.undo()
    unrolled = jax.jit(LlamaPolicy(SWITCHED, Decoding(3)).complete)(params, jax.random.key(0), PROMPTS)
    np.testing.assert_array_equal(rolled.tokens, unrolled.tokens)


def test_both_matmul_formats(matmul_format):
    params = loud(PLAIN)
    wanted = loop_logits(params, PLAIN, [1, 2, 3, 4, 3, 1, 4, 1, 5])[3:-1]
    found = LlamaPolicy(PLAIN).logits(params, TOKENS, PROMPTS)[0]
    assert found.dtype == jnp.float32
    np.testing.assert_allclose(found, wanted, atol=0.15 if matmul_format == "bfloat16" else 2e-4)


def test_bfloat16_weights_have_float32_logits():
    params = loud(PLAIN)
    low = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), params)
    raised = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), low)
    policy = LlamaPolicy(PLAIN, Decoding(3))
    logits = jax.jit(policy.logits)
    found = logits(low, TOKENS, PROMPTS)
    assert found.dtype == jnp.float32
    np.testing.assert_allclose(found, logits(raised, TOKENS, PROMPTS), atol=1e-5)
    key = jax.random.key(0)
    sample = jax.jit(policy.sample)
    np.testing.assert_array_equal(sample(low, key, PROMPTS), sample(raised, key, PROMPTS))


def test_parts_of_the_states_have_parts_of_the_logits():
    policy, params = LlamaPolicy(PLAIN), loud(PLAIN)
    states = policy.states(params, TOKENS, PROMPTS)
    np.testing.assert_allclose(
        policy.head(params, states[:, 1:3]), policy.logits(params, TOKENS, PROMPTS)[:, 1:3], atol=1e-6
    )


def test_it_learns_by_supervised_fine_tuning():
    policy = LlamaPolicy(PLAIN, Decoding(new_tokens=5))
    method = SFT(policy, learning_rate=2e-2, steps=60, warmup=2)
    state = method.init(policy.config.init(jax.random.key(0)))
    batch = SFTBatch(TOKENS, PROMPTS, jnp.ones(TOKENS.shape))
    step = jax.jit(method.step)
    losses = []
    for i in range(60):
        state, metrics = step(state, batch, jax.random.key(i))
        losses.append(float(metrics["loss"]))
    assert losses[0] == pytest.approx(np.log(11), abs=0.2)
    assert losses[-1] < 0.1
    greedy = jax.jit(lambda p: policy.sample(p, jax.random.key(0), PROMPTS, temperature=0.0))(state.params)
    np.testing.assert_array_equal(greedy, TOKENS)


@pytest.mark.parametrize("deepest_unrolled", [8, 1])
@pytest.mark.parametrize("name", MODELS)
def test_asked_slots_are_those_of_the_whole(name, deepest_unrolled, monkeypatch):
    monkeypatch.setattr(llama_module, "_UNROLLED_LAYERS", deepest_unrolled)
    config = MODELS[name]
    params = loud(config)
    tokens = jax.random.randint(jax.random.key(0), (3, 7), 0, 11)
    position = jnp.broadcast_to(jnp.arange(7), (3, 7))
    present = position != jnp.array([[7], [2], [3]])
    asked = jnp.array([[0, 6], [3, 4], [6, 1]])

    def states(params, asked):
        return hidden_states(params, config, tokens, position, present, asked=asked)

    def loss(params, whole):
        found = llama_module.at_slots(states(params, None), asked) if whole else states(params, asked)
        return jnp.sum(found**3), found

    (gradient, found), (wanted, expected) = (
        jax.jit(jax.grad(loss, has_aux=True), static_argnums=1)(params, whole) for whole in (False, True)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    for one, other in zip(*map(jax.tree.leaves, (gradient, wanted)), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-3)


def test_one_token_and_one_layer_by_hand():
    """Attention over one token returns its value."""
    config = Llama(2, 2, 1, 1, 1, 2, 1, tied=False, epsilon=0.0)
    params = jax.tree.map(jnp.zeros_like, config.init(jax.random.key(0)))
    layers = params.layers._replace(
        attention_gain=jnp.ones((1, 2)), v=jnp.eye(2)[None] * 2.0, o=jnp.eye(2)[None]
    )
    params = params._replace(
        embedding=jnp.array([[3.0, 4.0], [0.0, 0.0]]), layers=layers, gain=jnp.ones(2), head=jnp.eye(2)
    )
    present, position = jnp.ones((1, 1), bool), jnp.zeros((1, 1), int)
    found = hidden_states(params, config, jnp.zeros((1, 1), int), position, present)
    # rms(3, 4) = sqrt(12.5); x = (3, 4) + 2 (3, 4) / sqrt(12.5) is a multiple of (3, 4).
    np.testing.assert_allclose(found[0, 0], np.array([3.0, 4.0]) / np.sqrt(12.5), rtol=1e-6)


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ({"heads": 4, "kv_heads": 3}, "cannot share 3"),
        ({"head_width": 5}, "odd width 5"),
        ({"layers": 0}, "layers=0"),
        ({"windows": (4,)}, "1 windows for 2 layers"),
    ],
)
def test_sizes_that_do_not_fit(sizes, said):
    with pytest.raises(UserError, match=said):
        replace(PLAIN, **sizes)
