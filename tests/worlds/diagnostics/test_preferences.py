"""The paper's small tables, by hand."""

import itertools

import numpy as np
import pytest

from antiphon.core.errors import UserError
from antiphon.worlds.diagnostics.preferences import (
    ELO,
    cyclic_share,
    dice,
    from_scores,
    random_table,
    rater_types,
    rock_paper_scissors,
)


def test_each_die_beats_the_next():
    table = dice()
    np.testing.assert_allclose([table[0, 1], table[1, 2], table[2, 0]], 5 / 9)


@pytest.mark.parametrize(
    "table", [dice(), rock_paper_scissors(), rater_types(0.1), from_scores(ELO), random_table(0, 7)]
)
def test_tables_are_antisymmetric(table):
    np.testing.assert_allclose(table + table.T, 1)


def test_the_best_score_is_not_the_best_winner():
    policy = np.array([2 / 3, 1 / 3, 0])
    assert policy @ ELO > ELO[2]
    np.testing.assert_allclose(from_scores(ELO)[2] @ policy, 50 / 99)


def test_shares_of_raters_are_shares():
    with pytest.raises(UserError, match=r"epsilon is 0\.5"):
        rater_types(0.5)


def test_circles_are_counted_as_by_hand():
    assert cyclic_share(dice()) == pytest.approx(1)
    assert cyclic_share(from_scores(np.arange(6.0))) == pytest.approx(0)
    assert cyclic_share(np.array([[0.5, 0.9], [0.1, 0.5]])) == 0
    table, mu = random_table(5, 7), np.random.default_rng(0).dirichlet(np.ones(7))
    for weights in (np.full(7, 1 / 7), mu):
        circles = everything = 0.0
        for a, b, c in itertools.permutations(range(7), 3):
            weight = weights[a] * weights[b] * weights[c]
            everything += weight
            wins = [table[a, b] > 0.5, table[b, c] > 0.5, table[c, a] > 0.5]
            circles += weight * (all(wins) or not any(wins))
        assert cyclic_share(table, weights) == pytest.approx(circles / everything)
