import itertools
import json
import math

import numpy as np
import pytest
from scipy import special, stats

from antiphon.core import statistics as s
from antiphon.core.errors import UserError


def test_clopper_pearson_solves_its_definition():
    interval = s.proportion(7, 20)
    # The bounds are where the observed count is in the 2.5 % tail.
    np.testing.assert_allclose(stats.binom.sf(6, 20, interval.low), 0.025, rtol=1e-6)
    np.testing.assert_allclose(stats.binom.cdf(7, 20, interval.high), 0.025, rtol=1e-6)
    np.testing.assert_allclose(interval.low, special.betaincinv(7, 14, 0.025))
    assert (interval.estimate, interval.n) == (0.35, 20)


def test_wilson_closed_form():
    interval = s.proportion(7, 20, method="wilson")
    z = stats.norm.ppf(0.975)
    centre = (0.35 + z**2 / 40) / (1 + z**2 / 20)
    reach = z / (1 + z**2 / 20) * math.sqrt(0.35 * 0.65 / 20 + z**2 / 1600)
    np.testing.assert_allclose([interval.low, interval.high], [centre - reach, centre + reach])


def test_proportion_at_the_edges():
    assert s.proportion(0, 5).low == 0
    assert s.proportion(5, 5).high == 1
    nothing = s.proportion(0, 0)
    assert math.isnan(nothing.estimate)
    assert (nothing.low, nothing.high) == (0, 1)
    with pytest.raises(UserError, match="successes"):
        s.proportion(6, 5)


def test_mean_golden():
    interval = s.mean([1.0, 2.0, 3.0])
    # s = 1, se = 1/√3, t_{2, .975} = 4.302653
    np.testing.assert_allclose(
        [interval.low, interval.high], [2 - 4.302653 / 3**0.5, 2 + 4.302653 / 3**0.5], rtol=1e-6
    )
    np.testing.assert_allclose(s.standard_error([1.0, 2.0, 3.0]), 3**-0.5)


def test_mean_covers_as_often_as_it_says():
    rng = np.random.default_rng(0)
    hits = sum(i.low <= 1.0 <= i.high for i in (s.mean(rng.normal(1.0, 2.0, 8), 0.9) for _ in range(1000)))
    assert s.proportion(hits, 1000, 0.999).low < 0.9 < s.proportion(hits, 1000, 0.999).high


def test_a_ratio_of_means_is_where_the_difference_may_be_zero():
    rng = np.random.default_rng(1)
    y = rng.normal(4.0, 1.0, 6)
    x = 2 * y + rng.normal(0.0, 1.0, 6)
    found = s.mean_ratio(x, y)
    for end in (found.low, found.high):  # the defining equation
        assert math.isfinite(end)
        difference = s.mean(x - end * y)
        assert min(abs(difference.low), abs(difference.high)) < 1e-9
    assert found.estimate == pytest.approx(x.mean() / y.mean())
    assert found.low < found.estimate < found.high
    # A second mean that may be zero bounds nothing from above, but the first one still counts.
    weak = s.mean_ratio([5.0, 6.0, 7.0], [1.0, -0.5, 0.4])
    assert (weak.low > 1, weak.high) == (True, math.inf)
    vague = s.mean_ratio([5.0, -6.0, 2.0], [1.0, -0.5, 0.4])
    assert (vague.low, vague.high) == (-math.inf, math.inf)


def test_a_ratio_of_means_covers_as_often_as_it_says():
    rng = np.random.default_rng(0)
    draws = (rng.normal((6.0, 3.0), (2.0, 1.0), (5, 2)).T for _ in range(1000))
    hits = sum(i.low <= 2.0 <= i.high for i in (s.mean_ratio(x, y, 0.9) for x, y in draws))
    assert s.proportion(hits, 1000, 0.999).low < 0.9 < s.proportion(hits, 1000, 0.999).high


def test_a_single_value_claims_nothing():
    for interval in (s.mean([4.0]), s.bootstrap([4.0])):
        assert (interval.estimate, interval.low, interval.high) == (4.0, -math.inf, math.inf)
    assert json.dumps(s.mean([4.0]).as_dict(), allow_nan=False) == (
        '{"estimate": 4.0, "low": null, "high": null, "n": 1}'
    )


def test_bootstrap_is_seeded_and_near_the_t_interval():
    data = np.random.default_rng(1).normal(3.0, 1.0, 200)
    first, again, other = s.bootstrap(data), s.bootstrap(data), s.bootstrap(data, seed=1)
    assert first == again
    assert first != other
    exact = s.mean(data)
    np.testing.assert_allclose([first.low, first.high], [exact.low, exact.high], atol=0.03)
    median = s.bootstrap(data, np.median)
    assert median.low < median.estimate == np.median(data) < median.high


