"""Completions of a tiny decoder against the enumerated distribution, alone and in the mixture of two."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import chisquare

from antiphon.core.errors import UserError
from antiphon.nets.llama import Llama
from antiphon.nets.llama_decoding import Prompts
from antiphon.nets.llama_policy import LlamaPolicy
from antiphon.nets.llama_sampling import (
    Decoding,
    chosen_tokens,
    generate,
    generate_beside,
    generate_mixture,
)

V, T = 3, 3
CONFIGS = Llama(V, 8, 1, 2, 1, 4, 8, context=4096), Llama(V, 12, 2, 2, 2, 6, 8, context=4096, qk_norm=True)
PROMPT = [2, 0]
DRAWS = 40_000
SEQUENCES = np.array(list(itertools.product(range(V), repeat=T)))


def loud(config, seed):
    return jax.tree.map(lambda leaf: 8.0 * leaf, config.init(jax.random.key(seed)))


PARAMS = loud(CONFIGS[0], 0), loud(CONFIGS[1], 4)
MIX = jax.jit(generate_mixture, static_argnames=("configs", "decoding"))
DRAW = jax.jit(generate, static_argnames=("config", "decoding"))


def prompts(count, length=2):
    return Prompts(jnp.tile(jnp.array([PROMPT]), (count, 1))[:, :length], jnp.full(count, length))


def token_log_probs(which):
    """Log-probabilities ``[27, T, V]`` along every sequence, without a cache."""
    policy = LlamaPolicy(CONFIGS[which])
    logits = policy.logits(PARAMS[which], jnp.asarray(SEQUENCES), prompts(len(SEQUENCES)))
    return np.asarray(jax.nn.log_softmax(logits), np.float64)


def sequence_probabilities(log_probs):
    chosen = np.take_along_axis(log_probs, SEQUENCES[..., None], axis=-1)[..., 0]
    return np.exp(chosen.sum(axis=-1))


def mixed_log_probs(beta):
    """The mixture at every prefix, normalised there: not the normalised mixture of whole sequences."""
    mixed = (1 - beta) * token_log_probs(0) + beta * token_log_probs(1)
    return mixed - np.log(np.exp(mixed).sum(axis=-1, keepdims=True))


def fits(tokens, probabilities):
    place = np.asarray(tokens) @ (V ** np.arange(T)[::-1])
    observed = np.bincount(place, minlength=V**T)
    expected = probabilities * len(place)
    assert expected.sum() == pytest.approx(len(place), rel=1e-4)
    rare = expected < 5
    observed = np.append(observed[~rare], observed[rare].sum())
    expected = np.append(expected[~rare], expected[rare].sum())
    if expected[-1] == 0:
        observed, expected = observed[:-1], expected[:-1]
    return chisquare(observed, expected * observed.sum() / expected.sum()).pvalue


def test_the_models_differ():
    tv = 0.5 * np.abs(sequence_probabilities(token_log_probs(0)) - sequence_probabilities(token_log_probs(1)))
    assert tv.sum() > 0.2


def test_samples_have_the_enumerated_frequencies():
    made = DRAW(PARAMS[0], CONFIGS[0], prompts(DRAWS), jax.random.key(0), Decoding(T))
    assert fits(made.tokens, sequence_probabilities(token_log_probs(0))) > 1e-3
    # And they are not those of the other model: the test can fail.
    assert fits(made.tokens, sequence_probabilities(token_log_probs(1))) < 1e-12


@pytest.mark.parametrize("beta", [0.25, 0.7])
def test_the_mixture_has_the_enumerated_frequencies(beta):
    made = MIX(PARAMS, CONFIGS, prompts(DRAWS), jax.random.key(1), beta, Decoding(T))
    wanted = mixed_log_probs(beta)
    assert fits(made.tokens, sequence_probabilities(wanted)) > 1e-3
    place = np.asarray(made.tokens[:200]) @ (V ** np.arange(T)[::-1])
    expected = np.take_along_axis(wanted, SEQUENCES[..., None], axis=-1)[place, :, 0]
    np.testing.assert_allclose(made.log_prob[:200], expected, rtol=1e-5, atol=1e-5)


def test_at_its_ends_the_mixture_is_one_of_the_two():
    rows, key = prompts(64), jax.random.key(2)
    # One beta a row: half of the rows from each end.
    beta = jnp.repeat(jnp.array([0.0, 1.0]), 32)
    mixed = MIX(PARAMS, CONFIGS, rows, key, beta, Decoding(T)).tokens
    first, second = (DRAW(PARAMS[i], CONFIGS[i], rows, key, Decoding(T)).tokens for i in range(2))
    np.testing.assert_array_equal(mixed[:32], first[:32])
    np.testing.assert_array_equal(mixed[32:], second[32:])
    assert (first != second).any()


def test_tempered_samples():
    made = DRAW(PARAMS[0], CONFIGS[0], prompts(DRAWS), jax.random.key(3), Decoding(T), 2.0)
    halved = token_log_probs(0) / 2
    halved -= np.log(np.exp(halved).sum(axis=-1, keepdims=True))
    assert fits(made.tokens, sequence_probabilities(halved)) > 1e-3


def test_a_stop_ends_a_completion():
    decoding = Decoding(new_tokens=6, stop=(1,), pad=2)
    made = DRAW(PARAMS[0], CONFIGS[0], prompts(64), jax.random.key(4), decoding)
    tokens, lengths = np.asarray(made.tokens), np.asarray(made.length)
    assert lengths.min() < 6
    for row, length, log_prob in zip(tokens, lengths, np.asarray(made.log_prob), strict=True):
        assert (row[length:] == 2).all()
        assert (log_prob[length:] == 0).all()
        assert (row[: length - 1] != 1).all()
        assert length == 6 or row[length - 1] == 1
    np.testing.assert_array_equal(chosen_tokens(made.tokens, (1,)).sum(axis=-1), lengths)
    policy = LlamaPolicy(CONFIGS[0], decoding)
    np.testing.assert_array_equal(policy.chosen(prompts(64), made.tokens), chosen_tokens(made.tokens, (1,)))
    # Until they end, the completions are those without a stop.
    free = DRAW(PARAMS[0], CONFIGS[0], prompts(64), jax.random.key(4), Decoding(6))
    chosen = np.asarray(chosen_tokens(made.tokens, (1,)), bool)
    np.testing.assert_array_equal(tokens[chosen], np.asarray(free.tokens)[chosen])


def test_both_sides_in_one_loop_are_those_of_two_loops():
    """Prompts of two lengths, 300 completions of π and 200 of the mixture each: the same draws."""
    given = Prompts(jnp.array([[2, 0], [1, 0]]), jnp.array([2, 1]))
    keys = tuple(jax.random.split(jax.random.key(5)))
    decoding = Decoding(T, stop=(1,), pad=0)
    both = jax.jit(generate_beside, static_argnames=("configs", "decoding", "counts"))(
        PARAMS, CONFIGS, given, keys, 0.3, decoding, 0.8, counts=(300, 200)
    )
    own, against = (jax.tree.map(lambda leaf, n=n: jnp.repeat(leaf, n, axis=0), given) for n in (300, 200))
    alone = DRAW(PARAMS[0], CONFIGS[0], own, keys[0], decoding, 0.8)
    mixed = MIX(PARAMS, CONFIGS, against, keys[1], 0.3, decoding, 0.8)
    for found, expected in zip(both, (alone, mixed), strict=True):
        np.testing.assert_array_equal(found.tokens, expected.tokens)
        np.testing.assert_array_equal(found.length, expected.length)
        np.testing.assert_allclose(found.log_prob, expected.log_prob, atol=2e-5)
    assert len(set(np.asarray(both[0].length))) > 1


def test_one_new_token_and_a_prompt_of_one():
    made = DRAW(PARAMS[0], CONFIGS[0], prompts(5, length=1), jax.random.key(0), Decoding(1))
    assert made.tokens.shape == (5, 1)
    np.testing.assert_array_equal(made.length, 1)


@pytest.mark.parametrize(
    ("settings", "said"),
    [({"new_tokens": 0}, "0 tokens"), ({"top_k": -1}, "top_k is -1"), ({"top_p": 0.0}, "top_p is 0.0")],
)
def test_settings_that_mean_nothing(settings, said):
    with pytest.raises(UserError, match=said):
        Decoding(**settings)


def test_what_cannot_be_completed():
    with pytest.raises(UserError, match="exceed the model's context of 4096"):
        generate(PARAMS[0], CONFIGS[0], prompts(1), jax.random.key(0), Decoding(4095))
    with pytest.raises(UserError, match="temperature is -1"):
        generate(PARAMS[0], CONFIGS[0], prompts(1), jax.random.key(0), Decoding(T), -1.0)
    other = Llama(4, 8, 1, 2, 1, 4, 8)
    with pytest.raises(UserError, match="vocabularies of 3 and 4 tokens"):
        generate_mixture(
            (PARAMS[0], loud(other, 0)), (CONFIGS[0], other), prompts(1), jax.random.key(0), 0.5, Decoding(T)
        )
