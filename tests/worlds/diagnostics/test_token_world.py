"""The token world: an honest law, an antisymmetric table, and a dial that does what it says."""

import numpy as np
import pytest

from antiphon.core.errors import UserError
from antiphon.feedback.bradley_terry import fit_scores, misfit
from antiphon.worlds.diagnostics.preferences import cyclic_share
from antiphon.worlds.diagnostics.token_world import token_world

SMALL = {"vocabulary": 4, "length": 3}


def test_a_world_is_a_law_and_a_table():
    world = token_world(0, 0.5, **SMALL)
    assert world.completions.shape == (64, 3)
    assert world.completions[27].tolist() == [1, 2, 3]
    law = np.exp(world.chain)
    assert law.sum() == pytest.approx(1)
    np.testing.assert_allclose(world.preference + world.preference.T, 1, atol=1e-6)
    assert law @ world.quality == pytest.approx(0, abs=1e-9)
    assert law @ world.quality**2 == pytest.approx(1)
    # A chain: the last token depends on the one before it only.
    joint = law.reshape(4, 4, 4)
    given = joint / joint.sum(2, keepdims=True)
    np.testing.assert_allclose(given, np.broadcast_to(given[:1], given.shape))


def test_the_dial_makes_circles_and_leaves_the_rest():
    shares, misfits = [], []
    for dial in (0.0, 0.5, 1.0):
        world = token_world(1, dial, **SMALL)
        weights = np.exp(world.chain)
        shares.append(cyclic_share(world.preference, weights))
        table = world.preference.astype(np.float64)
        misfits.append(misfit((table + 1 - table.T) / 2, fit_scores((table + 1 - table.T) / 2)))
        np.testing.assert_array_equal(world.quality, token_world(1, 0.0, **SMALL).quality)
    assert shares[0] == pytest.approx(0, abs=1e-6)
    assert 0.02 < shares[1] < shares[2] < 0.35
    assert misfits[0] < 1e-6 < misfits[1] < misfits[2]


def test_what_cannot_be_listed_is_refused():
    with pytest.raises(UserError, match=r"dial is 1\.5"):
        token_world(0, 1.5)
    with pytest.raises(UserError, match="32768 completions"):
        token_world(0, 0.5, length=5)