def test_bootstrap_of_a_constant():
    assert s.bootstrap([2.0, 2.0, 2.0]) == s.Interval(2.0, 2.0, 2.0, 3)


def test_paired_wins():
    result = s.paired_wins([3, 2, 5, 1, 4], [1, 2, 4, 2, 0])
    assert (result.wins, result.ties, result.losses) == (3, 1, 1)
    assert result.rate.estimate == 0.75
    assert result.rate.n == 4
    assert 0 < result.rate.low < 0.75 < result.rate.high < 1
    assert math.isnan(s.paired_wins([1, 1], [1, 1]).rate.estimate)
    with pytest.raises(UserError, match="pair"):
        s.paired_wins([1, 2], [1])


def test_signed_rank_small_sample_by_enumeration():
    differences = np.array([1.1, -0.4, 2.3, 0.9, 3.0, -0.2])
    result = s.signed_rank(differences, np.zeros(6))
    ranks = stats.rankdata(abs(differences))
    positive = ranks[differences > 0].sum()
    statistic = min(positive, ranks.sum() - positive)
    assert result.statistic == statistic
    sums = [np.dot(ranks, signs) for signs in itertools.product([0, 1], repeat=6)]
    np.testing.assert_allclose(result.p_value, 2 * np.mean([x <= statistic for x in sums]))


def test_signed_rank_drops_zeros_and_handles_many_ties():
    rng = np.random.default_rng(2)
    first, second = rng.integers(1, 6, 200), rng.integers(1, 6, 200)
    result = s.signed_rank(first, second)
    assert result.n == np.sum(first != second)
    # The normal approximation, written out: ties correct the variance, one half corrects for continuity.
    d = (first - second)[first != second].astype(float)
    ranks = stats.rankdata(abs(d))
    n = d.size
    _, groups = np.unique(abs(d), return_counts=True)
    variance = n * (n + 1) * (2 * n + 1) / 24 - np.sum(groups**3 - groups) / 48
    gap = abs(ranks[d > 0].sum() - n * (n + 1) / 4)
    np.testing.assert_allclose(
        result.p_value, 2 * stats.norm.sf((gap - 0.5) / math.sqrt(variance)), rtol=1e-9
    )
    assert s.signed_rank(second + 1, second).p_value < 1e-6
    assert s.signed_rank([1, 2], [1, 2]) == s.SignedRank(0.0, 1.0, 0)


def test_linear_slope():
    exact = s.linear_slope([0, 1, 2, 3], [1, 3, 5, 7])
    np.testing.assert_allclose([exact.estimate, exact.low, exact.high], 2.0)
    rng = np.random.default_rng(3)
    x = np.linspace(0, 1, 30)
    hits = 0
    for _ in range(400):
        interval = s.linear_slope(x, 0.5 * x + rng.normal(0, 1, 30), 0.9)
        hits += interval.low <= 0.5 <= interval.high
    assert s.proportion(hits, 400, 0.999).low < 0.9 < s.proportion(hits, 400, 0.999).high
    assert s.linear_slope([0, 1], [0, 1]).high == math.inf
    with pytest.raises(UserError, match="equal"):
        s.linear_slope([1, 1], [0, 1])


def test_correlation():
    rng = np.random.default_rng(4)
    x = rng.normal(size=40)
    y = x + rng.normal(size=40)
    result = s.correlation(x, y)
    reference = stats.pearsonr(x, y)
    np.testing.assert_allclose(result.estimate, reference.statistic)
    bounds = reference.confidence_interval()
    np.testing.assert_allclose([result.low, result.high], [bounds.low, bounds.high])
    ranked = s.correlation(x, np.exp(3 * y), "spearman")
    np.testing.assert_allclose(ranked.estimate, stats.spearmanr(x, y).statistic)
    assert ranked.low < ranked.estimate < ranked.high
    monotone = s.correlation(x, np.exp(x), "spearman")
    np.testing.assert_allclose([monotone.estimate, monotone.low, monotone.high], 1.0)
    assert math.isnan(s.correlation([1, 1, 1], [1, 2, 3]).estimate)


def test_bad_input_is_refused_in_one_sentence():
    with pytest.raises(UserError, match="confidence"):
        s.mean([1.0, 2.0], confidence=95)
    with pytest.raises(UserError, match="values"):
        s.mean([])
