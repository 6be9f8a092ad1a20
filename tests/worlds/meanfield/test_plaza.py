import jax.numpy as jnp
import numpy as np

from antiphon.equilibrium import flow, mean_field_game
from antiphon.worlds.meanfield.plaza import Plaza


def test_a_full_cell_refuses():
    rules = Plaza(width=3, congestion=4.0, slip=0.0)
    empty, full = (jnp.zeros(9).at[1].set(share) for share in (0.0, 1.0))
    np.testing.assert_allclose(rules.next_state(0, 1, empty, 0), np.eye(9)[1], atol=1e-7)
    np.testing.assert_allclose(
        rules.next_state(0, 1, full, 0), 0.8 * np.eye(9)[0] + 0.2 * np.eye(9)[1], atol=1e-6
    )
    # A wall is in the way whatever the crowd does.
    np.testing.assert_allclose(rules.next_state(0, 2, full, 0), np.eye(9)[0], atol=1e-7)
    np.testing.assert_allclose(rules.next_state(4, 0, full, 0), np.eye(9)[4], atol=1e-7)


def test_some_steps_go_astray_and_none_is_lost():
    row = np.asarray(Plaza(width=3, congestion=0.0, slip=0.2).next_state(4, 1, jnp.zeros(9), 0))
    np.testing.assert_allclose(row[[5, 3, 7, 1]], [0.85, 0.05, 0.05, 0.05], atol=1e-6)
    np.testing.assert_allclose(row.sum(), 1.0, rtol=1e-6)


def test_the_far_corner_is_better_and_the_crowd_is_not():
    rules = Plaza(width=3, bonus=0.5, price=2.0)
    nobody = jnp.zeros(9)
    worth = np.array([float(rules.reward(s, 0, nobody, 0)) for s in range(9)])
    assert worth.argmax() == 8
    assert worth[2] == 0.0
    assert float(rules.reward(8, 0, nobody.at[8].set(0.25), 0)) == worth[8] - 0.5


def test_those_who_left_first_are_in_the_way_of_the_others():
    def left_behind(congestion):
        game = mean_field_game(Plaza(width=3, horizon=3, slip=0.0, congestion=congestion))
        policy = jnp.zeros((3, 9, 5)).at[..., 0].set(0.5).at[..., 1].set(0.5)
        return float(jnp.sum(flow(game, policy)[2, 0]))

    # Half stays at first; of those, half wants to follow into a cell that holds half of all.
    assert left_behind(0.0) == 0.25
    np.testing.assert_allclose(left_behind(4.0), 0.5 * (0.5 + 0.5 * (1 - 1 / 3)), rtol=1e-5)
