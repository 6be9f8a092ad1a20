import jax
import jax.numpy as jnp
import numpy as np
import pytest

from antiphon.core.errors import UserError
from antiphon.credit import Segment, discounted_returns


def parts(steps=5, streams=2):
    return {
        "observation": {"image": jnp.zeros((steps, streams, 3)), "goal": jnp.zeros((steps, streams))},
        "action": jnp.zeros((steps, streams), jnp.int32),
        "reward": jnp.ones((steps, streams)),
        "discount": jnp.full((steps, streams), 0.5),
    }


def test_defaults():
    segment = Segment.create(**parts())
    np.testing.assert_array_equal(segment.cut, 0)
    np.testing.assert_array_equal(segment.mask, 1)
    assert segment.value is segment.next_value is segment.log_prob is None


def test_truncation_is_not_termination():
    steps = parts(steps=3, streams=1)
    del steps["discount"]
    second = jnp.array([[False], [True], [False]])
    never = jnp.zeros((3, 1), bool)
    value = jnp.full((3, 1), 8.0)
    common = {"gamma": 0.5, "value": value, "next_value": value}
    truncated = Segment.from_steps(**steps, terminated=never, truncated=second, **common)
    terminated = Segment.from_steps(**steps, terminated=second, truncated=never, **common)
    np.testing.assert_array_equal(truncated.discount[:, 0], [0.5, 0.5, 0.5])
    np.testing.assert_array_equal(truncated.cut[:, 0], [0, 1, 0])
    np.testing.assert_array_equal(terminated.discount[:, 0], [0.5, 0.0, 0.5])
    np.testing.assert_array_equal(terminated.cut[:, 0], 0)

    def returns(s):
        return discounted_returns(s.reward, s.discount, s.next_value, s.cut)[:, 0]

    np.testing.assert_allclose(returns(truncated), [3.5, 5.0, 5.0])
    np.testing.assert_allclose(returns(terminated), [1.5, 1.0, 5.0])


def test_a_segment_is_a_pytree():
    segment = Segment.create(**parts(), log_prob=jnp.zeros((5, 2)))
    stream = jax.vmap(lambda s: jax.tree.map(jnp.sum, s), in_axes=1)(segment)
    np.testing.assert_array_equal(stream.reward, [5, 5])
    assert stream.value is None
    half = jax.jit(lambda s: jax.tree.map(lambda x: x[:2], s))(segment)
    assert half.observation["image"].shape == (2, 2, 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"discount": jnp.ones(5)}, r"segment\.discount has shape \(5,\)"),
        ({"mask": jnp.ones((2, 5))}, r"segment\.mask"),
        ({"value": jnp.ones((6, 2)), "next_value": jnp.ones((5, 2))}, r"segment\.value"),
        ({"value": jnp.ones((5, 2))}, "go together"),
        ({"action": jnp.zeros((2, 5))}, r"segment\.action"),
        ({"observation": {"image": jnp.zeros((5, 2, 3)), "goal": jnp.zeros(5)}}, r"observation\['goal'\]"),
        ({"reward": jnp.float32(1.0)}, "scalar"),
    ],
)
def test_wrong_shapes_are_refused_by_name(change, message):
    with pytest.raises(UserError, match=message):
        Segment.create(**(parts() | change))


def test_gamma_outside_the_interval_is_refused():
    steps = parts()
    del steps["discount"]
    flags = jnp.zeros((5, 2), bool)
    with pytest.raises(UserError, match="gamma"):
        Segment.from_steps(**steps, terminated=flags, truncated=flags, gamma=1.1)
