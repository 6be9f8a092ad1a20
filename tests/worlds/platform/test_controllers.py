"""The classical controllers: against solvers of others, against the plant, and in closed loop."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import solve_discrete_are

from antiphon.core.errors import UserError
from antiphon.worlds.platform.controllers import (
    POSE,
    LqrObserver,
    LqrPattern,
    LqrRound,
    Mpc,
    Pid,
    Weights,
    weights_for,
)
from antiphon.worlds.platform.controllers.cost_to_go import CostToGo, Errors, cost_to_go, errors_of
from antiphon.worlds.platform.controllers.named import CONTROLLERS, find_controller
from antiphon.worlds.platform.controllers.patterns import PATTERNS, after, pattern_table
from antiphon.worlds.platform.parameters import planar
from antiphon.worlds.platform.plant import advance
from antiphon.worlds.platform.state import PlatformState, Wrench
from antiphon.worlds.platform.tasks import TASKS, Target, find_task

DT = 0.2
ENVS = 8

# Rows fx, fy, torque; written out again, because what is checked must not check itself.
_S = np.sqrt(0.5)
ALLOCATION = np.array(
    [
        _S * np.array([1, -1, 1, -1, -1, 1, -1, 1]),
        _S * np.array([-1, 1, 1, -1, 1, -1, -1, 1]),
        0.31 * np.array([-1, 1, -1, 1, -1, 1, -1, 1]),
    ]
)


def spawned(envs=ENVS, seed=0):
    rng = np.random.default_rng(seed)
    bearing, away = rng.uniform(-np.pi, np.pi, envs), rng.uniform(1.0, 2.0, envs)
    nothing = jnp.zeros((envs, 2))
    return PlatformState(
        jnp.asarray(away[:, None] * np.stack([np.cos(bearing), np.sin(bearing)], -1), jnp.float32),
        jnp.asarray(rng.uniform(-np.pi, np.pi, envs), jnp.float32),
        nothing,
        nothing[:, 0],
    )


def towards(envs=ENVS, **fields):
    still = Target(jnp.zeros((envs, 2)), jnp.full(envs, 0.5), jnp.zeros((envs, 2)), jnp.zeros(envs))
    return still._replace(**fields)


def flown(controller, state, target, *, plant=None, known=None, steps=200):
    """States after each step, and valves; the controller may believe in another plant than there is."""
    plant = planar() if plant is None else plant
    known = plant if known is None else known

    @jax.jit
    def run(controller, known, plant, state, target):
        def step(carry, _):
            state, memory = carry
            valves, memory = controller.act(known, memory, state, target)
            state = advance(plant, state, valves)
            return (state, memory), (state, valves)

        memory = controller.start(known, state.heading.shape[0])
        return jax.lax.scan(step, (state, memory), length=steps)[1]

    return run(controller, known, plant, state, target)


tabled = jax.jit(pattern_table)
moved = jax.jit(advance)


def decided(controller, params, state, target):
    """The first decision of an episode, and the memory after it."""

    @jax.jit
    def decide(controller, params, state, target):
        memory = controller.start(params, state.heading.shape[0])
        return *controller.act(params, memory, state, target), memory

    return decide(controller, params, state, target)


def distances(states):
    return np.linalg.norm(np.asarray(states.position), axis=-1)


# The cost-to-go.


def double_integrator(inertia):
    return np.array([[1.0, DT], [0.0, 1.0]]), np.array([[0.5 * DT**2], [DT]]) / inertia


@pytest.mark.parametrize(("weights", "effort"), [(POSE, 0.3), (Weights(1.0, 1.0, 1.0, 1.0), 1.0)])
def test_cost_to_go_solves_the_riccati_equation_of_scipy(weights, effort):
    params = planar()
    value = jax.jit(cost_to_go, static_argnums=(2, 3))(params, weights, effort, DT)
    prices = [(weights.position, weights.velocity)] * 2 + [(weights.heading, weights.angular_velocity)]
    for axis, (inertia, price) in enumerate(zip([5.32, 5.32, 0.4 * 5.32 * 0.31**2], prices, strict=True)):
        p = solve_discrete_are(*double_integrator(inertia), np.diag(price), [[effort]])
        ours = [value.place[axis], value.cross[axis], value.rate[axis]]
        np.testing.assert_allclose(ours, [p[0, 0], p[0, 1], p[1, 1]], rtol=2e-4)


def test_a_place_without_a_price_has_no_cost_to_go():
    value = jax.jit(cost_to_go, static_argnums=(2, 3))(planar(), Weights(position=0.0), 0.3, DT)
    np.testing.assert_array_equal(np.asarray(value.place[:2]), 0.0)
    np.testing.assert_array_equal(np.asarray(value.cross[:2]), 0.0)
    # What is left is one number: p = q + p − p² b² / (r + p b²), b = Δt / m.
    b, q, r = DT / 5.32, 0.5, 0.3
    np.testing.assert_allclose(value.rate[:2], 0.5 * (q + np.sqrt(q**2 + 4 * q * r / b**2)), rtol=1e-4)
    assert value.place[2] > 0


def test_errors_go_the_short_way_round():
    state = spawned(2)._replace(heading=jnp.array([3.0, -3.0]))
    place, _ = errors_of(state, towards(2, heading=jnp.array([-3.0, 3.0])))
    np.testing.assert_allclose(place[:, 2], [6.0 - 2 * np.pi, 2 * np.pi - 6.0], atol=1e-5)


# The table of patterns.


def test_pattern_table_is_the_wrench_of_every_pattern():
    table = tabled(planar())
    shared = np.maximum(1, PATTERNS.sum(-1, keepdims=True))
    inertia = np.array([5.32, 5.32, 0.4 * 5.32 * 0.31**2])
    np.testing.assert_allclose(
        table.acceleration, (PATTERNS / shared) @ ALLOCATION.T / inertia, rtol=1e-5, atol=1e-6
    )
    np.testing.assert_array_equal(np.asarray(table.open), PATTERNS.sum(-1))


def test_a_dead_valve_neither_pushes_nor_takes_a_share():
    mask = np.ones((2, 8), np.float32)
    mask[1, 3] = 0.0
    table = tabled(dataclasses.replace(planar(), mask=jnp.asarray(mask)))
    kept = PATTERNS & (mask[1] > 0)
    whole = tabled(planar())
    number = (kept << np.arange(8)).sum(-1)
    np.testing.assert_allclose(table.acceleration[0], whole.acceleration, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        table.acceleration[1], np.asarray(whole.acceleration)[number], rtol=1e-5, atol=1e-6
    )
    np.testing.assert_array_equal(np.asarray(table.open[1]), kept.sum(-1))


def test_looking_ahead_agrees_with_the_plant():
    state = spawned()._replace(
        velocity=jnp.asarray(np.random.default_rng(1).normal(size=(ENVS, 2)) * 0.2, jnp.float32),
        angular_velocity=jnp.linspace(-0.3, 0.3, ENVS),
    )
    target = towards()
    chosen = np.random.default_rng(2).integers(0, 256, ENVS)
    push = tabled(planar()).acceleration[chosen]
    ahead = after(errors_of(state, target), push, state.heading + 0.1 * state.angular_velocity, DT)
    true = errors_of(moved(planar(), state, jnp.asarray(PATTERNS[chosen])), target)
    np.testing.assert_allclose(ahead.place, true.place, atol=2e-4)
    np.testing.assert_allclose(ahead.rate, true.rate, atol=2e-3)


def test_lqr_pattern_opens_the_cheapest_of_all_patterns():
    state, target, params = spawned(), towards(), planar()
    valves, _, plan = decided(LqrPattern(), params, state, target)
    everywhere = jax.tree.map(lambda part: jnp.repeat(part, 256, axis=0), state)
    nexts = moved(params, everywhere, jnp.tile(jnp.asarray(PATTERNS), (ENVS, 1)))
    goals = jax.tree.map(lambda part: jnp.repeat(part, 256, axis=0), target)
    costs = np.asarray(plan.value(errors_of(nexts, goals))).reshape(ENVS, 256)
    number = (np.asarray(valves) << np.arange(8)).sum(-1)
    np.testing.assert_allclose(costs[np.arange(ENVS), number], costs.min(-1), rtol=1e-4)


# The authors' allocation.


def test_lqr_round_has_the_gains_of_scipy():
    params, controller = planar(), LqrRound()
    eye, zero = np.eye(3), np.zeros((3, 3))
    a = np.block([[eye, DT * eye], [zero, eye]])
    columns = ALLOCATION / np.array([5.32, 5.32, 0.4 * 5.32 * 0.31**2])[:, None]
    b = np.concatenate([0.5 * DT**2 * columns, DT * columns])
    q = np.diag([1.0, 1.0, 0.25, 5.0, 5.0, 1.0])
    p = solve_discrete_are(a, b, q, 0.01 * np.eye(8))
    expected = np.linalg.solve(0.01 * np.eye(8) + b.T @ p @ b, b.T @ p @ a)
    gains = jax.jit(controller.start, static_argnums=1)(params, 1).gains
    np.testing.assert_allclose(gains, expected, rtol=1e-2, atol=1e-2 * np.abs(expected).max())


# In closed loop.

# Controller, m, rad. One pulse of one valve turns the platform by 0.3 rad/s, so that who rounds to whole
# pulses swings about the target; the look-ahead alone finds the patterns that push gently.
REACHES = {
    "lqr-pattern": (LqrPattern(), 0.02, 0.06),
    "mpc": (Mpc(horizon=5, samples=24, rounds=1), 0.02, 0.06),
    "pid": (Pid(), 0.05, 0.35),
    "lqr-round": (LqrRound(), 0.15, 1.0),
}


@pytest.mark.parametrize("name", REACHES)
def test_a_pose_is_reached_and_held(name):
    controller, near, straight = REACHES[name]
    states, _ = flown(controller, spawned(), towards())
    assert distances(states).min(0).max() < 0.06
    assert distances(states)[-25:].max() < near
    turned = np.abs(np.angle(np.exp(1j * (np.asarray(states.heading)[-25:] - 0.5))))
    assert turned.max() < straight


@pytest.mark.parametrize(
    "controller",
    [LqrPattern(), Mpc(horizon=3, samples=16, rounds=1, mutation=0.5), Pid(), LqrRound()],
    ids=lambda c: type(c).__name__,
)
def test_a_valve_that_is_known_to_be_dead_is_never_opened(controller):
    mask = np.ones((ENVS, 8), np.float32)
    mask[np.arange(ENVS), np.arange(ENVS) % 8] = 0.0  # another one on every platform
    plant = dataclasses.replace(planar(), mask=jnp.asarray(mask))
    states, valves = flown(controller, spawned(), towards(), plant=plant)
    assert not np.asarray(valves)[:, mask == 0].any()
    assert np.asarray(valves).any(axis=(0, 2)).all()
    if isinstance(controller, LqrPattern):
        assert distances(states)[-1].max() < 0.02


def test_each_platform_may_be_known_to_have_its_own_figures():
    heavy = jnp.linspace(4.0, 7.0, ENVS)
    own = dataclasses.replace(planar(), mass=heavy, inertia=heavy * 0.04)
    controller = LqrPattern()
    valves, *_ = decided(controller, own, spawned(), towards())
    for row in (0, ENVS - 1):
        one = planar(mass=float(heavy[row]), inertia=float(heavy[row]) * 0.04)
        state, target = (
            jax.tree.map(lambda part, i=row: part[i : i + 1], it) for it in (spawned(), towards())
        )
        alone, *_ = decided(controller, one, state, target)
        np.testing.assert_array_equal(valves[row], alone[0])


def test_dearer_valves_save_air():
    _, free = flown(LqrPattern(), spawned(), towards())
    _, dear = flown(LqrPattern(valve_price=3e-3), spawned(), towards())
    assert np.mean(dear) < 0.9 * np.mean(free)


def test_a_velocity_is_followed():
    task = find_task("track-xy-velocity")
    speed = jnp.tile(jnp.array([0.2, -0.1]), (ENVS, 1))
    states, _ = flown(LqrPattern(weights_for(task)), spawned(), towards(velocity=speed), steps=100)
    error = np.linalg.norm(np.asarray(states.velocity - speed)[-30:], axis=-1)
    assert error.mean() < 0.03
    assert np.abs(np.asarray(states.angular_velocity)[-1]).max() < 0.3


def test_mpc_is_never_dearer_than_the_lqr_it_starts_from():
    state, target, params = spawned(), towards(), planar()
    _, found, memory = decided(Mpc(horizon=4, samples=16, rounds=1), params, state, target)
    greedy = decided(Mpc(horizon=4, samples=0, rounds=1), params, state, target)[1].sequence

    @jax.jit
    def cost(sequence):
        where, total = state, 0.0
        for k in range(4):
            where = advance(params, where, jnp.asarray(PATTERNS)[sequence[:, k]])
            place, rate = errors_of(where, target)
            q_rate = np.array([0.5, 0.5, 0.1])
            total = total + jnp.sum(place**2 + q_rate * rate**2, -1)
        return total + memory.plan.value(errors_of(where, target))

    assert (cost(found.sequence) <= cost(greedy) * (1 + 1e-3)).all()
    assert (cost(found.sequence) < cost(greedy) * (1 - 1e-4)).any()


def test_an_observer_finds_the_push_and_leaves_no_offset():
    params, target = planar(), towards()
    wind = Wrench(jnp.tile(jnp.array([0.2, -0.1]), (ENVS, 1)), jnp.full(ENVS, 0.02))

    @jax.jit
    def run(controller):
        def step(carry, _):
            state, memory = carry
            valves, memory = controller.act(params, memory, state, target)
            return (advance(params, state, valves, wind), memory), state

        start = (spawned(), controller.start(params, ENVS))
        (_, memory), states = jax.lax.scan(step, start, length=200)
        return states, memory

    states, memory = run(LqrObserver())
    assert distances(states)[-25:].max() < 0.02
    push = np.array([0.2 / 5.32, -0.1 / 5.32, 0.02 / (0.4 * 5.32 * 0.31**2)])
    np.testing.assert_allclose(memory.push, np.tile(push, (ENVS, 1)), rtol=0.1, atol=1e-3)
    without, _ = run(LqrPattern())
    assert distances(without)[-25:].mean() > 2 * distances(states)[-25:].mean()


def test_controllers_have_names():
    pose, still = find_task("go-to-pose"), find_task("track-xy-velocity")
    assert find_controller("lqr", pose) == LqrPattern()
    assert find_controller("lqr-observer", pose) == LqrObserver(LqrPattern(valve_price=1e-4))
    assert find_controller("mpc", pose) == Mpc()
    assert find_controller("pid", still) == Pid(holds_position=False, holds_heading=False)
    assert find_controller("lqr-round", pose) == LqrRound()
    for name in CONTROLLERS:
        assert find_controller(name, still) != find_controller(name, pose)
    with pytest.raises(UserError, match="did you mean 'lqr-saving'"):
        find_controller("lqr-savin", pose)


def test_tasks_price_what_their_targets_fix():
    for task in TASKS:
        weights = weights_for(task)
        assert (weights.position > 0) == task.position
        assert (weights.heading > 0) == task.heading
    assert weights_for(find_task("go-to-pose")) == POSE


def test_a_value_is_quadratic():
    value = CostToGo(jnp.array([1.0, 2.0, 3.0]), jnp.array([0.5, 0.0, 0.0]), jnp.array([1.0, 1.0, 4.0]))
    errors = Errors(jnp.array([1.0, -1.0, 2.0]), jnp.array([2.0, 0.0, 1.0]))
    assert float(value(errors)) == pytest.approx(1 + 2 + 12 + 2 * 0.5 * 2 + 4 + 4)
