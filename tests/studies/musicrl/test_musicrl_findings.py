"""The rules of the findings on performances whose answers are known."""

import math

import numpy as np
import pytest
from scipy import stats

from antiphon.core.errors import UserError
from antiphon.studies.musicrl import CLAIMS, PRESETS, Config
from antiphon.studies.musicrl.arms import ARMS, ArmConfig
from antiphon.studies.musicrl.findings import comparison, difference, live_findings, single_reward
from antiphon.studies.musicrl.judge import Performance, Trial, best_of_draws, figures_of, wins
from antiphon.train.metrics import Record
from antiphon.worlds.music.judging import Heard, Reference, distances
from antiphon.worlds.music.prompts import draw_prompts

FIGURES = ("hit", "probe", "tempo", "regularity", "in_key", "mode", "polyphony", "silence")


def performance(text, quality=None, judge=None):
    text = np.asarray(text, float)
    scores = {"text": text, "quality": text if quality is None else quality}
    scores["judge"] = text if judge is None else judge
    count = len(text)
    return Performance(
        np.zeros((count, 4, 3), int), np.zeros((count, 2560)),
        {name: np.asarray(values, float) for name, values in scores.items()},
    )  # fmt: skip


def heard(count, seed=0, **figures):
    features = np.random.default_rng(seed).standard_normal((count, 200))
    nothing = {name: np.zeros(count) for name in FIGURES}
    return Heard(**nothing | {"tags": np.zeros((count, 50)), "features": features} | figures)


def trial(new, old, *, count=40, reference=None, ears=None, chosen=None):
    nothing = {1: {name: np.zeros(count) for name in ("text", "quality", "judge")}}
    return Trial(
        "bundled r", draw_prompts(0, count, held_out=True), {"base": old, "bundled r": new},
        chosen or nothing, reference, ears or {},
    )  # fmt: skip


def by_id(findings):
    return {finding.id: finding for finding in findings}


def records(rewards, kl):
    return [
        Record("arm-r", i + 1, 0.0, {"reward": float(r), "kl": float(k)})
        for i, (r, k) in enumerate(zip(rewards, kl, strict=True))
    ]


def test_the_slope_of_a_line_is_its_slope():
    found = by_id(live_findings(records(0.25 * np.arange(20), np.arange(20)), "r", 48))
    rises, bounded = found["reward-rises"], found["kl-bounded"]
    assert rises.measured == pytest.approx(0.25)
    assert rises.interval == pytest.approx((0.25, 0.25))
    assert rises.holds is True
    assert "20 live updates of 48 clips" in rises.note
    assert bounded.measured == pytest.approx(17)  # of 15, 16, 17, 18, 19
    assert bounded.holds is True


def test_a_reward_that_falls_or_does_nothing():
    down = by_id(live_findings(records(-np.arange(9.0), np.full(9, 61)), "r", 1))
    assert down["reward-rises"].holds is False
    assert down["kl-bounded"].holds is False
    flat = by_id(live_findings(records([0, 1, 0, 1, 0, 1, 0, 1, 0], np.zeros(9)), "r", 1))
    assert flat["reward-rises"].measured == pytest.approx(0, abs=1e-12)
    assert flat["reward-rises"].holds is None


def test_two_updates_have_a_slope_but_no_verdict_and_one_has_neither():
    two = by_id(live_findings(records([0, 1], [0, 0]), "r", 1))["reward-rises"]
    assert (two.measured, two.interval, two.holds) == (pytest.approx(1), None, None)
    for few in (records([1], [0]), []):
        assert all(f.measured is None and f.holds is None for f in live_findings(few, "r", 1))


@pytest.mark.parametrize(
    ("won", "lost", "tied", "rate", "holds"),
    [
        (70, 30, 0, 0.70, True),
        (70, 30, 50, 0.70, True),  # ties count for neither
        (60, 40, 0, 0.60, False),  # surely better than even, and below the bar
        (58, 42, 0, 0.58, None),  # perhaps not better than even, perhaps above the bar
        (40, 60, 0, 0.40, False),  # the bar is out of reach
    ],
)
def test_the_win_rate(won, lost, tied, rate, holds):
    new = performance([1.0] * won + [-1.0] * lost + [0.0] * tied)
    old = performance(np.zeros(won + lost + tied))
    finding = by_id(comparison(trial(new, old), notes=False))["r-beats-base"]
    assert finding.measured == pytest.approx(rate)
    assert finding.holds is holds
    # Wilson's interval, by its formula.
    n, z = won + lost, stats.norm.ppf(0.975)
    middle = (rate + z**2 / (2 * n)) / (1 + z**2 / n)
    reach = z / (1 + z**2 / n) * math.sqrt(rate * (1 - rate) / n + z**2 / (4 * n**2))
    assert finding.interval == pytest.approx((middle - reach, middle + reach), abs=1e-9)
    assert f"{won} wins, {tied} ties, {lost} losses" in finding.note


