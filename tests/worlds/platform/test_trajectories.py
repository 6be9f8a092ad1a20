"""Paths have the length they should, and who follows one is measured against it."""

import math

import numpy as np
import pytest

from antiphon.core.errors import UserError
from antiphon.worlds.platform.controllers import LqrPattern
from antiphon.worlds.platform.tasks import find_task
from antiphon.worlds.platform.trajectories import (
    PATHS,
    SPACING,
    Guide,
    Path,
    Tracked,
    circle,
    find_path,
    lemniscate,
    square,
    track,
)


@pytest.mark.parametrize("name", list(PATHS))
def test_points_stand_a_centimetre_apart(name):
    steps = np.linalg.norm(np.diff(find_path(name).points, axis=0), axis=1)
    assert steps.max() < SPACING * 1.001
    assert np.median(steps) == pytest.approx(SPACING, rel=1e-3)


def test_lengths_are_those_of_geometry():
    assert circle(1.5).length == pytest.approx(2 * math.pi * 1.5, abs=0.02)
    assert square(2.0).length == pytest.approx(8.0, abs=0.02)
    np.testing.assert_allclose(lemniscate().points[0], lemniscate().points[-1], atol=0.02)


def test_only_the_way_to_the_end_is_judged():
    distance = np.array([[0.1, 0.1], [0.3, 0.3], [9.0, 0.2]])
    progress = np.array([[0.5, 0.1], [1.0, 0.2], [1.0, 0.3]])
    flown = Tracked(np.zeros((3, 2, 2)), distance, progress, np.zeros((3, 2)))
    np.testing.assert_array_equal(flown.completed, [True, False])
    np.testing.assert_allclose(flown.error(), [0.2, 0.2])
    np.testing.assert_allclose(flown.seconds(), [0.2, 0.6])


def test_a_controller_follows_a_short_path_by_way_points():
    path = Path("line", np.column_stack([np.arange(0, 0.5, SPACING), np.zeros(50)]))
    flown = track(LqrPattern(), find_task("go-to-pose"), path, Guide(reach=0.05), envs=2, seconds=40)
    assert flown.completed.all()
    assert flown.error().max() < 0.03
    assert (np.diff(flown.progress, axis=0) >= 0).all()
    # Who may not come close enough never gets the next way-point.
    strict = track(LqrPattern(), find_task("go-to-pose"), path, Guide(reach=1e-6), envs=2, seconds=40)
    assert not strict.completed.any()


def test_what_is_no_path_is_said():
    with pytest.raises(UserError, match="no path 'cirle'") as caught:
        find_path("cirle")
    assert "did you mean 'circle'" in caught.value.mend
    with pytest.raises(UserError, match="follows no path"):
        track(LqrPattern(), find_task("go-through-gate"), circle())
    with pytest.raises(UserError, match="reach is 0"):
        Guide(reach=0)
    with pytest.raises(UserError, match="shape"):
        Path("dot", np.zeros((1, 2)))
