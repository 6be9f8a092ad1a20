"""Policies against one another before raters whom nobody trained on, and how well each can be beaten."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float64

from antiphon.core import statistics
from antiphon.feedback.bradley_terry import fit_scores, misfit
from antiphon.feedback.raters import Raters
from antiphon.studies.nlhf_text.reference import Ground, repeated, rows, write
from antiphon.studies.nlhf_text.signals import Signals
from antiphon.worlds.diagnostics.preferences import cyclic_share

_NOTICES, _CANDIDATES = 8, 64
"""Notices of each policy for a report, and of the reference as answers to them."""
_TABLED, _TABLE = 60, 32
"""Reports, and notices of each, whose whole table of preferences is looked at."""


class Exhibit(NamedTuple):
    """Notices of every policy for the same reports.

    Attributes:
        names: policies, the reference first.
        signals: by name, leaves ``[N, 8, …]``.
        notices: tokens of the first notice for each report, by name.
        candidates: of 64 notices of the reference for each report, from which responses are made.
    """

    names: tuple[str, ...]
    signals: dict[str, Signals]
    notices: dict[str, np.ndarray]
    candidates: Signals


def exhibit(ground: Ground, policies: Mapping[str, Any], key: Array) -> Exhibit:
    """Let every policy write.

    Args:
        ground: with the test reports.
        policies: weights by name.
        key: of the draws; every policy has its own.
    """
    wide = repeated(ground.tests, _NOTICES)
    signals, notices = {}, {}
    for i, (name, params) in enumerate(policies.items()):
        tokens = write(ground.policy, params, jax.random.fold_in(key, i), wide)
        signals[name] = _grouped(ground.signals(wide, tokens), _NOTICES)
        notices[name] = np.asarray(tokens)[::_NOTICES]
    wide = repeated(ground.tests, _CANDIDATES)
    drawn = write(ground.policy, ground.reference, jax.random.fold_in(key, 4242), wide)
    candidates = _grouped(ground.signals(wide, drawn), _CANDIDATES)
    return Exhibit(tuple(policies), signals, notices, candidates)


def win_rates(
    ground: Ground, raters: Raters, shown: Exhibit, first: str, second: str
) -> Float64[np.ndarray, " N"]:
    """Share of the raters' votes that ``first`` gets, for each report, over all pairs of notices."""
    a, b = shown.signals[first], shown.signals[second]
    across = ground.preference(raters, _of(a, np.s_[:, :, None]), _of(b, np.s_[:, None, :]))
    if first == second:
        return np.full(len(across), 0.5)
    return np.asarray(jnp.mean(across, axis=(1, 2)), np.float64)


def votes(ground: Ground, raters: Raters, shown: Exhibit, first: str, second: str, key: Array) -> int:
    """For how many reports one rater, drawn for each, prefers a notice of ``first`` to one of ``second``."""
    a, b = (_of(shown.signals[name], np.s_[:, place]) for place, name in enumerate((first, second)))
    return int(jnp.sum(jax.random.bernoulli(key, ground.preference(raters, a, b))))


def exploited(
    ground: Ground, raters: Raters, shown: Exhibit, name: str, kl: float
) -> Float64[np.ndarray, " N"]:
    """For each report, the win rate of a best response that is as far from the reference as the policy.

    The response is the reference's own notices weighed by exp(credit / λ), one λ for all reports, so that the
    mean divergence from them is ``kl``. Credit is measured against half of the policy's notices and the
    response judged against the other half, and the other way round, so that luck does not count.
    """
    candidates = _of(shown.candidates, np.s_[:, :, None])
    pieces = []
    for start in range(0, len(ground.tests.length), 100):
        piece = np.s_[start : start + 100]
        other = _of(_of(shown.signals[name], piece), np.s_[:, None, :])
        pieces.append(np.asarray(ground.preference(raters, _of(candidates, piece), other), np.float64))
    credit = np.concatenate(pieces)  # [N, candidates, notices]
    halves = credit[..., ::2].mean(-1), credit[..., 1::2].mean(-1)
    judged = [np.sum(tilted(a, kl) * b, axis=1) for a, b in (halves, halves[::-1])]
    return 0.5 * (judged[0] + judged[1])


def tilted(credit: Float64[np.ndarray, "N C"], kl: float) -> Float64[np.ndarray, "N C"]:
    """Weights of candidates, softmax(credit / λ); λ is bisected until their mean divergence is ``kl``."""
    low, high = np.log(1e-4), np.log(1e4)
    weights = np.full(credit.shape, 1 / credit.shape[1])
    for _ in range(60):
        middle = 0.5 * (low + high)
        log_w = credit / np.exp(middle)
        log_w = log_w - np.logaddexp.reduce(log_w, axis=1, keepdims=True)
        weights = np.exp(log_w)
        apart = np.mean(np.sum(weights * log_w, axis=1)) + np.log(credit.shape[1])
        low, high = (middle, high) if apart > kl else (low, middle)
    return weights


def shape_of(ground: Ground, raters: Raters, key: Array) -> tuple[statistics.Interval, statistics.Interval]:
    """Share of triples of the reference's notices that go in a circle, and the misfit of the best scores.

    Exact for every report; the intervals are over reports.
    """
    prompts = rows(ground.tests, jnp.arange(min(_TABLED, len(ground.tests.length))))
    wide = repeated(prompts, _TABLE)
    signals = _grouped(ground.signals(wide, write(ground.policy, ground.reference, key, wide)), _TABLE)
    share = ground.preference(raters, _of(signals, np.s_[:, :, None]), _of(signals, np.s_[:, None, :]))
    tables = np.asarray(share, np.float64)
    circles, misfits = [], []
    for table in tables:
        table = 0.5 * (table + 1 - table.T)  # float32 leaves the last digits of the symmetry open
        circles.append(cyclic_share(table))
        misfits.append(misfit(table, fit_scores(table)))
    return statistics.mean(circles), statistics.mean(misfits)


def _grouped(signals: Signals, count: int) -> Signals:
    return jax.tree.map(lambda leaf: leaf.reshape(-1, count, leaf.shape[-1]), signals)


def _of(signals: Signals, place: Any) -> Signals:
    return jax.tree.map(lambda leaf: leaf[place], signals)
