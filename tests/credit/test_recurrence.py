from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.credit import forward_affine, reverse_affine


def loop(a, b, init, reverse):
    x, out = init, np.zeros_like(b)
    for t in reversed(range(len(b))) if reverse else range(len(b)):
        x = a[t] * x + b[t]
        out[t] = x
    return out


@pytest.mark.parametrize("backend", ["scan", "associative", "auto"])
@pytest.mark.parametrize("recurrence", [reverse_affine, forward_affine])
def test_golden(recurrence, backend):
    a, b = jnp.array([0.5, 2.0, 0.0]), jnp.array([1.0, 1.0, 3.0])
    expected = [4.5, 7.0, 3.0] if recurrence is reverse_affine else [6.0, 13.0, 3.0]
    np.testing.assert_allclose(recurrence(a, b, 10.0, backend), expected)


@partial(jax.jit, static_argnames=("recurrence", "backend"))
def value_and_gradients(a, b, init, weight, recurrence, backend):
    def objective(a, b, init):
        x = recurrence(a, b, init, backend)
        return jnp.sum(weight * x), x

    return jax.grad(objective, (0, 1, 2), has_aux=True)(a, b, init)


@settings(max_examples=20, deadline=None)
@given(length=st.sampled_from([1, 2, 9]), seed=st.integers(0, 99), reverse=st.booleans())
def test_both_backends_agree_with_a_loop_in_value_and_gradient(length, seed, reverse):
    rng = np.random.default_rng(seed)
    a, b = rng.uniform(-1, 1, (2, length, 3)).astype(np.float32)
    init, weight = rng.normal(size=3).astype(np.float32), rng.normal(size=(length, 3)).astype(np.float32)
    recurrence = reverse_affine if reverse else forward_affine
    expected = loop(a, b, init, reverse)

    gradients = {}
    for backend in ("scan", "associative"):
        gradients[backend], x = value_and_gradients(a, b, init, weight, recurrence, backend)
        np.testing.assert_allclose(x, expected, atol=2e-5)
    # The adjoint of the recurrence is the opposite recurrence with shifted factors.
    pads = np.zeros((1, 3), np.float32)
    shifted = np.concatenate([pads, a[:-1]]) if reverse else np.concatenate([a[1:], pads])
    adjoint = loop(shifted, weight, np.zeros(3), not reverse)
    for gradient in gradients.values():
        np.testing.assert_allclose(gradient[1], adjoint, atol=5e-5)
    for by_scan, by_associative in zip(*gradients.values(), strict=True):
        np.testing.assert_allclose(by_scan, by_associative, atol=5e-5)


def test_factors_broadcast_and_trailing_axes_are_independent():
    b = jnp.arange(12.0).reshape(4, 3)
    together = reverse_affine(jnp.full((4, 1), 0.5), b)
    for lane in range(3):
        np.testing.assert_allclose(together[:, lane], reverse_affine(jnp.full(4, 0.5), b[:, lane]))
