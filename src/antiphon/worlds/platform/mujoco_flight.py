"""A pilot flown in MuJoCo, unchanged: the protocol's own episodes under somebody else's physics."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from antiphon.core.errors import UserError
from antiphon.worlds.platform.controllers.controller import Controller
from antiphon.worlds.platform.disturbances import Disturbances
from antiphon.worlds.platform.environment import PlatformEnvironment
from antiphon.worlds.platform.mujoco_twin import MujocoTwin
from antiphon.worlds.platform.parameters import PlatformParams
from antiphon.worlds.platform.plant import advance
from antiphon.worlds.platform.protocol import AUTHORS, Motions, Protocol, protocol_world
from antiphon.worlds.platform.reward import errors
from antiphon.worlds.platform.state import PlatformState


def fly_in_mujoco(
    environment: PlatformEnvironment, pilot: Controller, protocol: Protocol = AUTHORS
) -> Motions:
    """The episodes that `protocol.fly` flies, moved by one MuJoCo model each; ``success`` is not measured.

    Args:
        environment: task and plant; nothing may disturb it.
        pilot: sees the exact state.
        protocol: how many, how long, from where.

    Raises:
        UserError: disturbances, a passage, batched figures, or no MuJoCo.
    """
    if environment.disturbances != Disturbances() or environment.estimator is not None:
        raise UserError("disturbance", "MuJoCo flies the undisturbed plant", "leave disturbances away")
    if environment.task.passage:
        raise UserError("task", f"{environment.task.name} is not judged in MuJoCo", "fly a task that stays")
    world, key = protocol_world(environment, protocol), jax.random.key(protocol.seed)
    # The first of the three keys of `fly`, so that the episodes are the same.
    begun, _ = jax.jit(world.reset, static_argnums=1)(jax.random.split(key, 3)[0], protocol.envs)
    state, target = jax.tree.map(np.asarray, (begun.state, begun.target))
    twins = [MujocoTwin(environment.params) for _ in range(protocol.envs)]
    for row, twin in enumerate(twins):
        twin.place(_row(state, row))
    act = jax.jit(pilot.act)
    memory = jax.jit(pilot.start, static_argnums=1)(environment.params, protocol.envs)
    states, opened = [], []
    for _ in range(protocol.steps):
        valves, memory = act(environment.params, memory, state, target)
        valves = np.asarray(valves)
        moved = [twin.advance(row) for twin, row in zip(twins, valves, strict=True)]
        state = PlatformState(*(np.asarray(np.stack(part), np.float32) for part in zip(*moved, strict=True)))
        states.append(state)
        opened.append(valves.mean(-1))
    flown = PlatformState(*(np.stack(part) for part in zip(*states, strict=True)))
    error = jax.tree.map(np.asarray, jax.jit(errors)(flown, target))
    nothing = np.zeros(flown.heading.shape, np.float32)
    return Motions(
        error.position, error.heading, error.velocity, error.angular_velocity,
        np.abs(flown.angular_velocity), np.stack(opened), nothing, nothing > 0,
    )  # fmt: skip


def open_loop_gap(params: PlatformParams, valves: Bool[np.ndarray, "T 8"]) -> Float[np.ndarray, " T"]:
    """How far the two simulators are apart after each step of given valves, from rest, in float64.

    The largest difference of x m, y m and heading rad.

    Raises:
        UserError: batched figures, or no MuJoCo.
    """
    twin = MujocoTwin(params)
    rest = PlatformState(np.zeros(2), np.zeros(()), np.zeros(2), np.zeros(()))
    twin.place(rest)
    theirs = [state for row in valves if isinstance(state := twin.advance(row), PlatformState)]
    with jax.enable_x64():
        exact = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), dataclasses.replace(params))

        def step(state: PlatformState, row: jax.Array) -> tuple[PlatformState, PlatformState]:
            state = advance(exact, state, row)
            return state, state

        begun = jax.tree.map(lambda part: jnp.asarray(part, jnp.float64), rest)
        _, ours = jax.jit(lambda rows: jax.lax.scan(step, begun, rows))(jnp.asarray(valves, jnp.float64))
        ours = jax.tree.map(np.asarray, ours)
    position = np.stack([one.position for one in theirs]) - ours.position
    heading = np.stack([one.heading for one in theirs]) - ours.heading
    return np.abs(np.column_stack([position, heading])).max(-1)


def _row(state: PlatformState, row: int) -> PlatformState:
    return PlatformState(*(part[row] for part in state))
