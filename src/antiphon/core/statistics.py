"""Intervals and tests for reported numbers: NumPy on the host, ``scipy.stats`` underneath.

Every interval is two-sided and carries the number of observations it rests on. Too few observations for an
interval give bounds of ±inf ("nothing is known") rather than an error, so that a study with one seed still
reports.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from antiphon.core.errors import UserError


@dataclass(frozen=True)
class Interval:
    """An estimate with its confidence interval.

    Attributes:
        estimate: the point estimate.
        low: lower bound.
        high: upper bound.
        n: number of observations it rests on.
    """

    estimate: float
    low: float
    high: float
    n: int

    def as_dict(self) -> dict[str, float | int | None]:
        """Ready for JSON, which has no infinity and no NaN: those become None."""
        bounds = {"estimate": self.estimate, "low": self.low, "high": self.high}
        return {name: v if math.isfinite(v) else None for name, v in bounds.items()} | {"n": self.n}


@dataclass(frozen=True)
class PairedWins:
    """How often the first of a pair scored higher.

    Attributes:
        wins: pairs in which the first scored higher.
        ties: pairs with equal scores.
        losses: pairs in which the second scored higher.
        rate: wins / (wins + losses), ties left out, with a Wilson interval.
    """

    wins: int
    ties: int
    losses: int
    rate: Interval


@dataclass(frozen=True)
class SignedRank:
    """Result of a Wilcoxon signed-rank test.

    Attributes:
        statistic: the smaller of the two rank sums.
        p_value: two-sided, under "the differences are symmetric about zero".
        n: number of non-zero differences.
    """

    statistic: float
    p_value: float
    n: int


def proportion(
    successes: int,
    trials: int,
    confidence: float = 0.95,
    method: Literal["exact", "wilson"] = "exact",
) -> Interval:
    """A proportion with its Clopper–Pearson ("exact") or Wilson interval.

    Clopper–Pearson never covers less than `confidence`; Wilson is shorter and covers about `confidence`.

    Raises:
        UserError: successes outside [0, trials].
    """
    if not 0 <= successes <= trials:
        raise UserError(
            "field", f"{successes} successes of {trials} trials", "count successes among the trials"
        )
    if trials == 0:
        return Interval(math.nan, 0.0, 1.0, 0)
    bounds = stats.binomtest(successes, trials).proportion_ci(_checked(confidence), method=method)
    return Interval(successes / trials, float(bounds.low), float(bounds.high), trials)


def mean(values: ArrayLike, confidence: float = 0.95) -> Interval:
    """Mean with a Student t interval, mean ± t_{n−1} · s/√n."""
    data = _vector("values", values)
    if data.size < 2:
        return Interval(float(data.mean()), -math.inf, math.inf, data.size)
    reach = stats.t.ppf(0.5 + _checked(confidence) / 2, data.size - 1) * standard_error(data)
    return Interval(float(data.mean()), float(data.mean() - reach), float(data.mean() + reach), data.size)


def mean_ratio(first: ArrayLike, second: ArrayLike, confidence: float = 0.95) -> Interval:
    """Ratio of the means of paired observations, with Fieller's interval.

    It holds every θ for which the mean of first − θ second is no further from zero than its t interval
    reaches. Where the mean of ``second`` may itself be zero, nothing bounds the ratio from above: if the mean
    of ``first`` is certainly above zero, the interval is ``[low, ∞)`` and stands for "at least ``low``, or
    of the other sign by way of infinity"; else it is the whole line.

    Source: Fieller 1954.
    """
    x, y = _pair("first", first, "second", second)
    n, (mean_x, mean_y) = x.size, (float(x.mean()), float(y.mean()))
    estimate = mean_x / mean_y if mean_y else math.nan
    if n < 2:
        return Interval(estimate, -math.inf, math.inf, n)
    # The set is a θ² − 2 b θ + c ≤ 0.
    scale = float(stats.t.ppf(0.5 + _checked(confidence) / 2, n - 1)) ** 2 / n
    (xx, xy), (_, yy) = np.cov(x, y)
    a, b, c = mean_y**2 - scale * yy, mean_x * mean_y - scale * xy, mean_x**2 - scale * xx
    root = math.sqrt(max(b * b - a * c, 0.0))
    if a > 0:
        return Interval(estimate, (b - root) / a, (b + root) / a, n)
    if a < 0 < c and mean_x > 0:
        return Interval(estimate, (b - root) / a, math.inf, n)
    return Interval(estimate, -math.inf, math.inf, n)


def standard_error(values: ArrayLike) -> float:
    """Standard error of the mean, s/√n with n−1 degrees of freedom; inf for a single value."""
    data = _vector("values", values)
    return float(data.std(ddof=1) / math.sqrt(data.size)) if data.size > 1 else math.inf


def bootstrap(
    values: ArrayLike,
    statistic: Callable[..., np.ndarray] = np.mean,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """A statistic with its percentile bootstrap interval.

    Args:
        values: observations, [n].
        statistic: NumPy reduction that takes an ``axis`` keyword, such as ``np.median``.
        confidence: coverage.
        resamples: number of bootstrap resamples.
        seed: of the resampling; the same seed gives the same interval.
    """
    data = _vector("values", values)
    estimate = float(statistic(data, axis=-1))
    if data.size < 2:
        return Interval(estimate, -math.inf, math.inf, data.size)
    bounds = stats.bootstrap(
        (data,),
        statistic,
        n_resamples=resamples,
        vectorized=True,
        confidence_level=_checked(confidence),
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Interval(estimate, float(bounds.low), float(bounds.high), data.size)


def paired_wins(first: ArrayLike, second: ArrayLike, confidence: float = 0.95) -> PairedWins:
    """Win rate of paired scores, win/(win + loss) with ties reported beside it.

    With nothing but ties the rate is NaN on [0, 1].

    Source: MusicRL, arXiv 2402.04229, figure 1.
    """
    x, y = _pair("first", first, "second", second)
    wins, losses = int(np.sum(x > y)), int(np.sum(x < y))
    return PairedWins(
        wins, x.size - wins - losses, losses, proportion(wins, wins + losses, confidence, method="wilson")
    )


def signed_rank(first: ArrayLike, second: ArrayLike) -> SignedRank:
    """Wilcoxon signed-rank test of paired scores, two-sided.

    Zero differences are dropped. Up to 50 untied differences the p-value is exact, up to 13 tied ones it is a
    full permutation test, beyond that a normal approximation with tie and continuity correction.

    Source: the test of MusicRL, arXiv 2402.04229, on its paired ratings.
    """
    x, y = _pair("first", first, "second", second)
    differences = (x - y)[x != y]
    if differences.size == 0:
        return SignedRank(0.0, 1.0, 0)
    # scipy's result is an untyped tuple of statistic and p-value.
    statistic, p_value = np.asarray(
        stats.wilcoxon(differences, zero_method="wilcox", correction=True, method="auto"), dtype=np.float64
    )
    return SignedRank(float(statistic), float(p_value), differences.size)


def linear_slope(x: ArrayLike, y: ArrayLike, confidence: float = 0.95) -> Interval:
    """Slope of the least-squares line of y on x, with its t interval, for instance of reward against steps.

    The interval takes the residuals as independent; a smoothed curve makes it too short.

    Raises:
        UserError: all x equal.
    """
    data_x, data_y = _pair("x", x, "y", y)
    if np.ptp(data_x) == 0:
        raise UserError("field", "all values of x are equal", "give at least two different x")
    n = data_x.size
    slope, _, _, _, slope_error = np.asarray(stats.linregress(data_x, data_y), dtype=np.float64).tolist()
    if n < 3:
        return Interval(slope, -math.inf, math.inf, n)
    reach = float(stats.t.ppf(0.5 + _checked(confidence) / 2, n - 2)) * slope_error
    return Interval(slope, slope - reach, slope + reach, n)


def correlation(
    x: ArrayLike,
    y: ArrayLike,
    kind: Literal["pearson", "spearman"] = "pearson",
    confidence: float = 0.95,
) -> Interval:
    """Pearson's or Spearman's correlation with its Fisher-z interval; NaN where a side is constant.

    The standard error of z is 1/√(n−3), times √(1 + ρ²/2) for Spearman.

    Source: Fisher 1921; Bonett and Wright 2000 for the rank correlation.
    """
    data_x, data_y = _pair("x", x, "y", y)
    n = data_x.size
    if n < 2 or np.ptp(data_x) == 0 or np.ptp(data_y) == 0:
        return Interval(math.nan, -1.0, 1.0, n)
    if kind == "spearman":
        data_x, data_y = np.asarray(stats.rankdata(data_x)), np.asarray(stats.rankdata(data_y))
    estimate = float(np.clip(np.corrcoef(data_x, data_y)[0, 1], -1.0, 1.0))
    if n < 4:
        return Interval(estimate, -1.0, 1.0, n)
    error = math.sqrt((1.0 if kind == "pearson" else 1.0 + estimate**2 / 2) / (n - 3))
    reach = float(stats.norm.ppf(0.5 + _checked(confidence) / 2)) * error
    # |r| = 1 is a z of ±inf, and tanh brings it back.
    with np.errstate(divide="ignore"):
        z = float(np.arctanh(estimate))
    return Interval(estimate, math.tanh(z - reach), math.tanh(z + reach), n)


def _vector(name: str, values: ArrayLike) -> np.ndarray:
    data = np.asarray(values, dtype=np.float64)
    if data.ndim != 1 or data.size == 0:
        raise UserError(
            "field", f"{name} has shape {data.shape}", f"give {name} as a list of one or more numbers"
        )
    return data


def _pair(name_x: str, x: ArrayLike, name_y: str, y: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    data_x, data_y = _vector(name_x, x), _vector(name_y, y)
    if data_x.size != data_y.size:
        raise UserError(
            "field",
            f"{name_x} has {data_x.size} values and {name_y} has {data_y.size}",
            "give one pair per item",
        )
    return data_x, data_y


def _checked(confidence: float) -> float:
    if not 0 < confidence < 1:
        raise UserError(
            "field", f"confidence is {confidence}", "give a coverage between 0 and 1, such as 0.95"
        )
    return confidence
