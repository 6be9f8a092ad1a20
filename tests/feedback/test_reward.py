import jax
import jax.numpy as jnp
import numpy as np
import pytest

from antiphon.core.errors import UserError
from antiphon.feedback import (
    Rescaled,
    Reward,
    SegmentMean,
    WeightedSum,
    even_starts,
    rescale,
    segment_mean,
)

PROMPT = jnp.zeros((2, 3))
COMPLETION = jnp.arange(12.0).reshape(2, 6)


def average(prompt, completion):
    return jnp.mean(completion, axis=1)


def last(prompt, completion):
    return completion[:, -1]


def test_weighted_sum_reports_every_part():
    reward: Reward = WeightedSum({"mean": average, "last": last}, {"mean": 2.0, "last": -0.5})
    scored = reward.score(PROMPT, COMPLETION)
    np.testing.assert_allclose(scored.parts["mean"], [2.5, 8.5])
    np.testing.assert_allclose(scored.parts["last"], [5.0, 11.0])
    np.testing.assert_allclose(scored.total, [2.5, 11.5])
    np.testing.assert_allclose(jax.jit(reward)(PROMPT, COMPLETION), scored.total)


def test_a_part_of_weight_zero_is_watched_and_does_not_count():
    broken = WeightedSum(
        {"mean": average, "watched": lambda p, c: c[:, 0] * jnp.nan}, {"mean": 1.0, "watched": 0.0}
    )
    scored = broken.score(PROMPT, COMPLETION)
    np.testing.assert_allclose(scored.total, [2.5, 8.5])
    assert np.isnan(scored.parts["watched"]).all()
    nothing = WeightedSum({"mean": average}, {"mean": 0.0})
    np.testing.assert_array_equal(nothing(PROMPT, COMPLETION), [0, 0])


def test_weighted_sum_refuses_names_that_differ():
    with pytest.raises(UserError, match="'quality'"):
        WeightedSum({"mean": average}, {"mean": 1.0, "quality": 1.0})
    with pytest.raises(UserError, match="no rewards"):
        WeightedSum({}, {})


def test_rescaling_takes_opinion_scores_to_the_unit_interval():
    np.testing.assert_allclose(rescale(jnp.array([1.0, 3.0, 5.0, 6.0]), 1.0, 5.0), [0, 0.5, 1, 1.25])
    np.testing.assert_allclose(Rescaled(average, 2.5, 8.5)(PROMPT, COMPLETION), [0, 1])
    with pytest.raises(UserError, match="both"):
        Rescaled(average, 1.0, 1.0)


def test_windows_are_those_of_musicrl():
    assert even_starts(30, 10, 3) == (0, 10, 20)
    assert even_starts(30, 20, 2) == (0, 10)
    assert even_starts(30, 30, 1) == (0,)
    with pytest.raises(UserError, match="windows"):
        even_starts(30, 31, 1)


def test_segment_mean_averages_over_windows():
    def spread(prompt, completion):
        return completion[:, -1] - completion[:, 0] + jnp.max(completion, axis=1) ** 2

    expected = (spread(PROMPT, COMPLETION[:, 0:4]) + spread(PROMPT, COMPLETION[:, 2:6])) / 2
    np.testing.assert_allclose(segment_mean(spread, PROMPT, COMPLETION, (0, 2), 4), expected)
    np.testing.assert_allclose(SegmentMean(spread, (0, 2), 4)(PROMPT, COMPLETION), expected)
    assert not np.allclose(expected, spread(PROMPT, COMPLETION))


def test_segment_mean_takes_pytrees_and_refuses_windows_that_leave():
    tree = {"tokens": COMPLETION, "frames": jnp.ones((2, 6, 4))}
    reward = SegmentMean(lambda p, c: c["tokens"][:, 0] + c["frames"].shape[1], (1, 3), 3)
    np.testing.assert_allclose(reward(PROMPT, tree), [2 + 3, 8 + 3])
    with pytest.raises(UserError, match="leave a completion of 6"):
        segment_mean(average, PROMPT, COMPLETION, (0, 4), 3)
