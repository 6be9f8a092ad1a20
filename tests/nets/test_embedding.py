import jax
import jax.numpy as jnp
import numpy as np

from antiphon.nets.embedding import embed


def test_rows_and_their_gradient_equal_the_gather(matmul_format):
    rng = np.random.default_rng(0)
    # Integers, so that both formats add without rounding; some rows are read often, some never.
    table = jnp.asarray(rng.integers(-9, 10, (11, 4)), jnp.float32)
    index = jnp.asarray(rng.integers(0, 6, (3, 5)))
    weight = jnp.asarray(rng.integers(-9, 10, (3, 5, 4)), jnp.float32)
    np.testing.assert_array_equal(embed(table, index), table[index])
    ours, theirs = (
        jax.jit(jax.grad(lambda t, look=look: jnp.sum(weight * look(t))))(table)
        for look in (lambda t: embed(t, index), lambda t: t[index])
    )
    np.testing.assert_array_equal(ours, theirs)
    assert (np.asarray(ours)[6:] == 0).all()
