"""The platform study: what it makes of given figures, and the parts that need no training."""

import numpy as np
import pytest

from antiphon.core.statistics import Interval
from antiphon.studies.platform import CLAIMS, PRESETS, claims
from antiphon.studies.platform.learning import Curve
from antiphon.studies.platform.matrix import robustness
from antiphon.studies.platform.robot_loop import fly_robot
from antiphon.studies.platform.trainings import speed
from antiphon.worlds.platform.policy_search import find_policy
from antiphon.worlds.platform.robustness import MATRIX, Row


def row(pilot, level, *, arrives=1.0, told=False, **others):
    """A pilot with one PT5 everywhere but where others say otherwise."""

    def figures(condition):
        value = others.get(condition.replace("-", "_").replace(".", "_"), level)
        return {
            "PT5": Interval(value, value - 0.01, value + 0.01, 64),
            "ever_2cm": Interval(arrives, arrives - 0.02, min(arrives + 0.02, 1.0), 64),
        }

    names = (*MATRIX, "failure-2 spanning", "failure-2 not spanning")
    return Row(pilot, 64, 0, {name: figures(name) for name in names}, {}, told)


def by_id(findings):
    return {one.id: one for one in findings}


def test_every_claim_has_a_name_of_its_own():
    assert len({one.id for one in CLAIMS}) == len(CLAIMS)
    assert set(PRESETS) == {"smoke", "laptop", "gpu"}
    assert PRESETS["laptop"].seeds >= 3
    assert not PRESETS["smoke"].learns


def test_a_policy_that_loses_somewhere_is_said_to_lose_there():
    rows = [
        row("ours", 0.8, floor_0_25=0.7, all=0.3, arrives=0.6),
        row("ours + randomisation", 0.75, floor_0_25=0.74, all=0.6, arrives=0.99),
        row("lqr-saving", 0.5, latency=0.76),
        # Who is told is no rival of who is not.
        row("lqr-saving", 0.9, told=True),
    ]
    found = by_id(robustness(rows))
    assert found["floor"].measured == pytest.approx(0.74 / 0.75)
    assert found["floor"].holds
    assert found["one-dead"].holds
    assert found["randomised"].measured == pytest.approx(0.3)
    assert found["randomised"].holds
    assert not found["rivals"].holds
    assert found["rivals"].measured == "16 of 17 conditions"
    assert "latency (lqr-saving 0.760, ours 0.750)" in found["rivals"].note
    worse = by_id(robustness([rows[0], row("ours + randomisation", 0.75, arrives=0.9, all=0.3), *rows[2:]]))
    assert not worse["one-dead"].holds
    assert not worse["randomised"].holds


def test_without_a_randomised_policy_nothing_is_claimed_of_one():
    found = robustness([row("ours", 0.8), row("lqr-saving", 0.7)])
    assert {one.id for one in found} == {"floor", "one-dead", "two-dead", "randomised", "rivals"}
    assert all(one.holds is None for one in found)


def test_the_first_point_above_a_level_counts():
    figures = np.zeros((3, 6))
    figures[:, 0] = [0.2, 0.61, 0.59]
    curve = Curve(np.array([1.0, 2.0, 3.0]), np.array([1e5, 2e5, 3e5]), figures)
    assert curve.passes(0.6) == (2.0, 2e5)
    assert curve.passes(0.7) == (np.inf, np.inf)


def test_the_slowest_seed_is_reported_and_no_clock_decides():
    def learned(*levels):
        figures = np.zeros((len(levels), 6))
        figures[:, 0] = levels
        at = np.arange(1.0, len(levels) + 1)
        return type("Kept", (), {"curve": Curve(at, at * 1e6, figures)})()

    fast, throughput = speed({"ours, seed 0": learned(0.1, 0.7), "ours, seed 1": learned(0.1, 0.2, 0.7)})
    assert fast.measured == 3e6
    assert fast.holds
    assert throughput.holds is None
    missed, _ = speed({"ours, seed 0": learned(0.1, 0.2)})
    assert missed.holds is None
    assert claims.FAST.id == missed.id


def test_the_robots_controller_flies_the_bundled_policy_home_and_shuts_the_valves():
    flown = fly_robot(find_policy("go-to-pose"), (2.0, -1.0, 2.0), seconds=30.0)
    assert flown.distance[0] > 2.0
    assert flown.distance[-100:].max() < 0.02
    assert flown.commands == 150
    assert flown.refused == 0
    assert flown.shut
