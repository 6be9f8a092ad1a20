"""The price of a good, and the linear–quadratic game as the peer has it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from antiphon.equilibrium import FlowProblem, mean_field_game, solve
from antiphon.methods.fictitious_play import FictitiousPlay
from antiphon.worlds.meanfield.equilibrium_price import EquilibriumPrice
from antiphon.worlds.meanfield.linear_quadratic import LinearQuadratic


@pytest.mark.parametrize(
    ("rules", "first", "last"),
    [(EquilibriumPrice(), 22.2152, None), (LinearQuadratic(horizon=11), 2.1410, 0.102)],
)
def test_exploitability_is_what_mfglib_prints(rules, first, last):
    with jax.enable_x64(True):
        problem = FlowProblem(mean_field_game(rules))
        found = solve(problem, FictitiousPlay(split_ties=True), 20, keep=[0, 20])
    assert found.exploitability[0] == pytest.approx(first, abs=1e-4)
    if last is not None:
        assert found.exploitability[1] == pytest.approx(last, abs=5e-4)


def test_a_price_by_hand():
    rules = EquilibriumPrice(demand=6.0, costs=(0.5, 0.25, 0.1, 0.2, 0.3))
    crowd = jnp.zeros((4, 9)).at[0, 3].set(0.5).at[2, 6].set(0.5)  # half sells one, half sells two
    assert float(rules.price(crowd)) == pytest.approx(6.0 / 2.5)
    # One has 1, sells 2 and orders 1: revenue, two costs of selling, the order, one unit short, storage.
    expected = (2.4 - 0.5) * 2 - 0.25 * 4 - 0.1 - 0.3 * 1 - 0.3 * 1
    assert float(rules.reward(1, 7, crowd, 0)) == pytest.approx(expected, abs=1e-6)
    np.testing.assert_array_equal(rules.next_state(1, 7, crowd, 0), [False, True, False, False])
    np.testing.assert_array_equal(rules.next_state(3, 5, crowd, 0), [False, False, False, True])


def test_a_pull_to_the_mean_by_hand():
    rules = LinearQuadratic(sigma=1.0, delta=1.0, horizon=3)
    mean_field = jnp.zeros(11).at[7].set(1.0)  # everybody at 2
    row = np.asarray(rules.next_state(5, 3, mean_field, 0))  # from 0: pulled by 2, moves by 1
    weight = np.exp(-0.5 * np.arange(-3, 4) ** 2)
    expected = np.zeros(11)
    np.add.at(expected, np.clip(np.arange(-3, 4) + 3 + 5, 0, 10), weight / weight.sum())
    np.testing.assert_allclose(row, expected, atol=1e-6)
    running = -0.5 + 0.01 * 1 * 2 - 0.25 * 4
    assert float(rules.reward(5, 3, mean_field, 0)) == pytest.approx(running, abs=1e-6)
    assert float(rules.reward(5, 3, mean_field, 2)) == pytest.approx(-2.0, abs=1e-6)
