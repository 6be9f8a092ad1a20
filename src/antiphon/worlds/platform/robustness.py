"""Every condition against every pilot: the same episodes, flown under each, by one compiled program."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key
from scipy.optimize import linprog

from antiphon.core.errors import UserError
from antiphon.core.statistics import Interval, proportion
from antiphon.worlds.platform.controllers.controller import Controller
from antiphon.worlds.platform.disturbances import (
    Disturbances,
    Weather,
    find_disturbances,
    outside_wrench,
    physics_of,
)
from antiphon.worlds.platform.draws import Draws
from antiphon.worlds.platform.environment import PlatformEnvironment
from antiphon.worlds.platform.parameters import (
    VALVES,
    PlatformParams,
    allocation,
    nozzle_forces,
    planar,
    wrench,
    wrench_of_forces,
)
from antiphon.worlds.platform.plant import CONTROL_PERIOD, push
from antiphon.worlds.platform.protocol import AUTHORS, Motions, Protocol, judge, protocol_world
from antiphon.worlds.platform.reward import errors
from antiphon.worlds.platform.sight import interpolated
from antiphon.worlds.platform.state import PlatformState
from antiphon.worlds.platform.tasks import Target, Task

NOTHING = Disturbances()
"""No disturbance."""
CHUNK = 512
"""Episodes that are flown side by side; every flight has this many, so that it is compiled once."""


@dataclass(frozen=True)
class Condition:
    """Something that a platform may have to live with.

    Attributes:
        name: for tables.
        disturbances: drawn for each episode.
        dead: valves that are dead in all of them.
    """

    name: str
    disturbances: Disturbances = NOTHING
    dead: tuple[int, ...] = ()


MATRIX = (
    "nominal", "floor-0.25", "floor-0.5", "torque-0.1", "action-noise", "observation-noise", "velocity-noise",
    "failure-1", "failure-2", "failure-3", "mass", "centre-of-mass", "latency", "valve-delay", "all",
)  # fmt: skip
"""Names of the disturbances in the matrix; see `disturbances.DISTURBANCES`."""


def conditions(names: Sequence[str] = MATRIX) -> tuple[Condition, ...]:
    """Conditions by the names of disturbances.

    Raises:
        UserError: there is no such disturbance.
    """
    return tuple(Condition(name, find_disturbances(name)) for name in names)


SINGLES = tuple(Condition(f"dead {i}", dead=(i,)) for i in range(VALVES))
"""Each valve dead alone."""
PAIRS = tuple(Condition(f"dead {i}+{j}", dead=(i, j)) for i, j in combinations(range(VALVES), 2))
"""Each pair of valves dead."""


def spans(params: PlatformParams, dead: Sequence[int]) -> bool:
    """Whether the valves that are left can still push and turn a platform every way.

    They do if their wrenches span the three dimensions and a sum of them, each with a positive factor, is
    zero: then every wrench is such a sum.

    Args:
        params: figures of one platform.
        dead: valves that give nothing.
    """
    left = np.delete(np.asarray(allocation(params), float), list(dead), axis=1)
    if np.linalg.matrix_rank(left, tol=1e-6) < 3:
        return False
    feasible = linprog(np.zeros(left.shape[1]), A_eq=left, b_eq=np.zeros(3), bounds=(1.0, None))
    return feasible.status == 0


class Situation(NamedTuple):
    """N episodes before they are flown, each in a condition of its own.

    Attributes:
        state: where they begin.
        target: what is to be met.
        weather: what was drawn; nothing in it is None.
        noise: half-widths of what is seen and pushed wrongly: position m, heading rad, velocity m/s, angular
            velocity rad/s, each nozzle's force N, [N, 5].
    """

    state: PlatformState
    target: Target
    weather: Weather
    noise: Float[Any, "N 5"]


def situation(task: Task, condition: Condition, protocol: Protocol) -> Situation:
    """The episodes of a protocol under a condition; under all conditions they begin alike.

    Raises:
        UserError: a task that ends by passing or docking, which has other figures.
    """
    if task.passage:
        raise UserError(
            "task", f"{task.name} has no matrix of disturbances", "give a task that stays, such as go-to-pose"
        )
    world = protocol_world(PlatformEnvironment(task=task, disturbances=condition.disturbances), protocol)
    # The first of the three keys of `fly`, so that the episodes are the protocol's own. Not compiled: each
    # condition would be a program of its own.
    begun, _ = world.reset(jax.random.split(jax.random.key(protocol.seed), 3)[0], protocol.envs)
    drawn, envs, params = begun.weather, protocol.envs, world.params

    def filled(part: Any, *tail: int) -> Any:
        return np.zeros((envs, *tail), np.float32) if part is None else np.asarray(part)

    def still(part: Any, count: int) -> Any:
        # A wave of number zero and phase π/2 is 1 everywhere.
        if part is not None:
            return np.asarray(part)
        wave = np.zeros((envs, 2 * count), np.float32)
        wave[:, count:] = np.pi / 2
        return wave

    names = ("mass", "inertia", "com", "mask", "thrust", "nozzle_direction", "nozzle_position", "linear_drag",
             "angular_drag")  # fmt: skip
    nominal = {name: np.asarray(getattr(params, name), np.float32) for name in names}
    physics: dict[str, Any] = {
        name: np.array(np.broadcast_to(np.asarray(drawn.physics.get(name, one)), (envs, *one.shape)))
        for name, one in nominal.items()
    }
    physics["mask"][:, list(condition.dead)] = 0.0
    d = condition.disturbances
    sizes = [d.position_noise, d.heading_noise, d.velocity_noise, d.angular_velocity_noise, d.action_noise]
    return Situation(
        jax.tree.map(np.asarray, begun.state),
        jax.tree.map(np.asarray, begun.target),
        Weather(
            physics=physics,
            force=filled(drawn.force, 2),
            force_wave=still(drawn.force_wave, 2),
            torque=filled(drawn.torque),
            torque_wave=still(drawn.torque_wave, 1),
            valve_delay=filled(drawn.valve_delay),
            latency=filled(drawn.latency),
        ),
        np.tile(np.array(sizes, np.float32), (envs, 1)),
    )


def fly_situations(
    pilot: Controller,
    begun: Situation,
    steps: int,
    *,
    told: bool = False,
    seed: int = 0,
    watch: Callable[[int], object] | None = None,
) -> Motions:
    """Flies any number of episodes, `CHUNK` at a time; ``success`` and ``ended`` are not measured.

    Args:
        pilot: believes the plant to be the nominal one.
        begun: the episodes.
        steps: control steps of each.
        told: tell the pilot which valves are dead.
        seed: of the noise.
        watch: told how many episodes are done, after each chunk.
    """
    count = begun.noise.shape[0]
    flown = []
    for number, first in enumerate(range(0, count, CHUNK)):
        rows = (
            np.arange(first, first + CHUNK) % count
        )  # the last chunk is filled up with episodes flown already
        part = jax.tree.map(lambda leaf, rows=rows: leaf[rows], begun)
        key = jax.random.fold_in(jax.random.key(seed), number)
        flown.append(jax.tree.map(np.asarray, _flown(planar(), pilot, part, key, steps, told)))
        if watch is not None:
            watch(min(first + CHUNK, count))
    return Motions(*(np.concatenate(parts, axis=1)[:, :count] for parts in zip(*flown, strict=True)))


@partial(jax.jit, static_argnums=(4, 5))
def _flown(
    params: PlatformParams, pilot: Controller, begun: Situation, key: Key[Array, ""], steps: int, told: bool
) -> Motions:
    state, target, weather, noise = begun
    physics = physics_of(weather, params)
    envs = noise.shape[0]
    known = params
    if told:
        known = dataclasses.replace(params, mask=physics.mask)
    latency, delay = weather.latency, weather.valve_delay
    assert latency is not None
    assert delay is not None
    share = 1 - latency / CONTROL_PERIOD

    def look(before: PlatformState, after: PlatformState, draws: Draws) -> PlatformState:
        seen = interpolated(before, after, share)
        return PlatformState(
            seen.position + noise[:, :1] * draws.columns(2, 1.0),
            seen.heading + noise[:, 1] * draws.symmetric(1.0),
            seen.velocity + noise[:, 2:3] * draws.columns(2, 1.0),
            seen.angular_velocity + noise[:, 3] * draws.symmetric(1.0),
        )

    def step(carry: tuple, key: Array) -> tuple[tuple, Motions]:
        before, memory, seen, opened = carry
        draws = Draws(key, envs)
        valves, memory = pilot.act(known, memory, seen, target)
        valves = jnp.asarray(valves, jnp.float32)
        forces = nozzle_forces(physics, valves) + physics.mask * noise[:, 4:] * draws.columns(VALVES, 1.0)
        outside = outside_wrench(weather, before)
        late = push(physics, before, wrench(physics, opened), outside, delay)
        after = push(physics, late, wrench_of_forces(physics, forces), outside, CONTROL_PERIOD - delay)
        error, nothing = errors(after, target), jnp.zeros(envs)
        motions = Motions(
            error.position, error.heading, error.velocity, error.angular_velocity,
            jnp.abs(after.angular_velocity), jnp.mean(valves, -1), nothing, nothing > 0,
        )  # fmt: skip
        return (after, memory, look(before, after, draws), valves), motions

    key_first, key_steps = jax.random.split(key)
    first = look(state, state, Draws(key_first, envs))
    carry = (state, pilot.start(known, envs), first, jnp.zeros((envs, VALVES)))
    return jax.lax.scan(step, carry, jax.random.split(key_steps, steps))[1]


@dataclass(frozen=True)
class Row:
    """What one pilot did.

    Attributes:
        pilot: its name.
        episodes: of each condition.
        pattern_episodes: of each pattern of dead valves.
        figures: of each condition, see `protocol.judge`; ``failure-2`` is there three times, also as
            ``failure-2 spanning`` and ``failure-2 not spanning``.
        dead: share of episodes that come within 2 cm for each pattern of dead valves (for tasks without a
            place: fraction of time within 0.15 m/s).
        told: whether the pilot was told which valves are dead.
    """

    pilot: str
    episodes: int
    pattern_episodes: int
    figures: dict[str, dict[str, Interval]]
    dead: dict[tuple[int, ...], Interval]
    told: bool = False


def robustness_row(
    name: str,
    pilot: Controller,
    task: Task,
    chosen: Sequence[Condition],
    protocol: Protocol = AUTHORS,
    *,
    pattern_episodes: int = 64,
    told: bool = False,
    watch: Callable[[int, int], object] | None = None,
) -> Row:
    """One pilot under every condition, and under every pattern of one and two dead valves.

    Args:
        name: of the pilot.
        pilot: flies.
        task: one that stays.
        chosen: conditions.
        protocol: how many episodes of each, how long, from where.
        pattern_episodes: of each of the 8 single and 28 double failures; 0 leaves them out.
        told: tell the pilot which valves are dead.
        watch: told how many of how many episodes are done.

    Raises:
        UserError: a task that passes or docks.
    """
    short = Protocol(
        protocol.name, max(pattern_episodes, 1), protocol.steps, protocol.distance, protocol.seed
    )
    patterns = (*SINGLES, *PAIRS) if pattern_episodes else ()
    parts = [situation(task, one, protocol) for one in chosen]
    parts += [situation(task, one, short) for one in patterns]
    begun = jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)
    total = begun.noise.shape[0]
    say = None if watch is None else (lambda done: watch(done, total))
    motions = fly_situations(pilot, begun, protocol.steps, told=told, seed=protocol.seed, watch=say)
    pieces = _pieces(motions, [part.noise.shape[0] for part in parts])
    figures = {one.name: judge(task, next(pieces), resamples=1000) for one in chosen}
    by_pattern = {one.dead: next(pieces) for one in patterns}
    if patterns:
        pairs = {dead: spans(planar(), dead) for dead in by_pattern if len(dead) == 2}
        for label, kept in (("failure-2 spanning", True), ("failure-2 not spanning", False)):
            flights = [by_pattern[dead] for dead, whole in pairs.items() if whole is kept]
            together = Motions(*(np.concatenate(group, axis=1) for group in zip(*flights, strict=True)))
            figures[label] = judge(task, together, resamples=1000)
    dead = {pattern: _arrives(task, flown) for pattern, flown in by_pattern.items()}
    return Row(name, protocol.envs, pattern_episodes, figures, dead, told)


def _pieces(motions: Motions, sizes: Sequence[int]) -> Iterator[Motions]:
    edges = np.cumsum(sizes)[:-1]
    yield from (Motions(*part) for part in zip(*(np.split(m, edges, axis=1) for m in motions), strict=True))


def _arrives(task: Task, motions: Motions) -> Interval:
    if task.position:
        near = np.asarray(motions.position_error).min(0) < 0.02
        return proportion(int(near.sum()), near.size)
    return judge(task, motions, resamples=200)["VT"]