def test_nothing_but_ties_is_no_measurement():
    finding = by_id(comparison(trial(performance(np.zeros(40)), performance(np.zeros(40))), notes=False))
    assert finding["r-beats-base"].measured is None
    assert finding["r-beats-base"].holds is None


def test_only_captions_that_both_played_are_compared():
    new, old = performance([1.0, 1, 0, 1]), performance([0.0, 0, 1, 0, 9, 9, 9])
    assert (wins(new, old).wins, wins(new, old).losses) == (3, 1)
    found = by_id(comparison(trial(new, old), notes=False))
    assert found["text-rises"].measured == pytest.approx(0.5)
    kept = figures_of(new, old)
    assert kept["captions"] == 4
    assert kept["text"] == {"mean": 0.75, "base": 0.25}


def test_a_difference_has_student_s_interval():
    change = np.array([0.1, 0.3, 0.2, 0.4])
    old = np.array([5.0, 6, 7, 8])
    finding = difference("text-rises", old + change, old, "note", rises=True)
    low, high = stats.ttest_1samp(change, 0).confidence_interval()
    assert finding.measured == pytest.approx(0.25)
    assert finding.interval == pytest.approx((low, high))
    assert finding.holds is True


@pytest.mark.parametrize(
    ("change", "rises", "not_worse"),
    [
        ([1.0, 1.1, 0.9], True, True),
        ([-1.0, -1.1, -0.9], False, False),
        ([1.0, -1.0, 0.5], None, True),
        ([0.0, 0.0, 0.0], None, True),
        ([-2.0, 1.0, 0.5], None, True),  # worse on average, but nothing is proved
        ([1.0], None, None),  # one pair decides nothing
        ([math.nan, 1.0, 1.1, 0.9], True, True),
        ([math.nan, -1.0, -1.1, -0.9], False, False),
    ],
)
def test_the_rules_rises_and_not_worse(change, rises, not_worse):
    new, old = np.array(change), np.zeros(len(change))
    assert difference("text-rises", new, old, "", rises=True).holds is rises
    assert difference("tempo-kept", new, old, "").holds is not_worse


def test_clips_without_a_figure_are_left_out_and_said():
    finding = difference("scale-kept", np.array([1.0, np.nan, 0.5]), np.array([0.5, 0.5, np.nan]), "note")
    assert finding.measured == pytest.approx(0.5)
    assert "2 captions left out" in finding.note
    nothing = difference("scale-kept", np.full(2, np.nan), np.zeros(2), "note")
    assert (nothing.measured, nothing.holds) == (None, None)


