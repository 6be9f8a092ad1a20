import itertools
from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import linprog

from antiphon.core.errors import UserError
from antiphon.worlds.platform.parameters import allocation, nozzle_forces, planar, wrench

HALF = np.sqrt(0.5)
# Rows fx, fy, torque of the authors' platform, worked out by hand from its drawing.
B = np.array(
    [
        [HALF, -HALF, HALF, -HALF, -HALF, HALF, -HALF, HALF],
        [-HALF, HALF, HALF, -HALF, HALF, -HALF, -HALF, HALF],
        [-0.31, 0.31, -0.31, 0.31, -0.31, 0.31, -0.31, 0.31],
    ]
)
LOST_PAIRS = {
    (0, 2), (0, 5), (0, 6), (1, 3), (1, 4), (1, 7), (2, 4), (2, 7), (3, 5), (3, 6), (4, 6), (5, 7),
}  # fmt: skip


def spans(dead):
    """Every wrench is a non-negative sum of columns: full rank, and all columns together can cancel."""
    left = np.delete(np.asarray(allocation(planar()), float), dead, axis=1)
    if np.linalg.matrix_rank(left, tol=1e-6) < 3:
        return False
    many = left.shape[1]
    cancels = linprog(np.zeros(many), A_eq=left, b_eq=np.zeros(3), bounds=[(1, 1000)] * many)
    return cancels.status == 0


def test_the_allocation_is_the_one_on_paper():
    np.testing.assert_allclose(allocation(planar()), B, atol=1e-7)


def test_wrenches_by_hand():
    p, open_ = planar(), np.zeros(8)
    np.testing.assert_allclose(wrench(p, open_), 0.0)
    open_[1] = 1
    np.testing.assert_allclose(wrench(p, open_), B[:, 1], atol=1e-7)
    # Two valves share the pressure: half a newton each, forward and turning against each other.
    open_[2] = 1
    np.testing.assert_allclose(wrench(p, open_), (B[:, 1] + B[:, 2]) / 2, atol=1e-7)
    full = replace(p, split_thrust=False)
    np.testing.assert_allclose(wrench(full, open_), B[:, 1] + B[:, 2], atol=1e-7)
    # All cancel, and seven give a seventh of what the eighth would take away.
    np.testing.assert_allclose(wrench(p, np.ones(8)), 0.0, atol=1e-7)
    np.testing.assert_allclose(wrench(p, 1 - np.eye(8)[3]), -B[:, 3] / 7, atol=1e-7)


def test_a_dead_valve_takes_its_share_and_gives_nothing():
    p = replace(planar(), mask=np.array([0, 1, 1, 1, 1, 1, 1, 1], np.float32))
    np.testing.assert_allclose(nozzle_forces(p, np.array([1, 1, 0, 0, 0, 0, 0, 0])), [0, 0.5, *[0] * 6])


def test_the_torque_is_about_the_centre_of_mass():
    c = np.array([0.05, -0.1])
    open_ = np.array([1, 0, 1, 0, 0, 0, 0, 0])
    fx, fy, torque = np.asarray(wrench(planar(), open_))
    moved = wrench(planar(com=(0.05, -0.1)), open_)
    np.testing.assert_allclose(moved, [fx, fy, torque - (c[0] * fy - c[1] * fx)], atol=1e-7)


def test_every_platform_of_a_batch_has_its_own_figures():
    masks = np.stack([np.ones(8), np.array([1, 0, 1, 1, 1, 1, 1, 1])]).astype(np.float32)
    found = wrench(replace(planar(), mask=masks), np.eye(8)[[1, 1]])
    np.testing.assert_allclose(found, [B[:, 1], np.zeros(3)], atol=1e-7)


def test_which_failures_leave_every_wrench_possible():
    assert all(spans([k]) for k in range(8))
    assert {pair for pair in itertools.combinations(range(8), 2) if not spans(pair)} == LOST_PAIRS
    assert sum(spans(three) for three in itertools.combinations(range(8), 3)) == 8


@pytest.mark.parametrize("wrong", [{"mass": 0.0}, {"inertia": -1.0}, {"thrust": 0.0}, {"linear_drag": -0.1}])
def test_impossible_figures_are_refused(wrong):
    with pytest.raises(UserError, match=next(iter(wrong))):
        planar(**wrong)
