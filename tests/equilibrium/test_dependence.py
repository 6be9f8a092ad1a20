import jax
import jax.numpy as jnp

from antiphon.equilibrium.dependence import reads

NUMBER = jax.ShapeDtypeStruct((3,), jnp.float32)


def test_sees_what_is_read_and_what_is_not():
    assert reads(lambda x, y: x + 1, NUMBER, NUMBER) == (True, False)
    assert reads(lambda x, y: x * y, NUMBER, NUMBER) == (True, True)
    assert reads(lambda x, y: jnp.zeros_like(x), NUMBER, NUMBER) == (False, False)
    assert reads(lambda x, y: [y, jnp.where(y > 0, y, 2 * y)], NUMBER, NUMBER) == (False, True)


def test_sees_through_branches_loops_and_functions_of_their_own():
    def loop(x, y):
        return jax.lax.fori_loop(0, 3, lambda i, z: jnp.sin(z) + y, jnp.zeros(3))

    assert reads(loop, NUMBER, NUMBER) == (False, True)
    assert reads(jax.jit(lambda x, y: jnp.sum(x)), NUMBER, NUMBER)[0]
    assert reads(lambda x, y: jax.lax.cond(x[0] > 0, lambda: 1.0, lambda: 2.0), NUMBER, NUMBER)[0]


def test_works_inside_a_traced_function():
    found = []

    def inside(scale):
        found.append(reads(lambda x, y: scale * y, NUMBER, NUMBER))
        return scale

    jax.jit(inside)(1.0)
    assert found == [(False, True)]
