"""Reward and preference models on tables, where the best fit is known, and as decoders."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit

from antiphon.core.errors import UserError
from antiphon.feedback.bradley_terry import fit_scores, misfit
from antiphon.feedback.pairs import Pairs
from antiphon.feedback.preference import antisymmetric, check_antisymmetry, from_reward
from antiphon.methods.preference_model import PreferenceModel
from antiphon.methods.reward_model import RewardModel
from antiphon.nets.llama import Llama
from antiphon.nets.llama_decoding import Prompts
from antiphon.nets.llama_judge import LlamaJudge
from antiphon.worlds.diagnostics.preferences import dice, random_table

ANSWERS = 4
FIRST, SECOND = (x.reshape(-1) for x in np.meshgrid(*[np.arange(ANSWERS)] * 2, indexing="ij"))


def every_pair(table):
    return Pairs(None, jnp.asarray(FIRST), jnp.asarray(SECOND), jnp.asarray(table[FIRST, SECOND]))


def train(method, params, pairs):
    def step(state, key):
        return method.step(state, pairs, key)

    keys = jax.random.split(jax.random.key(0), method.steps)
    return jax.tree.map(np.asarray, jax.jit(lambda s: jax.lax.scan(step, s, keys))(method.init(params)))


def test_the_reward_is_the_exact_fit_of_bradley_and_terry():
    table = random_table(1, ANSWERS)
    exact = fit_scores(table)
    method = RewardModel(lambda r, _, y: r[y], learning_rate=0.1, steps=400, weight_decay=0.0)
    with jax.enable_x64():
        state, metrics = train(method, jnp.zeros(ANSWERS), every_pair(table))
    np.testing.assert_allclose(state.params - state.params.mean(), exact, atol=1e-6)
    odds = exact[FIRST] - exact[SECOND]
    nats = -(table[FIRST, SECOND] * np.log(expit(odds)) + table[SECOND, FIRST] * np.log(expit(-odds)))
    assert metrics["loss"][-1] == pytest.approx(nats.mean(), abs=1e-6)


def test_a_preference_model_recovers_circles_that_no_reward_can():
    table = dice()
    index = np.array([0, 1, 2])
    pairs = Pairs(None, jnp.asarray(np.repeat(index, 3)), jnp.asarray(np.tile(index, 3)),
                  jnp.asarray(table.reshape(-1)))  # fmt: skip
    preferring = PreferenceModel(lambda f, _, a, b: f[a, b], learning_rate=0.1, steps=300, weight_decay=0.0)
    with jax.enable_x64():
        state, metrics = train(preferring, jnp.zeros((3, 3)), pairs)
        odds = preferring.log_odds(state.params, None, pairs.first, pairs.second)
    np.testing.assert_allclose(expit(odds).reshape(3, 3), table, atol=1e-6)
    assert metrics["accuracy"][-1] > 0.53
    # The best reward calls it a tie throughout, and misses what there is to know.
    scores = fit_scores(table)
    np.testing.assert_allclose(scores, 0, atol=1e-9)
    assert misfit(table, scores) > 5e-3


CONFIG = Llama(7, 12, 1, 2, 1, 6, 16, context=32)
JUDGE = LlamaJudge(CONFIG, stop=(1,), mark=1)
PARAMS = JUDGE.init(jax.random.key(0))._replace(head=jax.random.normal(jax.random.key(1), (12,)))
PARAMS = PARAMS._replace(trunk=jax.tree.map(lambda leaf: 6 * leaf, PARAMS.trunk))
PROMPT = Prompts(jnp.array([[2, 3, 4], [5, 0, 0]]), jnp.array([3, 1]))
A, B = jnp.array([[2, 3, 1, 0], [4, 4, 5, 6]]), jnp.array([[6, 1, 0, 0], [2, 1, 0, 0]])


def test_padding_says_nothing_to_a_judge():
    compare, reward = jax.jit(JUDGE.compare), jax.jit(JUDGE.reward)
    wide = Prompts(jnp.pad(PROMPT.tokens, ((0, 0), (0, 2)), constant_values=6), PROMPT.length)
    dirty = jnp.where(B == 0, 3, B)
    np.testing.assert_allclose(compare(PARAMS, PROMPT, A, B), compare(PARAMS, wide, A, dirty), rtol=2e-5)
    np.testing.assert_allclose(reward(PARAMS, PROMPT, B), reward(PARAMS, wide, dirty), rtol=2e-5)
    # Alone as in the batch, without any padding.
    one = compare(PARAMS, Prompts(PROMPT.tokens[1:, :1], PROMPT.length[1:]), A[1:], B[1:, :2])
    np.testing.assert_allclose(one[0], compare(PARAMS, PROMPT, A, B)[1], rtol=2e-5)
    assert abs(float(reward(PARAMS, PROMPT, A)[0] - reward(PARAMS, PROMPT, B)[0])) > 0.1
    assert abs(float(compare(PARAMS, PROMPT, A, B)[0] - compare(PARAMS, PROMPT, B, A)[0])) > 0.1


def test_decoders_are_preferences():
    for preference in map(jax.jit, (antisymmetric(JUDGE.compare), from_reward(JUDGE.reward))):
        check_antisymmetry(preference, PARAMS, PROMPT, A, B)
        np.testing.assert_allclose(preference(PARAMS, PROMPT, A, A), 0.5)
    method = PreferenceModel(JUDGE.compare)
    said = jax.jit(antisymmetric(JUDGE.compare))(PARAMS, PROMPT, A, B)
    np.testing.assert_allclose(expit(jax.jit(method.log_odds)(PARAMS, PROMPT, A, B)), said, rtol=1e-5)


def test_a_decoder_learns_which_die_shows_more():
    """Dice 2, 3, 4 that beat each other in a circle: a reward has nothing to say, a comparison everything."""
    beats = np.array([[0.5, 1, 0], [0, 0.5, 1], [1, 0, 0.5]])
    index = np.arange(3)
    first, second = jnp.asarray(np.repeat(index, 3) + 2)[:, None], jnp.asarray(np.tile(index, 3) + 2)[:, None]
    ask = Prompts(jnp.full((9, 1), 5), jnp.ones(9, jnp.int32))
    pairs = Pairs(ask, first, second, jnp.asarray(beats.reshape(-1), jnp.float32))
    settings = {"learning_rate": 1e-2, "steps": 150, "warmup": 5}
    plain = LlamaJudge(CONFIG, mark=1)
    _, compared = train(PreferenceModel(plain.compare, **settings), plain.init(jax.random.key(2)), pairs)
    _, scored = train(RewardModel(plain.reward, **settings), plain.init(jax.random.key(2)), pairs)
    tie = np.log(2)
    assert compared["loss"][0] == pytest.approx(tie, abs=1e-5)
    # Three of nine pairs are a die with itself, a tie for ever.
    assert compared["loss"][-1] < tie / 3 + 0.05
    assert scored["loss"][-1] == pytest.approx(tie, abs=0.02)


@pytest.mark.parametrize("method", [RewardModel, PreferenceModel])
def test_no_steps_are_refused(method):
    with pytest.raises(UserError, match="0 steps"):
        method(lambda *_: 0.0, steps=0)


@pytest.mark.parametrize("method", [
    RewardModel(lambda r, _, y: r[0, y], learning_rate=0.1),
    PreferenceModel(lambda f, _, a, b: f[a, b], learning_rate=0.1),
])  # fmt: skip
def test_microbatches_are_the_whole_batch(method):
    start = jnp.asarray(np.random.default_rng(0).normal(size=(ANSWERS, ANSWERS)), jnp.float32)
    pairs = every_pair(random_table(2, ANSWERS))
    found = []
    for microbatch in (None, 4, 3):  # 16 pairs in pieces of at most 3 are pieces of 2
        cut = replace(method, microbatch=microbatch, warmup=0)
        found.append(jax.jit(cut.step)(cut.init(start), pairs, jax.random.key(0)))
    assert np.abs(found[0][0].params - start).max() > 1e-3
    for state, metrics in found[1:]:
        np.testing.assert_allclose(state.params, found[0][0].params, rtol=1e-4, atol=1e-6)
        for name, value in metrics.items():
            np.testing.assert_allclose(value, found[0][1][name], rtol=1e-5)
    with pytest.raises(UserError, match="microbatch=0"):
        replace(method, microbatch=0)
