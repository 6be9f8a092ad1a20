import jax
import jax.numpy as jnp
import numpy as np
import pytest

from antiphon.core.errors import UserError
from antiphon.nets import precision
from antiphon.nets.precision import matmul


def value_and_pullback(x, weight, g):
    def run(x, weight, g):
        out, pullback = jax.vjp(matmul, x, weight)
        return out, *pullback(g)

    return [np.asarray(a) for a in jax.jit(run)(*(jnp.asarray(a, jnp.float32) for a in (x, weight, g)))]


def in_float64(x, weight, g):
    flat_x, flat_g = x.reshape(-1, x.shape[-1]), g.reshape(-1, g.shape[-1])
    return x @ weight, g @ weight.T, flat_x.T @ flat_g


def test_small_integers_multiply_exactly_in_both_formats(matmul_format):
    """Every factor is a bfloat16 and every sum a float32, so only a wrong formula can differ."""
    rng = np.random.default_rng(0)
    shapes = (2, 3, 16), (16, 9), (2, 3, 9)
    factors = [rng.integers(-16, 17, shape).astype(np.float64) for shape in shapes]
    for ours, exact in zip(value_and_pullback(*factors), in_float64(*factors), strict=True):
        assert ours.dtype == np.float32
        np.testing.assert_array_equal(ours, exact)


def test_rounding_stays_within_the_format(matmul_format):
    rng = np.random.default_rng(1)
    factors = [rng.normal(size=shape) for shape in ((5, 40), (40, 7), (5, 7))]
    # Two factors of eight significant bits, rounded to nearest each, and a float32 sum.
    unit = 2.0**-7 if matmul_format == "bfloat16" else 50 * 2.0**-24
    bounds = in_float64(*map(np.abs, factors))
    results = zip(value_and_pullback(*factors), in_float64(*factors), bounds, strict=True)
    for ours, exact, bound in results:
        assert (np.abs(ours - exact) <= 1.1 * unit * bound).all()
    if matmul_format == "bfloat16":
        assert not np.allclose(value_and_pullback(*factors)[0], in_float64(*factors)[0], rtol=1e-5)


def test_products_map_over_ensembles(matmul_format):
    rng = np.random.default_rng(2)
    x, weight = (jnp.asarray(rng.integers(-4, 5, s), jnp.float32) for s in ((3, 5, 4), (3, 4, 6)))

    def loss(x, weight):
        return jnp.sum(matmul(x, weight) * jnp.arange(6.0))

    mapped = jax.jit(jax.vmap(jax.grad(loss, (0, 1))))(x, weight)
    for member in range(3):
        for ours, alone in zip(mapped, jax.grad(loss, (0, 1))(x[member], weight[member]), strict=True):
            np.testing.assert_array_equal(ours[member], alone)


def test_cotangents_have_the_dtype_of_their_arguments(matmul_format):
    x, weight = jnp.ones((2, 3), jnp.bfloat16), jnp.ones((3, 4), jnp.bfloat16)
    dx, dweight = jax.grad(lambda x, w: jnp.sum(matmul(x, w)), (0, 1))(x, weight)
    assert dx.dtype == dweight.dtype == jnp.bfloat16


def test_the_format_is_read_from_the_environment(monkeypatch):
    monkeypatch.setenv("ANTIPHON_MATMUL", "float16")
    precision.matmul_dtype.cache_clear()
    with pytest.raises(UserError, match="'float16', which is no matrix format; set it to auto"):
        precision.matmul_dtype()
    monkeypatch.setenv("ANTIPHON_MATMUL", "auto")
    assert precision.matmul_dtype() in (jnp.float32, jnp.bfloat16)
    precision.matmul_dtype.cache_clear()
