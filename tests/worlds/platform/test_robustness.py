"""The matrix flies what the protocol flies, splits pairs of dead valves rightly, and prints what it found."""

import dataclasses

import numpy as np
import pytest

from antiphon.core.errors import UserError
from antiphon.worlds.platform.controllers import Pid
from antiphon.worlds.platform.disturbances import find_disturbances
from antiphon.worlds.platform.environment import PlatformEnvironment
from antiphon.worlds.platform.parameters import allocation, planar
from antiphon.worlds.platform.protocol import Protocol, fly
from antiphon.worlds.platform.robustness import (
    PAIRS,
    SINGLES,
    Condition,
    conditions,
    fly_situations,
    robustness_row,
    situation,
    spans,
)
from antiphon.worlds.platform.robustness_tables import (
    as_json,
    as_markdown,
    dead_grid,
    matrix_cells,
    row_json,
    row_of_json,
)
from antiphon.worlds.platform.tasks import find_task

POSE = find_task("go-to-pose")
SHORT = Protocol(envs=6, steps=8)


@pytest.mark.parametrize("name", ["failure-2+latency+mass", "thrust+drag+valve-delay+floor-waves"])
def test_a_condition_is_flown_as_the_protocol_flies_it(name):
    condition = Condition(name, find_disturbances(name))
    ours = fly_situations(Pid(), situation(POSE, condition, SHORT), SHORT.steps)
    world = PlatformEnvironment(task=POSE, disturbances=condition.disturbances)
    theirs = fly(world, Pid(), SHORT)
    for field in ("position_error", "heading_error", "velocity_error", "air_use"):
        np.testing.assert_allclose(getattr(ours, field), getattr(theirs, field), rtol=1e-4, atol=1e-6)


def test_noise_is_of_the_size_that_is_asked_for():
    still = situation(POSE, Condition("nominal"), SHORT)
    assert not still.noise.any()
    noisy = situation(POSE, *conditions(["observation-noise"]), SHORT)
    np.testing.assert_allclose(noisy.noise[0], [0.01, 0.025, 0, 0, 0])
    same = fly_situations(Pid(), still, SHORT.steps, seed=1)
    assert (same.air_use == fly_situations(Pid(), still, SHORT.steps, seed=2).air_use).all()
    loud = dataclasses.replace(find_disturbances("action-noise"), action_noise=0.5)
    pushed = fly_situations(Pid(), situation(POSE, Condition("loud", loud), SHORT), SHORT.steps)
    assert np.abs(pushed.velocity_error - same.velocity_error).max() > 0.005


def test_every_single_valve_and_sixteen_pairs_can_be_spared():
    assert all(spans(planar(), one.dead) for one in SINGLES)
    lost = {pair.dead for pair in PAIRS if not spans(planar(), pair.dead)}
    assert lost == {
        (0, 2),
        (0, 5),
        (0, 6),
        (1, 3),
        (1, 4),
        (1, 7),
        (2, 4),
        (2, 7),
        (3, 5),
        (3, 6),
        (4, 6),
        (5, 7),
    }
    # By hand: without 0 and 2 every valve has forward − turning ≤ 0: nothing pushes on and turns back.
    forward, _, turning = np.sign(np.delete(np.asarray(allocation(planar())), [0, 2], axis=1))
    assert (forward - turning <= 0).all()


def test_one_row_has_every_condition_and_every_pattern():
    chosen = conditions(["nominal", "failure-2"])
    row = robustness_row("pid", Pid(), POSE, chosen, SHORT, pattern_episodes=2, told=True)
    assert list(row.figures) == ["nominal", "failure-2", "failure-2 spanning", "failure-2 not spanning"]
    assert row.figures["failure-2 spanning"]["ever_2cm"].n == 16 * 2
    assert row.figures["failure-2 not spanning"]["ever_2cm"].n == 12 * 2
    assert len(row.dead) == 36
    assert np.isfinite(dead_grid(row)).all()
    assert matrix_cells([row], "PT5")[0][0] == "nominal"
    assert as_json([row])[0]["dead"]["0+5"]["n"] == 2
    assert row_of_json(row_json(row)) == row
    said = as_markdown([row], "Robustness")
    assert "| nominal | 0.000 ± 0.000 |" in said
    assert "pid (6, told)" in said


def test_what_has_no_matrix_is_said():
    with pytest.raises(UserError, match="go-through-gate has no matrix"):
        situation(find_task("go-through-gate"), Condition("nominal"), SHORT)
    with pytest.raises(UserError, match=r"did you mean 'floor-0\.25'"):
        conditions(["flor-0.25"])
