"""Signals against words, responses against closed forms, and claims read off made-up policies."""

import itertools
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from antiphon.core.statistics import Interval
from antiphon.feedback.raters import Raters, ring
from antiphon.nets.llama_decoding import Prompts
from antiphon.studies.nlhf_steering import RLHF, name_of
from antiphon.studies.nlhf_text import CLAIMS, PRESETS, policies
from antiphon.studies.nlhf_text.arena import Exhibit, exploited, tilted, win_rates
from antiphon.studies.nlhf_text.cell import REFERENCE, TRAINED, Cell
from antiphon.studies.nlhf_text.findings import findings_of
from antiphon.studies.nlhf_text.judges import Verdict
from antiphon.studies.nlhf_text.policies import Trained
from antiphon.studies.nlhf_text.reference import Ground, scale_of
from antiphon.studies.nlhf_text.setting import policy_of
from antiphon.studies.nlhf_text.showing import media_of
from antiphon.studies.nlhf_text.signals import Signals, measure
from antiphon.worlds.text.reports import NOTICE_TOKENS, REPORT_TOKENS, draw_reports, encode

REPORT = "on monday the old pump in the cellar leaked , so anna repaired it ."
NOTICES = (
    "old pump leaked in cellar",
    "the pump leaked on friday .",  # it was monday
    "please note : pump jammed , anna repaired it .",
)


def test_signals_are_what_the_words_say():
    policy = policy_of(replace(PRESETS["smoke"], width=8))
    params = policy.config.init(jax.random.key(0))
    tokens = np.zeros((3, NOTICE_TOKENS), np.int32)
    for row, text in zip(tokens, NOTICES, strict=True):
        ids = encode(text)
        row[: len(ids)] = ids
        row[len(ids) + 1 :] = 40  # what stands behind the end is not read
    ids = encode(REPORT)
    prompt = np.full((3, REPORT_TOKENS + 2), 21, np.int32)  # nor is what stands behind the report
    prompt[:, : len(ids)] = ids
    prompts = Prompts(jnp.asarray(prompt), jnp.full(3, len(ids)))
    found = jax.jit(measure, static_argnums=0)(policy, params, prompts, jnp.asarray(tokens))
    brevity, overlap, style, fluency, truth = np.asarray(found.quality).T
    np.testing.assert_array_equal(brevity, [-5, -6, -10])
    np.testing.assert_allclose(overlap, [4 / 7, 2 / 7, 3 / 7], rtol=1e-6)
    np.testing.assert_array_equal(style, [0, -2, -2])
    np.testing.assert_array_equal(truth, [0, -1, -1])
    np.testing.assert_array_equal(found.told, [[0, 1, 0], [1, 0, 0], [0, 0, 1]])
    one = jnp.asarray([*encode(NOTICES[0]), 0])[None]
    log_p = jax.nn.log_softmax(policy.logits(params, one, Prompts(jnp.asarray([ids]), jnp.array([len(ids)]))))
    mean = np.mean(np.take_along_axis(np.asarray(log_p), np.asarray(one)[..., None], -1))
    np.testing.assert_allclose(fluency[0], mean, rtol=1e-4)


@pytest.mark.parametrize(
    ("measured", "kept"),
    [([4.0, 1.2, 3.9], 1), ([9.0, 8.0, 7.0], 2), ([9.0, 1.52, 1.5], 1)],
)
def test_the_round_nearest_to_the_divergence_is_kept(monkeypatch, measured, kept):
    """Also where all are more than twice as far as asked; the last of them ends early, near enough."""
    rounds = []

    class Method:
        def init(self, params, judge):
            return policies.Trained("start", 0.0, 0.0)  # anything with params

    def advance(method, state, log_tau, *rest):
        rounds.append(len(rounds))
        return policies.Trained(rounds[-1], 0.0, 0.0), log_tau

    monkeypatch.setattr(policies, "_ADVANCE", advance)
    monkeypatch.setattr(policies, "divergence", lambda *given: measured[rounds[-1] - 2])
    config = replace(PRESETS["smoke"], steps=50, round_steps=25, rounds=3)
    ground = Ground(None, None, None, None, None)
    found = policies.train_at(config, ground, Method(), None, jax.random.key(0), 1.5)
    assert found.params == kept + 2  # after two rounds at the full rate
    assert found.kl == measured[kept]
    assert len(rounds) == (4 if measured[kept] == 1.52 else 5)


def test_a_response_is_tilted_until_it_is_far_enough():
    credit = np.random.default_rng(0).uniform(size=(4, 50))
    weights = tilted(credit, 1.2)
    apart = np.sum(weights * np.log(weights), axis=1) + np.log(50)
    np.testing.assert_allclose(weights.sum(1), 1)
    assert apart.mean() == pytest.approx(1.2, abs=1e-6)
    # One λ for all rows: log-weights are one slope times the credit.
    slopes = [np.polyfit(c, np.log(w), 1)[0] for c, w in zip(credit, weights, strict=True)]
    np.testing.assert_allclose(slopes, slopes[0], rtol=1e-6)


REPORTS, SHOWN = 40, 8
NAMES = [name_of(beta) for beta in (0.0, 0.125, 0.25, 0.5, 1.0)] + ["Nash-EMA 0.9"]
WHEN, WHERE, WHO = np.eye(3, dtype=np.float32)


