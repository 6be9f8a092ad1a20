import jax
import jax.numpy as jnp
import numpy as np
import pytest

from antiphon.equilibrium import (
    FlowProblem,
    Players,
    first_action,
    major_minor_game,
    mean_field_game,
    partition,
    solve,
)
from antiphon.equilibrium.game import major_minor_tables
from antiphon.methods.fictitious_play import FictitiousPlay
from antiphon.methods.major_minor_stackelberg import StackelbergFictitiousPlay
from antiphon.worlds.meanfield.advertisement import Advertisement
from antiphon.worlds.meanfield.buffet import Buffet
from antiphon.worlds.meanfield.sis import SIS
from antiphon.worlds.meanfield.susceptible_infected import SusceptibleInfected

measure = jax.jit(lambda problem, policy: problem.measure(policy))


def paper_run(rules, cells, iterations):
    with jax.enable_x64(True):
        problem = partition(major_minor_game(rules), cells, "nearest")
        start = first_action(problem)
        return solve(problem, FictitiousPlay("plain"), iterations, start=start, keep=range(iterations + 1))


def test_sis_prints_what_the_authors_program_prints():
    found = paper_run(SIS(), 120, 9)
    expected = [76.56163795, 33.32357530, 17.70951879]
    np.testing.assert_allclose(found.exploitability.major[:3], expected, atol=1e-5)
    np.testing.assert_allclose(
        found.exploitability.minor[:3], [55.57940343, 9.75233904, 5.59835137], atol=1e-5
    )
    np.testing.assert_allclose(
        [found.value.minor[0], found.value.major[0]], [-94.799902, -253.206092], atol=1e-5
    )
    # Later iterations depend on the last bits of ties, so the third digit is what can be asked.
    np.testing.assert_allclose(found.exploitability.major[9], 17.175, rtol=1e-3)


def test_buffet_prints_what_the_authors_program_prints():
    found = paper_run(Buffet(), 10, 1)
    np.testing.assert_allclose(found.exploitability.major, [141.33499, 34.69016], atol=1e-5)
    np.testing.assert_allclose(found.exploitability.minor, [51.09882, 91.31665], atol=1e-5)
    np.testing.assert_allclose(found.value.minor, [94.2726, 102.7244], atol=1e-4)


def test_advertisement_prints_what_the_authors_program_prints():
    found = paper_run(Advertisement(), 120, 2)
    np.testing.assert_allclose(found.exploitability.major[0], 50.338, atol=1e-3)
    np.testing.assert_allclose(found.value.minor[0], 31.95302, atol=1e-4)


def by_loops(problem, policy):
    """E and E0 of the grid game by loops over everything, as the authors' program spells it."""
    locate = jax.jit(problem.grid.locate)
    game, points = problem.game, np.asarray(problem.grid.points)
    minor, major = (np.asarray(leaf, np.float64) for leaf in policy)
    tables = jax.jit(jax.vmap(lambda m: major_minor_tables(game, m)))(problem.grid.points)
    kernel, reward, kernel0, reward0 = (np.asarray(table) for table in tables)
    n_x, n_u, n_x0, n_u0 = game.n_states, game.n_actions, game.n_major_states, game.n_major_actions
    values = {"best": (0, 0), "own": (0, 0)}
    values = {k: (np.zeros((n_x, n_x0, len(points))), np.zeros((n_x0, len(points)))) for k in values}
    for t in reversed(range(game.horizon)):
        new = {k: (np.zeros_like(v[0]), np.zeros_like(v[1])) for k, v in values.items()}
        for m, point in enumerate(points):
            for x0 in range(n_x0):
                q = {k: np.zeros((n_x, n_u)) for k in values}
                q0 = {k: np.zeros(n_u0) for k in values}
                for u0 in range(n_u0):
                    after = sum(
                        point[x] * minor[t, x, x0, m, u] * kernel[m, x0, u0, x, u]
                        for x in range(n_x) for u in range(n_u)
                    )  # fmt: skip
                    index, weight = (np.asarray(a) for a in locate(jnp.asarray(after)))
                    for k, (v, v0) in values.items():
                        ahead = np.einsum("xzk,k,z->x", v[..., index], weight, kernel0[m, x0, u0])
                        q[k] += major[t, x0, m, u0] * (reward[m, x0, u0] + kernel[m, x0, u0] @ ahead)
                        q0[k][u0] = reward0[m, x0, u0] + kernel0[m, x0, u0] @ (v0[:, index] @ weight)
                new["best"][0][:, x0, m], new["best"][1][x0, m] = q["best"].max(-1), q0["best"].max()
                new["own"][0][:, x0, m] = (q["own"] * minor[t, :, x0, m]).sum(-1)
                new["own"][1][x0, m] = q0["own"] @ major[t, x0, m]
        values = new
    own, best = (problem.at_start(Players(*(jnp.asarray(v) for v in values[k]))) for k in ("own", "best"))
    return [float(b - o) for b, o in zip(best, own, strict=True)], [float(o) for o in own]


