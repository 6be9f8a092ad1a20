"""How a policy or a controller is judged: many episodes side by side, and how much of their time is near."""

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Key

from antiphon.core.errors import UserError
from antiphon.core.statistics import Interval, bootstrap, proportion
from antiphon.worlds.platform.controllers.controller import Controller
from antiphon.worlds.platform.disturbances import noisy, physics_of
from antiphon.worlds.platform.draws import Draws
from antiphon.worlds.platform.environment import EnvState, PlatformEnvironment
from antiphon.worlds.platform.observation import observation_size, observe
from antiphon.worlds.platform.parameters import VALVES, PlatformParams, valve_effects
from antiphon.worlds.platform.plant import CONTROL_PERIOD
from antiphon.worlds.platform.policy_file import Layer, PlatformPolicy, require_plant
from antiphon.worlds.platform.sight import interpolated
from antiphon.worlds.platform.state import PlatformState
from antiphon.worlds.platform.tasks import Target, Task, nearest
from antiphon.worlds.platform.valve_belief import Recollection, ValveFilter

_STAY = 7.5  # how many times the tolerance within which somebody who has been there may roam


@dataclass(frozen=True)
class Protocol:
    """How many episodes, how long, and where they begin.

    Attributes:
        name: for tables.
        envs: episodes side by side.
        steps: control steps of each.
        distance: least and greatest distance at which episodes of going to a place begin, m; None for the
            task's own. Passages and docks keep theirs. All but passages begin at rest.
        seed: of spawns, disturbances and noise.
    """

    name: str = "authors"
    envs: int = 256
    steps: int = 250
    distance: tuple[float, float] | None = (3.0, 4.0)
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("envs", "steps"):
            if getattr(self, name) < 1:
                raise UserError("usage", f"{getattr(self, name)} {name} measure nothing", "give at least 1")


AUTHORS = Protocol()
"""Of arXiv 2310.04266, its program of evaluation: 256 episodes of 50 s from 3 to 4 m, at rest."""
TRAINING = Protocol("training", distance=None)
"""The same, from where training episodes begin."""
PROTOCOLS = (AUTHORS, TRAINING)


def find_protocol(name: str) -> Protocol:
    """The protocol of a name.

    Raises:
        UserError: there is none; the nearest are offered.
    """
    for one in PROTOCOLS:
        if one.name == name:
            return one
    raise UserError("usage", f"there is no protocol {name!r}", nearest(name, [one.name for one in PROTOCOLS]))


class Motions(NamedTuple):
    """What was flown, after each control step, [T, N].

    Attributes:
        position_error: m.
        heading_error: rad.
        velocity_error: m/s.
        angular_velocity_error: rad/s.
        angular_speed: |ω|, rad/s.
        air_use: share of the valves that were open.
        success: 1 where within the task's tolerance, or passed.
        ended: whether the episode was over: passed, hit or lost.
    """

    position_error: Float[Any, "T N"]
    heading_error: Float[Any, "T N"]
    velocity_error: Float[Any, "T N"]
    angular_velocity_error: Float[Any, "T N"]
    angular_speed: Float[Any, "T N"]
    air_use: Float[Any, "T N"]
    success: Float[Any, "T N"]
    ended: Bool[Any, "T N"]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class PolicyPilot:
    """A trained policy as a :class:`Controller`; nothing is drawn, and of the plant it knows the nominal.

    Weights are leaves, so policies of one shape share one compiled program. A policy of the adaptive
    observation remembers what it has found out about its valves, and may be told which ones are dead.

    Attributes:
        layers: weights and biases, as in the policy file.
        observation: the layout that it reads.
        order: where each of the platform's valves stands among the policy's outputs.
        task: what it is to do.
        valve_filter: what finds out, for the adaptive observation.
    """

    layers: tuple[Layer, ...]
    observation: str = field(metadata={"static": True})
    order: tuple[int, ...] = field(metadata={"static": True})
    task: Task = field(metadata={"static": True})
    valve_filter: ValveFilter = field(default=ValveFilter(), metadata={"static": True})

    @staticmethod
    def of(policy: PlatformPolicy, task: Task) -> "PolicyPilot":
        """A policy at a task.

        Raises:
            UserError: its observation is of another size than ours.
        """
        size, layout = policy.observation_size, policy.metadata.observation
        if size != observation_size(layout):
            raise UserError(
                "policy",
                f"the policy reads {size} numbers, the {layout} observation has {observation_size(layout)}",
                "train it again with this version of antiphon",
            )
        order = tuple(int(place) for place in np.argsort(policy.metadata.valve_map))
        return PolicyPilot(policy.layers, layout, order, task, policy.valve_filter)

    def start(self, params: PlatformParams, envs: int) -> Recollection | None:
        """Nothing found out yet; without the adaptive observation there is nothing to remember."""
        if self.observation != "adaptive":
            return None
        return self.valve_filter.begin(jnp.broadcast_to(params.mask, (envs, VALVES)).astype(jnp.float32))

    def act(
        self, params: PlatformParams, memory: Recollection | None, state: PlatformState, target: Target
    ) -> tuple[Bool[Array, "N 8"], Recollection | None]:
        """The likelier half of each valve, in the platform's order; those known to be dead stay shut."""
        if memory is not None:
            memory = self.valve_filter.see(
                memory, valve_effects(params), params.split_thrust, state, CONTROL_PERIOD
            )
            # Left alone, XLA computes the update once for each number that is made of it.
            memory = jax.lax.optimization_barrier(memory)
        belief = None if memory is None else memory.belief
        hidden = jnp.asarray(observe(self.observation, self.task, state, target, belief), jnp.float32)
        for weight, bias in self.layers[:-1]:
            hidden = jnp.tanh(hidden @ weight + bias)
        weight, bias = self.layers[-1]
        valves = (hidden @ weight + bias > 0)[..., np.array(self.order)] & (params.mask > 0)
        return valves, None if memory is None else memory._replace(valves=valves.astype(jnp.float32))