def test_what_outside_judges_heard():
    count, more = 40, 60
    prompts = draw_prompts(0, count, held_out=True)
    rng = np.random.default_rng(3)
    real = Reference(
        np.zeros((count, 50)), rng.standard_normal((count, 200)), np.array(["piano"] * count),
        np.array([a.texture for a in prompts.attributes]), np.full(count, 2.0),
    )  # fmt: skip
    ears = {
        # The base keeps the tempo in every clip, is half a note off the target of 2, and plays more captions.
        "base": heard(more, 1, tempo=np.ones(more), in_key=np.full(more, 0.75), polyphony=np.full(more, 2.5)),
        # The new model loses the tempo, gains a little key and is nearer to the target from the other side.
        "bundled r": heard(
            count, 2, tempo=np.tile([0.0, 1.0], count // 2), in_key=np.full(count, 1.0),
            polyphony=np.full(count, 1.75), features=np.repeat(np.eye(2, 200), count // 2, axis=0),
        ),
    }  # fmt: skip
    old, new = performance(np.zeros(more)), performance(np.ones(count))
    found = by_id(comparison(trial(new, old, reference=real, ears=ears), notes=True))
    assert found["tempo-kept"].measured == pytest.approx(-0.5)
    assert found["tempo-kept"].holds is False
    assert found["scale-kept"].measured == pytest.approx(0.25)
    assert found["scale-kept"].holds is True
    assert found["texture-kept"].measured == pytest.approx(0.25)  # a quarter off instead of a half
    assert found["texture-kept"].holds is True
    assert found["tagger-kept"].measured == 0
    # Two directions, twenty clips each: pairs across are at distance 1, pairs within at 0. Only the base's
    # first clips, those of the same captions, are compared with.
    across = 2 * 20 * 20 / (40 * 39)
    base = distances(ears["base"].first(count), real)["diversity"]
    assert found["diversity-kept"].measured == pytest.approx(across / _spread(real.features) / base)
    assert found["diversity-kept"].holds is False
    off = by_id(comparison(trial(new, old, reference=real, ears=ears), notes=False))
    assert off["scale-kept"].measured is None
    assert off["tempo-kept"].measured == found["tempo-kept"].measured


def _spread(features):
    """Mean of 1 - cos over pairs, pair by pair."""
    pairs = [(a, b) for i, a in enumerate(features) for b in features[:i]]
    return np.mean([1 - a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a, b in pairs])


def test_without_real_clips_nobody_listened():
    found = by_id(comparison(trial(performance(np.ones(40)), performance(np.zeros(40))), notes=True))
    for name in ("tempo-kept", "scale-kept", "texture-kept", "tagger-kept", "diversity-kept"):
        assert found[name].holds is None
        assert "reference.npz is not in the bundle" in found[name].note


def test_the_best_of_draws_is_chosen_by_text_and_quality():
    # Three samples of two captions; the judge's score only comes along.
    scores = {
        "text": np.array([[0.0, 5.0], [1.0, 0.0], [9.0, 9.0]]),
        "quality": np.array([[0.5, 0.0], [0.0, 0.0], [0.0, 0.0]]),
        "judge": np.array([[10.0, 20.0], [11.0, 21.0], [12.0, 22.0]]),
    }
    chosen = best_of_draws(scores)
    assert list(chosen) == [1, 2]
    np.testing.assert_array_equal(chosen[1]["judge"], [10, 20])
    np.testing.assert_array_equal(chosen[2]["judge"], [11, 20])
    np.testing.assert_array_equal(chosen[2]["text"], [1, 5])


def test_best_of_n_is_measured_on_the_captions_both_have():
    best = {n: {k: np.full(3, 0.25 * n) for k in ("text", "quality", "judge")} for n in (1, 2)}
    new, old = performance(np.ones(40)), performance(np.zeros(40))
    finding = by_id(comparison(trial(new, old, chosen=best), notes=False))["best-of-n"]
    assert finding.measured == pytest.approx(0.5)
    assert finding.holds is None
    assert "best of 1: 0.250, best of 2: 0.500 (3 captions); N is 2" in finding.note
    fewer = by_id(comparison(trial(performance([1.0, 1.0]), old, chosen=best), notes=False))["best-of-n"]
    assert fewer.measured == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("own", "other", "holds"),
    [(0.1, 0.0, True), (0.1, -0.2, False), (-0.1, 0.2, False), (0.0, 0.1, None)],
)
@pytest.mark.parametrize("arm", ["text", "quality"])
def test_one_reward_alone(arm, own, other, holds):
    rest = {"text": "quality", "quality": "text"}[arm]
    jitter = 0.01 * np.resize([1.0, -1.0], 30)
    new = performance(**{arm: own + jitter, rest: other + jitter, "judge": jitter})
    played = {"base": performance(np.zeros(50)), f"live {arm}": new}
    finding = single_reward(played, arm, 7)
    assert finding.id == f"{arm}-only"
    assert finding.measured == pytest.approx(own)
    assert finding.holds is holds
    assert "7 updates" in finding.note
    assert single_reward({"base": played["base"]}, arm, 7).measured is None


def test_claims_are_told_apart_and_sizes_can_be_built():
    assert len({claim.id for claim in CLAIMS}) == len(CLAIMS)
    assert set(PRESETS) == {"smoke", "laptop", "gpu"}
    assert all(set(config.arms) <= set(ARMS) for config in PRESETS.values())


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda: Config(arms=()), "no arm is named; choose among text, quality, r"),
        (lambda: Config(arms=("r", "texts")), "there is no arm 'texts'"),
        (lambda: Config(judged=1), "judged is 1; give at least 2"),
        (lambda: Config(best_of=0), "best_of is 0; give at least 1"),
        (lambda: Config(seed=-1), "seed is -1"),
        (lambda: ArmConfig(steps=0), r"arm\.steps is 0; give at least 1"),
    ],
)
def test_configurations_that_measure_nothing_are_refused(build, said):
    with pytest.raises(UserError, match=said):
        build()
