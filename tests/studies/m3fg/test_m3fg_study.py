import numpy as np
import pytest

from antiphon.equilibrium import Players, Solution
from antiphon.studies.m3fg import CLAIMS, PRESETS
from antiphon.studies.m3fg.config import Config
from antiphon.studies.m3fg.crowds import slopes
from antiphon.studies.m3fg.curves import authors, falls_and_beats, history_figure, last_table
from antiphon.studies.m3fg.grids import fixed_policies
from antiphon.studies.m3fg.problems import PROBLEMS


def solution(minor, major):
    gaps = Players(np.array(minor), np.array(major))
    return Solution(None, np.array([0, 9]), gaps, gaps, gaps, 0.001, 1.0)


def test_the_authors_numbers_again():
    import jax

    with jax.enable_x64(True):
        found = authors()
    assert found.holds is True
    assert found.measured < 1e-5


def test_falling_and_beating_are_of_the_worst_problem():
    played = dict.fromkeys(PROBLEMS, solution([10.0, 0.5], [10.0, 0.5]))
    iterated = dict.fromkeys(PROBLEMS, solution([10.0, 2.0], [10.0, 2.0]))
    falls, beats = falls_and_beats(Config(), played, iterated)
    assert (falls.measured, falls.holds) == (pytest.approx(0.05), True)
    assert (beats.measured, beats.holds) == (pytest.approx(0.25), True)
    played["Buffet"] = solution([10.0, 0.5], [10.0, 9.0])
    falls, beats = falls_and_beats(Config(), played, iterated)
    assert (falls.measured, falls.holds) == (pytest.approx(0.9), False)
    assert (beats.measured, beats.holds) == (pytest.approx(9.5 / 4), False)
    small = falls_and_beats(PRESETS["smoke"], played, iterated)
    assert [finding.holds for finding in small] == [None, None]
    assert history_figure("SIS", played["SIS"], iterated["SIS"]).series[0].x[0] == pytest.approx(
        np.log10(0.5)
    )
    assert len(last_table(played).rows) == 6


def test_barycentric_tells_the_truth_where_nearest_does_not():
    finding, table = fixed_policies(Config(paths=600))
    assert finding.measured < 0.02
    errors = {row[:2]: row[-1] for row in table.rows}
    assert errors["SIS, last action", "nearest"] > 0.1
    assert errors["Advertisement, first action", "nearest"] > 0.1


def test_slope_is_untested_where_noise_hides_it():
    findings, figure = slopes(Config(players=(50, 100), large=(100, 200), paths=40))
    assert [finding.holds for finding in findings] == [None, None]
    assert len(figure.series[0].x) == 3
    assert figure.series[0].low[0] <= figure.series[0].y[0] <= figure.series[0].high[0]


def test_claims_have_names_of_their_own():
    assert len({claim.id for claim in CLAIMS}) == len(CLAIMS)