def pilot_of(policy: PlatformPolicy, environment: PlatformEnvironment) -> PolicyPilot:
    """A policy at the task of an environment.

    Raises:
        UserError: it is for another valve layout or observation.
    """
    observation_size(policy.metadata.observation)  # refuses those of the platform in space, by that name
    params = environment.params
    require_plant(policy, np.asarray(params.nozzle_position), np.asarray(params.nozzle_direction))
    return PolicyPilot.of(policy, environment.task)


def fly(
    environment: PlatformEnvironment, pilot: Controller, protocol: Protocol = AUTHORS, *, told: bool = False
) -> Motions:
    """Flies all episodes of a protocol, deterministically but for what the environment draws.

    Episodes are never begun anew: who passes, hits or is lost flies on, and ``ended`` says so.

    Args:
        environment: task, plant and disturbances; where episodes begin is the protocol's business.
        pilot: believes the plant to be the nominal one.
        protocol: how many, how long, from where.
        told: tell the pilot which valves are dead.
    """
    world = protocol_world(environment, protocol)
    key = jax.random.key(protocol.seed)
    return Motions(
        *(np.asarray(part) for part in _flown(world, pilot, key, protocol.envs, protocol.steps, told))
    )


def protocol_world(environment: PlatformEnvironment, protocol: Protocol) -> PlatformEnvironment:
    """The environment with episodes that begin where the protocol says, and are never begun anew."""
    task, own = environment.task, environment.spawn or environment.task.spawn
    spawn = own if task.passage else dataclasses.replace(own, speed=0.0, angular_speed=0.0)
    if task.position and not task.passage and protocol.distance is not None:
        spawn = dataclasses.replace(spawn, distance=protocol.distance)
    return dataclasses.replace(
        environment, spawn=spawn, episode_steps=protocol.steps + 1, stagger=False, auto_reset=False
    )


def _flown(
    world: PlatformEnvironment, pilot: Controller, key: Key[Array, ""], envs: int, steps: int, told: bool
) -> Motions:
    key_reset, key_sight, key_steps = jax.random.split(key, 3)
    begun, _ = world.reset(key_reset, envs)
    known = world.params
    if told:
        known = dataclasses.replace(known, mask=physics_of(begun.weather, known).mask)

    def step(carry: tuple, key: Key[Array, ""]) -> tuple[tuple, Motions]:
        env_state, memory, seen = carry
        valves, memory = pilot.act(known, memory, seen, env_state.target)
        key_world, key_sight = jax.random.split(key)
        going, result = world.step(env_state, valves, key_world)
        error = result.metrics
        motions = Motions(
            error["position_error"], error["heading_error"], error["velocity_error"],
            error["angular_velocity_error"], jnp.abs(going.state.angular_velocity), error["air_use"],
            error["success"], result.terminated,
        )  # fmt: skip
        return (going, memory, shown(world, env_state, going, key_sight)), motions

    first = shown(world, begun, begun, key_sight)
    carry = (begun, pilot.start(known, envs), first)
    return jax.lax.scan(step, carry, jax.random.split(key_steps, steps))[1]


_flown = jax.jit(_flown, static_argnums=(3, 4, 5))


