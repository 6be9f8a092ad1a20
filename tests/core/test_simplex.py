import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import optimize

from antiphon.core import simplex
from antiphon.core.errors import UserError

jitted_project = jax.jit(simplex.project)
vectors = hnp.arrays(np.float32, 4, elements=st.floats(-5, 5, width=32))


def test_mirror_step_golden():
    # Anchor (1/2, 1/2), credit (ln 3, 0), tau 1: weights 3 : 1.
    policy = jnp.exp(simplex.mirror_step(jnp.log(jnp.array([0.5, 0.5])), jnp.log(jnp.array([3.0, 1.0])), 1.0))
    np.testing.assert_allclose(policy, [0.75, 0.25], rtol=1e-6)


def test_mirror_step_keeps_excluded_actions_excluded():
    policy = jnp.exp(simplex.mirror_step(jnp.array([0.0, -jnp.inf, 0.0]), jnp.array([0.0, 99.0, 0.0]), 0.1))
    np.testing.assert_allclose(policy, [0.5, 0.0, 0.5])


def test_mirror_step_refuses_tau_zero():
    with pytest.raises(UserError, match="tau"):
        simplex.mirror_step(jnp.zeros(2), jnp.zeros(2), 0.0)


@settings(max_examples=20, deadline=None)
@given(vectors)
def test_projection_is_the_nearest_point(point):
    projected = np.asarray(jitted_project(point))
    assert (projected >= 0).all()
    np.testing.assert_allclose(projected.sum(), 1.0, atol=1e-5)
    # Another method altogether: the threshold at which max(x − θ, 0) sums to one, by bisection.
    theta = optimize.brentq(
        lambda t: np.maximum(point.astype(np.float64) - t, 0).sum() - 1.0, point.min() - 2.0, point.max()
    )
    np.testing.assert_allclose(projected, np.maximum(point - theta, 0), atol=1e-5)


def test_projection_leaves_the_simplex_alone_and_works_on_batches():
    points = simplex.random_points(jax.random.key(1), (3, 2, 5))
    np.testing.assert_allclose(simplex.project(points), points, atol=1e-6)
    np.testing.assert_allclose(simplex.project(points + 1e3), points, atol=1e-3)


def test_entropy():
    np.testing.assert_allclose(simplex.entropy(jnp.zeros(7)), np.log(7), rtol=1e-6)
    hole = jnp.array([0.0, -jnp.inf, 0.0])
    np.testing.assert_allclose(simplex.entropy(hole), np.log(2), rtol=1e-6)
    assert np.isfinite(jax.grad(simplex.entropy)(hole)).all()
    assert simplex.entropy(jnp.zeros(4, jnp.bfloat16)).dtype == jnp.float32


def test_safe_log():
    np.testing.assert_allclose(simplex.safe_log(jnp.array([1.0, 0.5])), [0.0, -np.log(2)], rtol=1e-6)
    zero = jnp.zeros(())
    assert np.isfinite(simplex.safe_log(zero))
    assert zero * simplex.safe_log(zero) == 0
    assert jax.grad(simplex.safe_log)(zero) == 0
    np.testing.assert_allclose(jax.grad(simplex.safe_log)(jnp.asarray(0.25)), 4.0)


def test_random_points_are_uniform_on_the_simplex():
    points = np.asarray(simplex.random_points(jax.random.key(0), (4000, 3)))
    np.testing.assert_allclose(points.sum(-1), 1.0, atol=1e-5)
    # Of a uniform point on the triangle each coordinate has mean 1/3 and variance 1/18.
    np.testing.assert_allclose(points.mean(0), 1 / 3, atol=5 * np.sqrt(1 / 18 / 4000))
    np.testing.assert_allclose(points.var(0), 1 / 18, rtol=0.15)


def test_random_points_refuse_a_concentration_of_zero():
    with pytest.raises(UserError, match="concentration"):
        simplex.random_points(jax.random.key(0), (3,), 0.0)