@pytest.mark.parametrize("projection", ["nearest", "barycentric"])
@pytest.mark.parametrize(
    "rules", [Advertisement(horizon=4), Buffet(horizon=2, levels=2, tables=3)], ids=["ad", "buffet"]
)
def test_one_sweep_agrees_with_loops(rules, projection):
    with jax.enable_x64(True):
        problem = partition(major_minor_game(rules), 3, projection)
        keys = jax.random.split(jax.random.key(0), 2)
        policy = Players(*(
            jax.random.dirichlet(key, jnp.ones(leaf.shape[-1]), leaf.shape[:-1])
            for key, leaf in zip(keys, problem.uniform(), strict=True)
        ))  # fmt: skip
        gap = measure(problem, policy)
        exploitability, value = by_loops(problem, policy)
    np.testing.assert_allclose(gap.exploitability, exploitability, atol=1e-9)
    np.testing.assert_allclose(gap.value, value, atol=1e-9)
    assert min(exploitability) > 1e-3


class Alone:
    """The epidemic without a government, told as a game with a major player who has nothing to do."""

    n_states, n_actions, n_major_states, n_major_actions, horizon = 2, 2, 1, 1, 20

    def __init__(self):
        self.plain = SusceptibleInfected(horizon=20)

    def start(self):
        return self.plain.start()

    def major_start(self):
        return jnp.ones(1)

    def next_state(self, state, action, mean_field, major_state, major_action):
        return self.plain.next_state(state, action, mean_field, 0)

    def reward(self, state, action, mean_field, major_state, major_action):
        return self.plain.reward(state, action, mean_field, 0)

    def major_next_state(self, major_state, major_action, mean_field):
        return jnp.ones(1)

    def major_reward(self, major_state, major_action, mean_field):
        return 0.0


jax.tree_util.register_static(Alone)


def test_a_major_player_with_nothing_to_do_is_the_plain_game():
    with jax.enable_x64(True):
        plain = FlowProblem(mean_field_game(SusceptibleInfected(horizon=20)))
        policy = plain.uniform()
        expected = measure(plain, policy)
        errors = []
        for cells in (20, 80, 320):
            problem = partition(major_minor_game(Alone()), cells)
            found = measure(problem, problem.uniform())
            errors.append(abs(float(found.exploitability.minor - expected.exploitability)))
            assert float(found.exploitability.major) == 0.0
            np.testing.assert_allclose(found.value.minor, expected.value, atol=0.05 * 20 / cells)
    # Interpolation errs by O(1/M²): sixteen times less for four times the cells.
    assert errors[0] < 0.1
    assert errors[2] < errors[0] / 50


def test_stackelberg_moves_one_side_at_a_time():
    problem = partition(major_minor_game(Advertisement(horizon=5)), 4)
    solver = StackelbergFictitiousPlay(inner=2)
    step = jax.jit(solver.step)
    state = solver.init(problem, problem.uniform())
    moved = []
    for _ in range(6):
        after = step(problem, state)
        moved.append([bool(jnp.any(a != b)) for a, b in zip(state.policy, after.policy, strict=True)])
        state = after
    assert moved == [[False, True], [True, False], [True, False]] * 2


def test_float32_and_float64_agree():
    single = partition(major_minor_game(SIS(horizon=30)), 30)
    assert single.kernel.dtype == jnp.float32
    gap32 = measure(single, single.uniform())
    with jax.enable_x64(True):
        double = partition(major_minor_game(SIS(horizon=30)), 30)
        assert double.kernel.dtype == jnp.float64
        gap64 = measure(double, double.uniform())
    np.testing.assert_allclose(gap32.value, gap64.value, rtol=1e-4)