def notices(told, better=0.0, seed=0):
    """Of equal quality but for ``better``, in deviations of each signal."""
    rng = np.random.default_rng(seed)
    quality = rng.standard_normal((REPORTS, SHOWN, 5)).astype(np.float32) * 0.1 + better
    which = np.asarray(told, np.float32)[rng.integers(len(told), size=(REPORTS, SHOWN))]
    return Signals(jnp.asarray(quality), jnp.asarray(which))


def ground():
    flat = Signals(jnp.concatenate([notices([WHEN]).quality.reshape(-1, 5)] * 2),
                   notices([WHEN, WHERE, WHO], seed=1).told.reshape(-1, 3).repeat(2, 0))  # fmt: skip
    other = Signals(flat.quality[::-1], flat.told[::-1])
    drawn = draw_reports(0, REPORTS)
    prompts = Prompts(jnp.asarray(drawn.tokens), jnp.asarray(drawn.length))
    scale = scale_of(flat, other)._replace(mean=jnp.zeros(5), deviation=jnp.ones(5))
    return Ground(policy_of(PRESETS["smoke"]), None, prompts, prompts, scale)


GROUND = ground()


def cell(dial, told):
    """RLHF tells one circumstance alone, which the next one beats; the others tell all three in turn."""
    around = [WHEN, WHERE, WHO]
    shown = {REFERENCE: notices(around, -0.5), RLHF: notices(told, 0.5, 3)}
    shown |= {name: notices(around, 0.5 if name != "best response" else -0.3, 4) for name in NAMES}
    shown["Nash-EMA 0.9"] = notices(around, 0.2, 4)
    texts = {name: draw_reports(0, 3).notices for name in shown}
    candidates = notices([WHEN, WHERE, WHO], 0.0, 5)
    trained = {name: Trained(None, 1.5, 0.1) for name in (RLHF, *NAMES)}
    exhibit = Exhibit(tuple(shown), shown, texts, candidates)
    raters = Raters(jnp.full((2, 5), 0.3), 1.5, dial)
    rng = np.random.default_rng(0)
    base = {"right": 0.6, "excess": 0.01}
    verdicts = {
        kind: {
            whose: Verdict(*(value + up * (whose == TRAINED) + better + 0.001 * rng.standard_normal(50)
                             for value, better in zip(base.values(), (right, 0.0), strict=True)))
            for whose in (REFERENCE, TRAINED)
        }
        for kind, right, up in (("reward", 0.0, 0.05), ("preference", 0.02, 0.01))
    }  # fmt: skip
    half = Interval(0.12, 0.11, 0.13, 60)
    made = Cell(dial, trained, exhibit, raters, half, half, verdicts, {REFERENCE: 0.7, TRAINED: 0.7}, {})
    beaten = {name: exploited(GROUND, raters, exhibit, name, 1.0) for name in trained}
    return made._replace(exploited=beaten)


def test_a_policy_that_tells_one_thing_is_found_out():
    made = cell(0.9, [WHERE])
    assert made.exploited[RLHF].mean() > made.exploited["Nash-MD 0.25"].mean() + 0.1
    rates = win_rates(GROUND, made.held_out, made.shown, "Nash-MD 0.25", RLHF)
    back = win_rates(GROUND, made.held_out, made.shown, RLHF, "Nash-MD 0.25")
    np.testing.assert_allclose(rates + back, 1, atol=1e-5)
    a, b = made.shown.signals["Nash-MD 0.25"], made.shown.signals[RLHF]
    by_hand = []
    for i, j in itertools.product(range(SHOWN), repeat=2):
        around = ring(a.told[0, i], b.told[0, j]) / GROUND.scale.ring
        odds = 1.5 * (0.1**0.5 * 0.3 * np.sum(a.quality[0, i] - b.quality[0, j]) + 0.9**0.5 * around)
        by_hand.append(1 / (1 + np.exp(-odds)))
    assert rates[0] == pytest.approx(np.mean(by_hand), abs=1e-5)


@pytest.mark.parametrize(("dial", "told"), [(0.5, [WHERE]), (0.5, [WHEN, WHERE, WHO])])
def test_claims_are_read_off_the_cells(dial, told):
    cells = {0.0: cell(0.0, [WHEN, WHERE, WHO]), dial: cell(dial, told)}
    found = {f.id: f for f in findings_of(PRESETS["laptop"], GROUND, cells)}
    assert list(found) == [claim.id for claim in CLAIMS]
    assert found["exploited"].holds == (len(told) == 1)
    for name in ("circles", "matched", "judges", "shift", "tie", "response", "average", "start"):
        assert found[name].holds, name
    assert found["start"].note.startswith("best response")
    shown = media_of(PRESETS["laptop"], GROUND, cells)
    assert len(shown.tables) == 7
    assert len(shown.tables[1].rows) == len(NAMES) + 2
    rates = [[float(cell.split()[0]) for cell in row[1:] if cell != "–"] for row in shown.tables[1].rows]
    assert rates[0][0] + rates[1][0] == pytest.approx(1, abs=2e-3)  # both ways of reading one pair
    # A run too small to say anything says nothing.
    small = findings_of(PRESETS["smoke"], GROUND, cells)
    assert [f.id for f in small if f.holds is not None] == ["circles"]
