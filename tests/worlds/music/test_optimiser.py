"""The shared recipe: its schedule, its clip, and trees that keep their type."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from antiphon.worlds.music.optimiser import begin, clipped_adam, descend


class Pair(NamedTuple):
    a: jax.Array
    b: jax.Array


def steps_of(optimiser, count, gradient=1.0):
    params = Pair(jnp.zeros(()), jnp.zeros(3))
    state, path = begin(optimiser, params), [0.0]
    for _ in range(count):
        params, state = descend(
            optimiser, jax.tree.map(lambda x: jnp.full_like(x, gradient), params), state, params
        )
        path.append(float(params.a))
    assert isinstance(params, Pair)
    return np.diff(path)


def test_learning_rate_rises_to_its_peak_and_falls_to_its_end():
    sizes = -steps_of(clipped_adam(0.1, 20, warmup=4, final=0.01), 24)
    np.testing.assert_allclose(sizes[:5], [0, 0.025, 0.05, 0.075, 0.1], atol=1e-5)
    assert (np.diff(sizes[4:20]) < 0).all()
    np.testing.assert_allclose(sizes[20:], 0.01, atol=1e-5)


def test_huge_gradients_are_clipped_to_norm_one():
    # Adam ignores a constant scale, so the clip shows only where a huge gradient follows a small one.
    optimiser, params = clipped_adam(0.1, 10, warmup=0), Pair(jnp.zeros(()), jnp.zeros(3))

    def second_step(gradient):
        state = begin(optimiser, params)
        one = Pair(jnp.asarray(0.5), jnp.full(3, 0.5))
        moved, state = descend(optimiser, one, state, params)
        return descend(optimiser, Pair(jnp.asarray(gradient), jnp.full(3, gradient)), state, moved)[0]

    np.testing.assert_allclose(second_step(1e6).a, second_step(0.5).a, rtol=1e-5)


@pytest.mark.parametrize("decay", [None, 0.1])
def test_weight_decay_pulls_to_zero_only_when_asked(decay):
    optimiser, params = (
        clipped_adam(0.1, 10, warmup=0, weight_decay=decay),
        Pair(jnp.asarray(2.0), jnp.zeros(3)),
    )
    moved, _ = descend(optimiser, Pair(jnp.zeros(()), jnp.zeros(3)), begin(optimiser, params), params)
    assert float(moved.a) == pytest.approx(2.0 if decay is None else 2.0 * (1 - 0.1 * 0.1))
