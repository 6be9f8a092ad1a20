import dataclasses
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from antiphon.core.errors import UserError
from antiphon.methods.sft import SFT, SFTBatch, token_nats


@dataclass(frozen=True)
class Bigram:
    """Scores from a table, by the token before and the context: ``params [C, V + 1, V]``."""

    def logits(self, params, tokens, context):
        before = jnp.pad(tokens[:, :-1] + 1, ((0, 0), (1, 0)))
        return params[context[:, None], before]

    def sample(self, params, key, context, *, temperature=1.0):
        raise NotImplementedError


PARAMS = np.random.default_rng(0).normal(size=(2, 5, 4)).astype(np.float32)
TOKENS = np.array([[0, 3, 1, 1, 2, 0], [2, 2, 0, 1, 3, 3]])
MASK = np.array([[1, 1, 0, 1, 1, 0], [0, 1, 1, 1, 1, 1]], np.float32)
BATCH = SFTBatch(jnp.asarray(TOKENS), jnp.array([1, 0]), jnp.asarray(MASK))
METHOD = SFT(Bigram(), learning_rate=0.1, steps=40, warmup=5, groups=3)
KEY = jax.random.key(0)


def nats_by_hand():
    nats = np.zeros(TOKENS.shape)
    for row, (tokens, context) in enumerate(zip(TOKENS, (1, 0), strict=True)):
        for t, token in enumerate(tokens):
            scores = PARAMS[context, 0 if t == 0 else tokens[t - 1] + 1].astype(np.float64)
            nats[row, t] = np.log(np.exp(scores).sum()) - scores[token]
    return nats


def test_losses_are_masked_cross_entropies_by_hand():
    nats = nats_by_hand()
    np.testing.assert_allclose(token_nats(Bigram(), jnp.asarray(PARAMS), BATCH), nats, rtol=1e-5)
    _, metrics = jax.jit(METHOD.step)(METHOD.init(jnp.asarray(PARAMS)), BATCH, KEY)
    np.testing.assert_allclose(metrics["loss"], (nats * MASK).sum() / MASK.sum(), rtol=1e-5)
    for kind in range(3):
        mask = MASK[:, kind::3]
        expected = (nats[:, kind::3] * mask).sum() / mask.sum()
        np.testing.assert_allclose(metrics[f"loss_{kind}"], expected, rtol=1e-5)
    alone = SFT(Bigram())
    assert set(jax.eval_shape(alone.step, alone.init(jnp.asarray(PARAMS)), BATCH, KEY)[1]) == {"loss"}


def test_masked_tokens_are_not_learnt():
    batch = BATCH._replace(mask=jnp.zeros_like(BATCH.mask).at[0, 1].set(1))
    method = SFT(Bigram(), learning_rate=0.1, warmup=0, weight_decay=0.0)
    state = method.init(jnp.asarray(PARAMS))
    step = jax.jit(method.step)
    for _ in range(2):  # the first step has learning rate 0
        state, _ = step(state, batch, KEY)
    changed = np.argwhere(np.abs(state.params - PARAMS).max(-1) > 0)
    np.testing.assert_array_equal(changed, [[1, TOKENS[0, 0] + 1]])


def test_the_schedule_warms_up_and_ends_at_its_share():
    """With one sign of gradient throughout, Adam's step is the learning rate."""
    method = SFT(Bigram(), learning_rate=0.01, steps=40, warmup=100, final=0.1, weight_decay=0.0)
    state, moved = method.init(jnp.zeros((2, 5, 4))), []
    batch = BATCH._replace(tokens=jnp.zeros_like(BATCH.tokens))
    step = jax.jit(method.step)
    for _ in range(41):
        before = state.params
        state, _ = step(state, batch, KEY)
        moved.append(float(jnp.max(jnp.abs(state.params - before))))
    np.testing.assert_allclose(moved[:6], 0.01 * np.arange(6) / 5, atol=2e-4)
    assert np.argmax(moved) == 5  # a tenth of the steps, not the hundred asked for
    np.testing.assert_allclose(moved[-1], 0.001, rtol=0.1)


def test_a_sweep_over_learning_rates_is_a_vmap():
    rates = (0.01, 0.1)
    methods = [SFT(Bigram(), learning_rate=rate, steps=40, warmup=1) for rate in rates]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *methods)

    def train(method):
        def step(state, _):
            return method.step(state, BATCH, KEY)

        return jax.lax.scan(step, method.init(jnp.asarray(PARAMS)), None, length=4)[0].params

    together = jax.jit(jax.vmap(train))(stacked)
    for one, method in zip(together, methods, strict=True):
        np.testing.assert_allclose(one, jax.jit(lambda method=method: train(method))(), atol=1e-5)
    assert np.abs(together[0] - together[1]).max() > 0.01


@pytest.mark.parametrize("wrong", ["steps", "groups"])
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(UserError, match=f"SFT with {wrong}=0; give at least 1"):
        SFT(Bigram(), **{wrong: 0})


def test_microbatches_are_the_whole_batch_whatever_counts_in_each():
    # Six rows in which very different numbers of tokens count.
    rows = jnp.array([0, 1, 0, 1, 0, 1])
    mask = BATCH.mask[rows] * (jnp.arange(6)[None] <= jnp.arange(6)[:, None])
    batch = SFTBatch(BATCH.tokens[rows], BATCH.context[rows], mask)
    found = []
    for microbatch in (None, 4, 1):
        method = dataclasses.replace(METHOD, microbatch=microbatch, warmup=0)
        found.append(jax.jit(method.step)(method.init(jnp.asarray(PARAMS)), batch, KEY))
    for state, metrics in found[1:]:
        for name, value in metrics.items():
            np.testing.assert_allclose(value, found[0][1][name], rtol=1e-5)
        for mine, whole in zip(jax.tree.leaves(state), jax.tree.leaves(found[0][0]), strict=True):
            np.testing.assert_allclose(mine, whole, rtol=1e-4, atol=1e-6)
    with pytest.raises(UserError, match="microbatch=0"):
        SFT(Bigram(), microbatch=0)
