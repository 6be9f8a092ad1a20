import jax
import jax.numpy as jnp
import numpy as np
import pytest

from antiphon.core.errors import UserError
from antiphon.equilibrium import FlowProblem, Neighbours, mean_field_game, rules, solve
from antiphon.equilibrium.diagonals import Diagonals, diagonals
from antiphon.equilibrium.kernel import compact, dense, expect, push
from antiphon.equilibrium.tables import game_tables
from antiphon.methods.fictitious_play import FictitiousPlay
from antiphon.methods.mirror_descent import MirrorDescent
from antiphon.worlds.meanfield.beach_bar import BeachBar
from antiphon.worlds.meanfield.garnet import garnet
from antiphon.worlds.meanfield.susceptible_infected import SusceptibleInfected


@rules
class Tide:
    """A ring of places; by night a current carries everybody on, and only by day one earns."""

    n_states: int = 60
    horizon: int = 5
    current: float = 0.3

    n_actions = 2

    def start(self):
        return jnp.full(self.n_states, 1.0 / self.n_states)

    def next_state(self, state, action, mean_field, time):
        drift = jnp.where(time % 2 == 1, self.current, 0.0)
        here = (state + action) % self.n_states
        row = jnp.zeros(self.n_states, mean_field.dtype).at[here].set(1 - drift)
        return row.at[(here + 1) % self.n_states].add(drift)

    def reward(self, state, action, mean_field, time):
        return jnp.where(time % 2 == 0, jnp.cos(state * 0.1) - 0.1 * action, 0.0)


@rules
class FewSuccessors(Tide):
    """The same, told as two successors and their chances."""

    def successors(self, state, action):
        here = (state + action) % self.n_states
        return jnp.stack([here, (here + 1) % self.n_states])

    def next_state(self, state, action, mean_field, time):
        drift = jnp.where(time % 2 == 1, self.current, 0.0)
        return jnp.stack([1 - drift, drift])


def test_only_what_no_crowd_changes_is_kept():
    free = game_tables(mean_field_game(BeachBar()), jnp.float32)
    assert free.kernel is not None
    assert not free.kernel_in_time
    assert free.reward is None
    coupled = game_tables(mean_field_game(SusceptibleInfected()), jnp.float32)
    assert coupled.kernel is None
    np.testing.assert_allclose(coupled.reward, [[0, -0.5], [-1, -1.5]], atol=1e-6)
    timed = game_tables(mean_field_game(Tide()), jnp.float32)
    assert timed.kernel_in_time
    assert timed.reward_in_time
    assert timed.reward.shape == (5, 60, 2)


def test_prepared_problems_are_the_problems_themselves():
    for game in (
        mean_field_game(Tide()),
        mean_field_game(BeachBar(horizon=3)),
        garnet(jax.random.key(0), "coupled", horizon=3),
    ):
        problem = FlowProblem(game)
        draw = jax.random.dirichlet(jax.random.key(1), jnp.ones(game.n_actions), problem.uniform().shape[:-1])
        prepared = problem.prepared()
        gap = jax.jit(lambda p, pi: p.measure(pi))(prepared, draw)
        # Directly, by loops over the game's own functions: nothing is kept and nothing is sparse.
        mean_field, earned, crowds = game.init(), 0.0, []
        for t in range(game.horizon):
            crowds.append(mean_field[:, None] * draw[t])
            earned += float(jnp.sum(crowds[t] * game.reward(t, crowds[t])))
            mean_field = jnp.einsum("sa,sax->x", crowds[t], game.kernel(t, crowds[t]))
        best = jnp.zeros(game.n_states)
        for t in reversed(range(game.horizon)):
            best = jnp.max(game.reward(t, crowds[t]) + game.kernel(t, crowds[t]) @ best, axis=-1)
        np.testing.assert_allclose(gap.value, earned, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(gap.exploitability, game.init() @ best - earned, rtol=1e-3, atol=1e-5)


def test_kernels_with_few_successors_become_sparse_where_that_pays():
    table = mean_field_game(Tide()).kernel(1, jnp.full((60, 2), 1 / 120))
    shifts = compact(table)
    assert isinstance(shifts, Diagonals)
    assert shifts.offsets == (-59, -58, 0, 1, 2)
    # Renumbered at random the same moves are no longer a few distances.
    order = np.random.default_rng(0).permutation(60)
    mixed = table[order][:, :, order]
    listed = compact(mixed)
    assert isinstance(listed, Neighbours)
    assert listed.states.shape == (60, 2, 2)
    joint = jax.random.uniform(jax.random.key(0), (60, 2))
    value = jax.random.normal(jax.random.key(1), (60,))
    for small, full in ((shifts, table), (listed, mixed), (compact(listed), mixed)):
        np.testing.assert_allclose(push(small, joint), push(full, joint), atol=1e-5)
        np.testing.assert_allclose(expect(small, value), expect(full, value), atol=1e-5)
    assert isinstance(compact(table[:10, :, :10]), jax.Array)
    # Inside a traced function the numbers are not known.
    assert isinstance(jax.jit(compact)(mixed), jax.Array)


def test_several_populations_share_their_distances():
    states = np.array([[[[1, 0]], [[2, 1]], [[2, 2]]], [[[0, 0]], [[0, 0]], [[1, 2]]]])
    chances = np.full(states.shape, 0.5)
    kernel = diagonals(states, chances)
    assert kernel.offsets == (-1, 0, 1)
    joint, value = jnp.arange(6.0).reshape(2, 3, 1), jnp.arange(6.0).reshape(2, 3) ** 2
    table = dense(Neighbours(jnp.asarray(states), jnp.asarray(chances)), 3)
    np.testing.assert_allclose(push(kernel, joint), push(table, joint), rtol=1e-6)
    np.testing.assert_allclose(expect(kernel, value), expect(table, value), rtol=1e-6)


def test_rules_may_name_the_successors():
    listed, table = (FlowProblem(mean_field_game(kind())) for kind in (FewSuccessors, Tide))
    assert isinstance(listed.game.kernel(0, jnp.full((60, 2), 1 / 120)), Neighbours)
    ours, theirs = (solve(problem, FictitiousPlay(), 5, keep=[5]) for problem in (listed, table))
    np.testing.assert_allclose(ours.exploitability, theirs.exploitability, atol=1e-5)
    np.testing.assert_allclose(ours.policy, theirs.policy, atol=1e-5)


def test_successors_that_are_no_states_are_named():
    @rules
    class Outside(FewSuccessors):
        def successors(self, state, action):
            return jnp.stack([state, state + 1])

    with pytest.raises(UserError, match=r"successors is 60 at state 59, action 0.*from 0 to 59"):
        mean_field_game(Outside())


def test_time_is_found_in_the_rules_themselves():
    assert mean_field_game(Tide()).time_dependent
    assert not mean_field_game(BeachBar()).time_dependent


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_the_precision_is_chosen(dtype):
    with jax.enable_x64(True):
        problem = FlowProblem(mean_field_game(BeachBar()), dtype=dtype)
        found = solve(problem, MirrorDescent(), 20, keep=[20])
        assert found.policy.dtype == dtype
        assert found.exploitability.dtype == dtype
    np.testing.assert_allclose(found.exploitability, 0.13006, rtol=2e-3)
