import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

from antiphon.core.distributions import Bernoulli, Beta, Categorical, Normal, TanhNormal

CATEGORICAL = Categorical(jnp.array([0.2, -1.0, 0.7, -jnp.inf]))
BERNOULLI = Bernoulli(jnp.array([0.4, -2.0]))
NORMAL = Normal(jnp.array([0.3, -1.0]), jnp.array([0.5, 2.0]))
TANH = TanhNormal(jnp.array([0.4, -0.6]), jnp.array([0.7, 0.3]))
BETA = Beta(jnp.array([2.5, 1.2]), jnp.array([1.5, 3.0]))

OTHERS = {
    "categorical": (CATEGORICAL, Categorical(jnp.array([-0.5, 0.1, 0.0, 0.3]))),
    "bernoulli": (BERNOULLI, Bernoulli(jnp.array([-0.3, 1.0]))),
    "normal": (NORMAL, Normal(jnp.array([0.0, 0.5]), jnp.array([1.0, 1.5]))),
    "tanh-normal": (TANH, TanhNormal(jnp.array([0.1, -0.1]), jnp.array([0.9, 0.5]))),
    "beta": (BETA, Beta(jnp.array([2.0, 2.0]), jnp.array([1.0, 2.0]))),
}


def samples(distribution, count=20000):
    return jax.jit(jax.vmap(distribution.sample))(jax.random.split(jax.random.key(3), count))


@pytest.mark.parametrize("name", list(OTHERS))
def test_kl_is_the_expected_log_ratio(name):
    first, second = OTHERS[name]
    draws = samples(first)
    ratios = np.asarray(jax.vmap(lambda x: first.log_prob(x) - second.log_prob(x))(draws))
    error = ratios.std() / np.sqrt(ratios.size)
    np.testing.assert_allclose(first.kl(second), ratios.mean(), atol=4.5 * error)
    np.testing.assert_allclose(first.kl(first), 0.0, atol=1e-6)


@pytest.mark.parametrize("name", ["categorical", "bernoulli", "normal", "beta"])
def test_entropy_is_the_expected_surprise(name):
    distribution = OTHERS[name][0]
    surprise = -np.asarray(jax.vmap(distribution.log_prob)(samples(distribution)))
    error = surprise.std() / np.sqrt(surprise.size)
    np.testing.assert_allclose(distribution.entropy(), surprise.mean(), atol=4.5 * error)


def test_log_prob_against_scipy():
    x = jnp.array([0.1, -0.4])
    expected = stats.norm.logpdf(x, NORMAL.mean, NORMAL.scale).sum()
    np.testing.assert_allclose(NORMAL.log_prob(x), expected, rtol=1e-5)
    x = jnp.array([0.1, 0.8])
    np.testing.assert_allclose(BETA.log_prob(x), stats.beta.logpdf(x, BETA.alpha, BETA.beta).sum(), rtol=1e-5)
    np.testing.assert_allclose(
        BETA.entropy(), stats.beta.entropy(np.asarray(BETA.alpha), np.asarray(BETA.beta)).sum(), rtol=1e-5
    )
    coins = jnp.array([1, 0])
    heads = 1 / (1 + np.exp(-np.asarray(BERNOULLI.logits)))
    np.testing.assert_allclose(BERNOULLI.log_prob(coins), np.log(heads[0]) + np.log(1 - heads[1]), rtol=1e-5)


def test_categorical_frequencies():
    frequencies = np.bincount(np.asarray(samples(CATEGORICAL)), minlength=4) / 20000
    probabilities = np.exp([CATEGORICAL.log_prob(jnp.asarray(a)) for a in range(4)])
    np.testing.assert_allclose(probabilities.sum(), 1.0, rtol=1e-6)
    np.testing.assert_allclose(frequencies, probabilities, atol=5 * np.sqrt(0.25 / 20000))
    assert frequencies[3] == 0
    assert CATEGORICAL.mode() == 2


def test_samples_have_the_right_law():
    draws = np.asarray(samples(NORMAL, 4000))
    assert stats.kstest(draws[:, 0], "norm", (0.3, 0.5)).pvalue > 1e-3
    draws = np.asarray(samples(BETA, 4000))
    assert stats.kstest(draws[:, 1], "beta", (1.2, 3.0)).pvalue > 1e-3
    draws = np.asarray(samples(TANH, 4000))
    assert stats.kstest(np.arctanh(draws[:, 0]), "norm", (0.4, 0.7)).pvalue > 1e-3


def test_tanh_normal_density_integrates_to_one():
    one = TanhNormal(jnp.array([0.4]), jnp.array([0.7]))
    grid = jnp.linspace(-0.9999, 0.9999, 20001)
    density = np.exp(jax.vmap(lambda x: one.log_prob(x[None]))(grid))
    np.testing.assert_allclose(integrate.trapezoid(density, grid), 1.0, atol=1e-3)


def test_tanh_normal_is_finite_where_it_saturates():
    saturated = TanhNormal(jnp.array([40.0]), jnp.array([0.1]))
    action, log_prob = saturated.sample_and_log_prob(jax.random.key(0))
    assert action == 1.0
    # log-slope of tanh at u ≈ 40 is about 2 log 2 − 80, so the density is huge but finite.
    assert 70 < log_prob < 90
    assert np.isfinite(saturated.log_prob(action))


def test_sample_and_log_prob_agree():
    action, log_prob = TANH.sample_and_log_prob(jax.random.key(5))
    np.testing.assert_allclose(log_prob, TANH.log_prob(action), rtol=1e-4)
    np.testing.assert_allclose(action, TANH.sample(jax.random.key(5)))


def test_distributions_are_pytrees_and_batch_over_leading_axes():
    batched = jax.tree.map(lambda x: jnp.stack([x, 2 * x]), BETA)
    outcome = jnp.full((2, 2), 0.3)
    assert batched.log_prob(outcome).shape == batched.entropy().shape == (2,)
    np.testing.assert_allclose(
        jax.vmap(lambda p, x: p.log_prob(x))(batched, outcome), batched.log_prob(outcome)
    )
    assert Normal(jnp.zeros((3, 2)), jnp.ones(2)).entropy().shape == (3,)


def test_normal_samples_are_differentiable():
    gradient = jax.grad(lambda scale: Normal(jnp.zeros(1), scale).sample(jax.random.key(0))[0])(jnp.ones(1))
    np.testing.assert_allclose(gradient[0], jax.random.normal(jax.random.key(0), (1,))[0])
