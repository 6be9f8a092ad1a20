"""The enumerated study: exact figures against a slow search, and the whole of it at its very smallest."""

from dataclasses import replace

import numpy as np
import pytest

from antiphon.studies import nlhf_tokens
from antiphon.studies.nlhf_tokens import cell as world_cell
from antiphon.studies.nlhf_tokens import study
from antiphon.studies.nlhf_tokens.cell import Cell, Rest, Trained
from antiphon.studies.nlhf_tokens.exact import equal_kl_exploit, mixture, settle, tilted
from antiphon.train.run_directory import RunDirectory
from antiphon.worlds.diagnostics.preferences import random_table
from antiphon.worlds.diagnostics.token_world import token_world


def test_the_best_response_inside_a_divergence_is_the_best():
    rng = np.random.default_rng(0)
    mu = rng.dirichlet(np.ones(5))
    table, p = random_table(0, 5), rng.dirichlet(np.ones(5))
    kl = float(p @ np.log(p / mu))
    credit = table @ p
    best = np.exp(tilted(np.log(mu), credit, kl))
    np.testing.assert_allclose(best @ np.log(best / mu), kl, rtol=1e-6)
    others = rng.dirichlet(np.ones(5), 20_000)
    near = others[np.sum(others * np.log(others / mu), axis=1) <= kl]
    assert len(near) > 50
    assert (near @ credit).max() <= best @ credit + 1e-9
    found = equal_kl_exploit(table, np.log(mu), np.log(p), kl)
    np.testing.assert_allclose(found, best @ credit)
    assert found >= 0.5


def test_the_mixture_is_normalised_at_every_token():
    rng = np.random.default_rng(1)
    law, reference = (np.log(rng.dirichlet(np.ones(9))) for _ in range(2))
    mixed = np.exp(mixture(law, reference, 0.25, 3)).reshape(3, 3)
    p, q = np.exp(law).reshape(3, 3), np.exp(reference).reshape(3, 3)
    first = p.sum(1) ** 0.75 * q.sum(1) ** 0.25
    np.testing.assert_allclose(mixed.sum(1), first / first.sum())
    for before in range(3):
        second = (p[before] / p[before].sum()) ** 0.75 * (q[before] / q[before].sum()) ** 0.25
        np.testing.assert_allclose(mixed[before] / mixed[before].sum(), second / second.sum())


@pytest.mark.parametrize("beta", [0.0, 0.25, 1.0])
def test_a_law_that_has_settled_answers_its_own_mixture(beta):
    world = token_world(0, 0.5, vocabulary=3)
    table, kl = world.preference.astype(np.float64), 0.7
    law, moving = settle(table, world.chain, beta, kl, 3)
    assert moving <= 1e-3
    assert np.exp(law) @ (law - world.chain) == pytest.approx(kl, abs=2e-3)
    credit = table @ np.exp(mixture(law, world.chain, beta, 3))
    tilt = law - world.chain
    slope = np.polyfit(credit, tilt, 1)  # log π/μ is a straight line in what is credited, of slope 1/τ
    assert np.exp(law) @ np.abs(tilt - np.polyval(slope, credit)) < 0.02
    assert slope[0] > 0
    if beta == 0:  # an equilibrium: no equally divergent answer beats it
        assert equal_kl_exploit(table, world.chain, law, kl) == pytest.approx(0.5, abs=1e-3)


def cell(dial, exploited, laws, apart):
    """A world of 81 completions with policies given by their laws."""
    world = token_world(0, dial, vocabulary=3)
    trained = {name: Trained(law, 2.0, 0.1) for name, law in laws.items()}
    settled = {name: Rest(rate - apart, 0.0) for name, rate in exploited.items()}
    return Cell(world, world.chain, trained, exploited, settled, 0.503, 0.1, 0.11)


def test_claims_are_read_off_the_cells(tmp_path, monkeypatch):
    world = token_world(0, 0.5, vocabulary=3)
    beaten = int(np.argmin(world.preference.mean(1)))
    winner = int(np.argmax(world.preference[:, beaten]))

    def point(place):
        law = np.full(81, -1e3)
        law[place] = 0.0
        return law

    names = ("self-play", "Nash-MD 0.25", "Nash-MD 0.5", "RLHF")
    laws = {name: point(beaten if name == "RLHF" else winner) for name in names}
    good = {"self-play": 0.52, "Nash-MD 0.25": 0.51, "Nash-MD 0.5": 0.53, "RLHF": 0.6}

    spoilt = {"self-play": 0.0, "Nash-MD 0.5": 0.0, "apart": 0.01}

    def made(config, run, seed, dial):
        same = {name: world.chain for name in names}
        worse = {name: good[name] + spoilt.get(name, 0.0) * (seed == 1) for name in names}
        return cell(dial, worse, laws if dial else same, spoilt["apart"])

    monkeypatch.setattr(study, "measure_world", made)
    # In the order of the claims: tie, exploited, half, beats, closed, settled.
    for case, changed, held in (
        ("good", {}, [True, True, True, True, True, True]),
        ("self-play", {"self-play": 0.05}, [True, False, True, True, True, True]),
        ("half", {"Nash-MD 0.5": 0.05}, [True, True, False, True, True, True]),
        ("restless", {"apart": 0.03}, [True, True, True, True, True, False]),
    ):
        spoilt.update({"self-play": 0.0, "Nash-MD 0.5": 0.0, "apart": 0.01} | changed)
        config = replace(nlhf_tokens.PRESETS["laptop"], worlds=2)
        run = RunDirectory.create("nlhf-tokens", config, seed=0, root=tmp_path / case)
        findings = nlhf_tokens.run(config, run)
        assert [finding.id for finding in findings] == [claim.id for claim in nlhf_tokens.CLAIMS]
        assert [finding.holds for finding in findings] == held
        assert findings[3].measured == pytest.approx(world.preference[winner, beaten], abs=1e-6)
        assert (run.media / "media.json").exists()
    one = replace(config, worlds=1)
    findings = nlhf_tokens.run(one, RunDirectory.create("nlhf-tokens", one, seed=0, root=tmp_path / "one"))
    assert [finding.holds for finding in findings] == [None, None, None, None, True, None]


@pytest.mark.slow
def test_a_world_is_measured_as_it_was_learnt_and_learnt_once(tmp_path, monkeypatch):
    config = nlhf_tokens.Config(worlds=1, betas=(), steps=5, reference_steps=3, batch=16)
    run = RunDirectory.create("nlhf-tokens", config, seed=0, root=tmp_path)
    made = world_cell.measure_world(config, run, 0, 0.5)
    assert set(made.trained) == {"Nash-EMA", "RLHF"}
    for found in made.trained.values():
        assert np.exp(found.law).sum() == pytest.approx(1.0, abs=1e-9)
        assert found.kl == pytest.approx(np.exp(found.law) @ (found.law - made.reference))
        assert found.kl > 1e-4  # five updates have moved it
        assert found.tau < 0.4  # below the divergence that is asked for, the pull is weakened from the start

    def learns_again(*given):
        raise AssertionError("a piece was made twice")

    for name in ("imitate_chain", "learn_nash", "learn_average", "learn_rlhf", "fit_scores"):
        monkeypatch.setattr(world_cell, name, learns_again)
    again = world_cell.measure_world(config, run, 0, 0.5)
    np.testing.assert_array_equal(again.trained["RLHF"].law, made.trained["RLHF"].law)
