"""A simulated flight gives its platform's figures back, in intervals that cover them as often as they say."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from antiphon.core.errors import UserError
from antiphon.worlds.platform.flight_log import FlightLog
from antiphon.worlds.platform.identify import identify
from antiphon.worlds.platform.log_windows import Cutting, windows
from antiphon.worlds.platform.parameters import planar
from antiphon.worlds.platform.plant import advance
from antiphon.worlds.platform.state import PlatformState

TRUE = {"mass": 6.1, "inertia": 0.24, "thrust": 0.8, "linear_drag": 0.3, "angular_drag": 0.01}
COM = (0.02, -0.03)
PLANT = planar(**TRUE, com=COM)
RATE, PERIOD = 20, 4


@jax.jit
def flown(valves):
    def step(state, opened):
        return advance(PLANT, state, opened, None, 1 / RATE), state

    still = PlatformState(jnp.zeros(2), jnp.zeros(()), jnp.zeros(2), jnp.zeros(()))
    return jax.lax.scan(step, still, jnp.repeat(valves, PERIOD, 0))[1]


def recorded(seed, *, seconds=24, noise=(0.002, 0.005), dead=(), chance=0.3):
    rng = np.random.default_rng(seed)
    valves = rng.random((seconds * RATE // PERIOD, 8)) < chance
    valves[:, list(dead)] = False
    truth = flown(valves)
    time = np.arange(len(truth.heading)) / RATE
    return FlightLog(
        pose_time=time,
        position=np.asarray(truth.position) + noise[0] * rng.normal(size=(len(time), 2)),
        heading=np.asarray(truth.heading) + noise[1] * rng.normal(size=len(time)),
        valve_time=np.arange(len(valves)) * PERIOD / RATE,
        valves=valves,
    )


def test_intervals_cover_the_truth_as_often_as_they_say():
    truth = TRUE | {"com_x": COM[0], "com_y": COM[1]}
    hits, tight = [], []
    for seed in range(24):
        found = identify(recorded(seed), {"mass": TRUE["mass"]})
        for name, one in found.figures.items():
            hits.append(one.low <= truth[name] <= one.high)
            tight.append((one.high - one.low) / abs(truth[name]))
            assert one.determined
    assert len(hits) == 24 * 6
    # 144 figures, correlated within a log: at .95 fewer than .88 happens to one set of logs in a thousand.
    assert np.mean(hits) >= 0.88
    # Not because intervals are wide: the median is a tenth of the figure or less.
    assert np.median(tight) < 0.1
    assert found.position_noise == pytest.approx(0.002, rel=0.15)
    assert found.heading_noise == pytest.approx(0.005, rel=0.15)


def test_intervals_that_are_too_narrow_would_be_caught():
    found = [identify(recorded(seed), {"mass": TRUE["mass"]}) for seed in range(24)]
    inside = [
        abs(one.value - TRUE[name]) <= (one.high - one.low) / 8
        for each in found
        for name, one in each.figures.items()
        if name in TRUE
    ]
    assert np.mean(inside) < 0.6


def test_motion_alone_knows_ratios():
    log = recorded(0)
    loose = identify(log)
    assert "Motion alone cannot tell mass from thrust" in loose.remarks[0]
    assert set(loose.figures) == {
        "inertia/mass", "thrust/mass", "com_x", "com_y", "linear_drag/mass", "angular_drag/mass",
    }  # fmt: skip
    weighed = identify(log, {"mass": TRUE["mass"]})
    pushed = identify(log, {"thrust": TRUE["thrust"]})
    ratio = loose.figures["thrust/mass"]
    assert ratio.unit == "m/s²"
    assert weighed.figures["thrust"].value == pytest.approx(TRUE["mass"] * ratio.value, rel=1e-4)
    assert pushed.figures["mass"].value == pytest.approx(TRUE["thrust"] / ratio.value, rel=1e-4)
    # The wrong mass fits as well, which is what "cannot tell" means.
    wrong = identify(log, {"mass": 2 * TRUE["mass"]})
    assert wrong.position_noise == pytest.approx(weighed.position_noise, rel=1e-4)
    assert weighed.params().mass == TRUE["mass"]
    with pytest.raises(UserError, match="nothing of the scale"):
        loose.params()


def test_a_valve_that_never_opens_is_not_determined():
    found = identify(recorded(0, dead=(3,)), {"mass": TRUE["mass"]}, each_valve=True, push=True)
    assert not found.figures["thrust_3"].determined
    assert any("thrust_3" in remark for remark in found.remarks)
    assert found.figures["thrust_2"].determined
    for name, truth in (("thrust_2", 0.8), ("push_x", 0.0), ("push_y", 0.0), ("push_turn", 0.0)):
        one = found.figures[name]
        assert abs(one.value - truth) < one.high - one.low  # four deviations
        assert one.high - one.low < 0.05


def test_gaps_are_refused_or_cut_around():
    log = recorded(2)
    keep = (log.pose_time < 9.0) | (log.pose_time > 10.5)
    holed = dataclasses.replace(
        log, pose_time=log.pose_time[keep], position=log.position[keep], heading=log.heading[keep]
    )
    with pytest.raises(UserError, match=r"a gap: no pose from 8\.95 s to 10\.55 s"):
        identify(holed)
    cut = windows(holed, Cutting(skip_gaps=True))
    assert cut.dt.max() <= 1 / RATE + 1e-9
    assert np.sum(cut.dt) < 24 - 1.5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"valves": np.zeros((120, 8), bool)}, "no valve is ever open"),
        ({"pose_time": np.zeros(0), "position": np.zeros((0, 2)), "heading": np.zeros(0)}, "0 poses"),
        (
            {"pose_time": np.arange(5) / 20, "position": np.zeros((5, 2)), "heading": np.zeros(5)},
            "enough poses",
        ),
    ],
)
def test_a_log_with_too_little_in_it_is_said(changes, message):
    with pytest.raises(UserError, match=message):
        identify(dataclasses.replace(recorded(0), **changes))


def test_a_figure_that_does_not_exist_cannot_be_fixed():
    with pytest.raises(UserError, match="no figure 'weight'"):
        identify(recorded(0), {"weight": 5.0})
    with pytest.raises(UserError, match="mass cannot be -1"):
        identify(recorded(0), {"mass": -1.0})


def test_numbers_that_are_not_finite_never_enter_a_log():
    log = recorded(0)
    bad = log.position.copy()
    bad[7, 1] = np.nan
    with pytest.raises(UserError, match="position is not finite in row 7"):
        dataclasses.replace(log, position=bad)
