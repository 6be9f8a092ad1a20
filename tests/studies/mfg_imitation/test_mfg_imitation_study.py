import jax
import numpy as np
import pytest

from antiphon.equilibrium import mean_field_game
from antiphon.studies.mfg_imitation import CLAIMS, PRESETS
from antiphon.studies.mfg_imitation.instances import Scale, logs, measure_instances
from antiphon.studies.mfg_imitation.learning import learn, ratio
from antiphon.studies.registry import STUDIES
from antiphon.worlds.meanfield.amplifier import Amplifier


def test_exact_instances_at_a_small_size():
    with jax.enable_x64(True):
        findings, figures, table = measure_instances(Scale(1e-9, (1e-6, 1e-3), (4, 6), (0.5,)))
    found = {finding.id: finding for finding in findings}
    assert found["cloning-doubles"].measured == pytest.approx((2.0**6 - 7) / 2, rel=1e-5)
    # Without coupling ρ_t = t α.
    assert found["uncoupled"].measured == pytest.approx(15 / 2 / 18, rel=1e-5)
    assert found["uncoupled"].holds is True
    # The claims about H = 20 are not tested at H = 6.
    assert found["cloning-doubles"].holds is None
    assert found["control-does-not"].holds is None
    assert found["attractor"].holds is True
    assert [len(figure.series) for figure in figures] == [3, 4, 3, 3]
    assert [row[:2] for row in table.rows] == [(0.0, 4), (0.0, 6), (1.0, 4), (1.0, 6), (0.5, 6)]


def test_a_ratio_of_means_has_an_interval_around_it():
    rng = np.random.default_rng(0)
    second = rng.exponential(size=400)
    found = ratio(0.5 * second, second)
    assert (found.estimate, found.low, found.high) == (pytest.approx(0.5),) * 3
    first = rng.exponential(size=400)
    found = ratio(first, second)
    # The delta method says the same of unpaired means.
    spread = np.hypot(first.std() / first.mean(), second.std() / second.mean()) / np.sqrt(400)
    assert found.low < found.estimate < found.high
    assert found.high - found.low == pytest.approx(2 * 1.96 * spread * found.estimate, rel=0.15)
    assert ratio(np.ones(3), np.zeros(3)).high == np.inf


def test_clones_of_more_demonstrations_err_less():
    rules = Amplifier(horizon=3)
    with jax.enable_x64(True):
        game, expert = mean_field_game(rules), rules.mistaken(0.2)
        keys = jax.random.split(jax.random.key(0), 4)
        found = jax.tree.map(np.asarray, learn(game, expert, keys, (20, 2000), 20))
    for errors in found.own_error:
        assert errors.shape == (4, 2)
        assert errors[:, 1].mean() < 0.5 * errors[:, 0].mean()
    assert np.all(found.gap.cloning >= -1e-12)


def test_logarithms_leave_gaps():
    assert logs([100.0, 0.0])[0] == 2.0
    assert np.isnan(logs([100.0, 0.0])[1])


def test_the_study_is_registered():
    entry = next(entry for entry in STUDIES if entry.name == "mfg-imitation")
    assert entry.load().CLAIMS is CLAIMS
    assert set(PRESETS) == {"smoke", "laptop", "gpu"}
    assert len({claim.id for claim in CLAIMS}) == len(CLAIMS)
