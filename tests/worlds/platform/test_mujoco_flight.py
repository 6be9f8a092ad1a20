"""A policy in MuJoCo, unchanged, flies as in our simulator."""

import numpy as np
import pytest

from antiphon.core.errors import UserError
from antiphon.worlds.platform.controllers import Pid
from antiphon.worlds.platform.disturbances import find_disturbances
from antiphon.worlds.platform.environment import PlatformEnvironment
from antiphon.worlds.platform.parameters import planar
from antiphon.worlds.platform.protocol import Protocol, fly
from antiphon.worlds.platform.tasks import find_task

pytest.importorskip("mujoco")
from antiphon.worlds.platform.mujoco_flight import fly_in_mujoco, open_loop_gap

SHORT = Protocol(envs=4, steps=30)


def test_the_same_episodes_are_flown():
    world = PlatformEnvironment(task=find_task("go-to-pose"))
    ours, theirs = fly(world, Pid(), SHORT), fly_in_mujoco(world, Pid(), SHORT)
    np.testing.assert_allclose(theirs.position_error[0], ours.position_error[0], atol=1e-5)
    np.testing.assert_allclose(theirs.heading_error, ours.heading_error, atol=2e-3)
    np.testing.assert_allclose(theirs.position_error, ours.position_error, atol=2e-3)


def test_open_loop_they_stay_together_for_twenty_seconds():
    valves = np.random.default_rng(0).random((100, 8)) < 0.3
    gap = open_loop_gap(planar(), valves)
    assert gap.shape == (100,)
    assert gap.max() < 1e-5
    heavier = planar(mass=5.4)
    rest = open_loop_gap(heavier, valves)
    assert rest.max() < 1e-5  # the twin follows the figures


def test_what_mujoco_does_not_fly_is_said():
    windy = PlatformEnvironment(disturbances=find_disturbances("floor-0.25"))
    with pytest.raises(UserError, match="undisturbed"):
        fly_in_mujoco(windy, Pid(), SHORT)
    with pytest.raises(UserError, match="not judged in MuJoCo"):
        fly_in_mujoco(PlatformEnvironment(task=find_task("go-through-gate")), Pid(), SHORT)