def shown(
    world: PlatformEnvironment, before: EnvState, after: EnvState, key: Key[Array, ""]
) -> PlatformState:
    """What a pilot is shown of a step: the filter's belief, or the motion, late and noisy.

    Args:
        world: whose sensors they are.
        before: the step.
        after: it.
        key: of the noise.
    """
    if after.belief is not None and before.belief is not None:
        was, seen = before.belief.state(), after.belief.state()
    else:
        was, seen = before.state, after.state
    latency = after.weather.latency
    if latency is not None:
        seen = interpolated(was, seen, 1 - latency / CONTROL_PERIOD)
    if world.disturbances.noisy_sight and world.estimator is None:
        seen = noisy(world.disturbances, seen, Draws(key, seen.heading.shape[0]))
    return seen


def judge(task: Task, motions: Motions, resamples: int = 2000) -> dict[str, Interval]:
    """The figures of a protocol with 95 % intervals; those that a task has no use for are left out.

    Fractions of time, over all steps of all episodes, so that the way there counts against a pilot: ``PT5``,
    ``PT2``, ``PT1`` within 5, 2, 1 cm; ``OT5``, ``OT2``, ``OT1`` within 5, 2, 1 degrees. Means: ``air_use``
    (share of valves open), ``angular_speed`` (rad/s). Shares of episodes: ``ever_2cm``, ``ever_1cm``; and
    ``stay``: comes within 2 cm and is never more than 15 cm away afterwards. Velocity tasks have ``VT``
    (fraction of time within 0.15 m/s) and means over the second half, ``velocity_error`` (m/s) and
    ``angular_velocity_error`` (rad/s). Passages have ``passed`` and ``failed`` (hit or lost, whichever came
    first) and ``seconds`` of those that passed.

    Intervals of fractions and means are bootstrapped over episodes; those of shares are Clopper–Pearson,
    which does not shrink to a point when all episodes agree.

    Args:
        task: what was to be done.
        motions: from :func:`fly`.
        resamples: of the bootstrap.

    Source: arXiv 2310.04266, its program of evaluation. Differs from it: no figure of linear speed, which
    there was taken from the wrong axis.
    """
    figures: dict[str, Interval] = {}

    def mean(name: str, values: np.ndarray) -> None:
        figures[name] = bootstrap(np.mean(values, axis=0, dtype=np.float64), resamples=resamples)

    def share(name: str, happened: np.ndarray) -> None:
        figures[name] = proportion(int(np.sum(happened)), happened.size)

    near = np.asarray(motions.position_error)
    ends = task.passage in ("point", "pose", "gate")
    if task.position and not ends:
        for centimetres in (5, 2, 1):
            mean(f"PT{centimetres}", near < 0.01 * centimetres)
    if task.heading and not ends:
        for degrees in (5, 2, 1):
            mean(f"OT{degrees}", np.asarray(motions.heading_error) < math.radians(degrees))
    mean("air_use", motions.air_use)
    mean("angular_speed", motions.angular_speed)
    if task.position and not ends:
        share("ever_2cm", near.min(axis=0) < 0.02)
        share("ever_1cm", near.min(axis=0) < 0.01)
        share("stay", stays(near, 0.02, _STAY * 0.02))
    if task.velocity:
        late = near.shape[0] // 2
        mean("VT", np.asarray(motions.velocity_error) < 0.15)
        mean("velocity_error", motions.velocity_error[late:])
        if task.angular_velocity:
            mean("angular_velocity_error", motions.angular_velocity_error[late:])
    if task.passage:
        passed, failed, seconds = first_ends(motions)
        if ends:
            share("passed", passed)
        share("failed", failed)
        if passed.any():
            figures["seconds"] = bootstrap(seconds[passed], resamples=resamples)
    return figures


def stays(distance: Float[np.ndarray, "T N"], reach: float, roam: float) -> Bool[np.ndarray, " N"]:
    """Whether each episode comes closer than ``reach`` and is closer than ``roam`` ever after."""
    arrived = np.maximum.accumulate(distance < reach, axis=0)
    return arrived[-1] & ~(arrived & (distance >= roam)).any(0)


def first_ends(
    motions: Motions,
) -> tuple[Bool[np.ndarray, " N"], Bool[np.ndarray, " N"], Float[np.ndarray, " N"]]:
    """Whether each episode's first end was a passage or a failure, and after how many seconds it came."""
    ended = np.asarray(motions.ended)
    first = np.argmax(ended, axis=0)
    good = np.take_along_axis(np.asarray(motions.success), first[None], axis=0)[0] > 0
    over = ended.any(0)
    return over & good, over & ~good, (first + 1) * CONTROL_PERIOD
