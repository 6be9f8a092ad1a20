"""The clipped surrogate and the clipped value loss against loops, and where their gradients stop."""

import jax
import jax.numpy as jnp
import numpy as np

from antiphon.objectives.clipped_surrogate import clipped_surrogate_loss, clipped_value_loss


def draw(seed, size=40):
    rng = np.random.default_rng(seed)
    return (rng.normal(size=size).astype(np.float32) * scale for scale in (0.5, 0.5, 1.0)), rng


def test_the_surrogate_is_the_loop():
    (log_prob, behaviour, advantage), rng = draw(0)
    mask = rng.integers(0, 2, 40)
    total, kl, clipped = 0.0, 0.0, 0
    for lp, mu, a, counts in zip(log_prob, behaviour, advantage, mask, strict=True):
        ratio = np.exp(lp - mu)
        bounded = min(max(ratio, 0.8), 1.2)
        if counts:
            total += min(ratio * a, bounded * a)
            kl += ratio - 1 - np.log(ratio)
            clipped += (a > 0 and ratio > 1.2) or (a < 0 and ratio < 0.8)
    loss, metrics = clipped_surrogate_loss(log_prob, behaviour, advantage, 0.2, mask)
    np.testing.assert_allclose(loss, -total / mask.sum(), rtol=1e-5)
    np.testing.assert_allclose(metrics["kl"], kl / mask.sum(), rtol=1e-4)
    np.testing.assert_allclose(metrics["clipped"], clipped / mask.sum(), rtol=1e-6)


def test_the_gradient_stops_where_the_advantage_asks_for_more():
    log_prob = jnp.log(jnp.array([1.5, 1.5, 0.5, 0.5]))
    advantage = jnp.array([1.0, -1.0, 1.0, -1.0])
    gradient = jax.grad(lambda x: clipped_surrogate_loss(x, jnp.zeros(4), advantage)[0])(log_prob)
    np.testing.assert_allclose(gradient, [0.0, 1.5 / 4, -0.5 / 4, 0.0], rtol=1e-6)


def test_a_masked_step_cannot_poison_the_gradient():
    log_prob = jnp.array([0.0, 500.0])
    mask = jnp.array([1, 0])
    gradient = jax.grad(lambda x: clipped_surrogate_loss(x, jnp.zeros(2), jnp.ones(2), 0.2, mask)[0])(
        log_prob
    )
    np.testing.assert_allclose(gradient, [-1.0, 0.0])


def test_the_value_loss_is_the_loop():
    (value, old, target), rng = draw(1)
    mask = rng.integers(0, 2, 40)
    plain, bounded = 0.0, 0.0
    for v, o, g, counts in zip(value, old, target, mask, strict=True):
        near = o + min(max(v - o, -0.3), 0.3)
        plain += counts * (v - g) ** 2
        bounded += counts * max((v - g) ** 2, (near - g) ** 2)
    np.testing.assert_allclose(
        clipped_value_loss(value, old, target, None, mask), plain / mask.sum(), rtol=1e-5
    )
    np.testing.assert_allclose(
        clipped_value_loss(value, old, target, 0.3, mask), bounded / mask.sum(), rtol=1e-5
    )
