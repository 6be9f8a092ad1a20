import jax
import jax.numpy as jnp
import numpy as np

from antiphon.core.indexing import pick


def test_pick_and_its_gradient_equal_the_gather():
    rng = np.random.default_rng(0)
    values = jnp.asarray(rng.normal(size=(4, 3, 7)), jnp.float32)
    index = jnp.asarray(rng.integers(0, 7, (4, 3)))
    weight = jnp.asarray(rng.normal(size=(4, 3)), jnp.float32)

    def gather(values):
        return jnp.take_along_axis(values, index[..., None], axis=-1)[..., 0]

    np.testing.assert_array_equal(pick(values, index), gather(values))
    ours, theirs = (
        jax.grad(lambda v, take=take: jnp.sum(weight * take(v)))(values)
        for take in (lambda v: pick(v, index), gather)
    )
    np.testing.assert_array_equal(ours, theirs)


def test_pick_does_not_touch_what_it_does_not_choose():
    log_p = jnp.array([0.0, -jnp.inf, jnp.nan])
    np.testing.assert_array_equal(pick(log_p, jnp.array(0)), 0.0)
    np.testing.assert_array_equal(pick(log_p, jnp.array(1)), -jnp.inf)
    np.testing.assert_array_equal(jax.grad(lambda v: pick(v, jnp.array(0)))(log_p), [1, 0, 0])
    assert pick(jnp.arange(3), jnp.array(2)).dtype == jnp.arange(3).dtype
