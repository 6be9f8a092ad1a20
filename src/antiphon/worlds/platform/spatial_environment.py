"""The platform in six degrees of freedom as a world to learn in."""

import dataclasses
import math
from dataclasses import dataclass, field
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from antiphon.core.errors import UserError
from antiphon.worlds.platform.columns import apart, cos_sin, side_by_side
from antiphon.worlds.platform.curriculum import Curricula, level_of
from antiphon.worlds.platform.disturbances import Disturbances
from antiphon.worlds.platform.draws import Draws
from antiphon.worlds.platform.environment import Step
from antiphon.worlds.platform.resets import begun_anew
from antiphon.worlds.platform.reward import Errors, Reward, Transition
from antiphon.worlds.platform.spatial import (
    SPATIAL_VALVES,
    SpatialParams,
    spatial,
    spatial_forces,
    spatial_push,
    spatial_wrench,
)
from antiphon.worlds.platform.spatial_observation import SPATIAL_SIZE, attitude_error, spatial_observation
from antiphon.worlds.platform.state import SpatialState, SpatialWrench
from antiphon.worlds.platform.tasks import SpatialTarget, Spawn, Task, find_spatial_task

_KNOWN = {
    "floor", "torque", "position_noise", "heading_noise", "velocity_noise", "angular_velocity_noise",
    "action_noise", "failures", "failure_chance", "mass", "com", "thrust", "least",
}  # fmt: skip


class SpatialEnvState(NamedTuple):
    """N environments in the middle of their episodes.

    Attributes:
        state: true motion.
        target: what is asked for.
        physics: drawn fields of the figures by name, [N, …].
        push: constant outside push of the episode; None when switched off.
        valves: pattern of the last step, [N, 16].
        elapsed: control steps since the episode began, [N].
        ticks: calls of `step` so far, [].
    """

    state: SpatialState
    target: SpatialTarget
    physics: dict[str, Array]
    push: SpatialWrench | None
    valves: Float[Array, "N 16"]
    elapsed: Int[Array, "N"]
    ticks: Int[Array, ""]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class SpatialEnvironment:
    """GoToXYZ and GoToPose in space; used like `PlatformEnvironment`, with sixteen valves.

    Attributes:
        params: nominal figures; a leading axis [N] gives every environment its own.
        reward: as on the plane; `heading` weighs the attitude.
        task: "go-to-xyz" or "go-to-pose-6dof", see `tasks`.
        disturbances: `floor` and `torque` are a constant force and torque of random directions; noises,
            action noise, failures, mass, com and thrust as on the plane.
        spawn: where episodes begin; the task's own if None.
        curricula: what grows while training.
        episode_steps: control steps before an episode is truncated.
        stagger: first episodes are pretended to have begun at random times.
        auto_reset: begin anew inside `step`.
        substeps: of the Runge–Kutta integrator.

    Raises:
        UserError: a disturbance that only the planar platform knows, or an episode without steps.

    Source: arXiv 2310.04266, its published six-degree tasks. Differs from it: initial positions are uniform
    on spheres (theirs have x and y too large).
    """

    params: SpatialParams = field(default_factory=spatial)
    reward: Reward = field(default_factory=Reward)
    task: Task = field(default=find_spatial_task("go-to-pose-6dof"), metadata={"static": True})
    disturbances: Disturbances = field(default=Disturbances(), metadata={"static": True})
    spawn: Spawn | None = field(default=None, metadata={"static": True})
    curricula: Curricula = field(default=Curricula(), metadata={"static": True})
    episode_steps: int = field(default=250, metadata={"static": True})
    stagger: bool = field(default=True, metadata={"static": True})
    auto_reset: bool = field(default=True, metadata={"static": True})
    substeps: int = field(default=5, metadata={"static": True})

    def __post_init__(self) -> None:
        for each in dataclasses.fields(Disturbances):
            if each.name not in _KNOWN and getattr(self.disturbances, each.name):
                raise UserError(
                    "disturbance",
                    f"the six-degree platform has no {each.name}",
                    f"use some of: {', '.join(sorted(_KNOWN))}",
                )
        if self.episode_steps < 1:
            raise UserError("field", f"an episode of {self.episode_steps} steps is empty", "give at least 1")

    @property
    def observation_size(self) -> int:
        """O."""
        return SPATIAL_SIZE

    @property
    def action_size(self) -> int:
        """Valves."""
        return SPATIAL_VALVES

    def reset(self, key: Key[Array, ""], envs: int) -> tuple[SpatialEnvState, Float[Array, "N 30"]]:
        """N new episodes, and what is seen of them."""
        draws = Draws(key, envs)
        env_state = self._begun(draws, jnp.zeros((), jnp.int32))
        if self.stagger:
            began = jnp.floor(draws.uniform(0.0, self.episode_steps)).astype(jnp.int32)
            env_state = env_state._replace(elapsed=jnp.minimum(began, self.episode_steps - 1))
        return env_state, self._observed(env_state, draws)

    def step(
        self,
        env_state: SpatialEnvState,
        action: Float[Array, "N 16"] | Bool[Array, "N 16"],
        key: Key[Array, ""],
    ) -> tuple[SpatialEnvState, Step]:
        """One control step of 0.2 s for all environments; metrics as on the plane."""
        valves = jnp.asarray(action, jnp.float32)
        draws = Draws(key, valves.shape[0])
        before, target, ticks = env_state.state, env_state.target, env_state.ticks
        physics = dataclasses.replace(self.params, **env_state.physics)
        forces = spatial_forces(physics, valves)
        if self.disturbances.action_noise:
            level = level_of(self.curricula.disturbances, ticks)
            forces = forces + physics.mask * level * draws.columns(
                SPATIAL_VALVES, self.disturbances.action_noise
            )
        body = spatial_wrench(physics, forces)
        after = spatial_push(physics, before, body, env_state.push, substeps=self.substeps)
        error = spatial_errors(after, target)
        elapsed = env_state.elapsed + 1
        terminated = error.position > self.task.bound
        truncated = (elapsed >= self.episode_steps) & ~terminated
        transition = Transition(
            before=spatial_errors(before, target), after=error, angular_velocity=error.angular_velocity,
            valves=valves, previous_valves=env_state.valves, passed=jnp.zeros_like(terminated),
            failed=terminated, cone=jnp.zeros_like(error.position),
        )  # fmt: skip
        reward = self.reward(self.task, transition, level_of(self.curricula.penalties, ticks))
        going = env_state._replace(state=after, valves=valves, elapsed=elapsed, ticks=ticks + 1)
        final_observation = self._observed(going, draws)
        observation = final_observation
        if self.auto_reset:
            done = terminated | truncated
            fresh = self._begun(draws, going.ticks)
            observation = jnp.where(done[:, None], self._observed(fresh, draws), final_observation)
            going = begun_anew(done, fresh, going)
        near = self.task.tolerance
        success = error.position < near.position
        if self.task.heading:
            success = success & (error.heading < near.heading)
        metrics = {
            "position_error": error.position,
            "heading_error": error.heading,
            "velocity_error": error.velocity,
            "angular_velocity_error": error.angular_velocity,
            "air_use": jnp.mean(valves, -1),
            "success": success.astype(jnp.float32),
            "failed": terminated.astype(jnp.float32),
        }
        return going, Step(observation, final_observation, reward, terminated, truncated, metrics)

    def _observed(self, env_state: SpatialEnvState, draws: Draws) -> Float[Array, "N 30"]:
        d, (position, orientation, velocity, angular_velocity) = self.disturbances, env_state.state
        if d.position_noise:
            position = position + draws.columns(3, d.position_noise)
        if d.heading_noise:
            # Half the angle is the vector part of a small turn.
            tilt = 0.5 * draws.columns(3, d.heading_noise)
            w, x, y, z = apart(orientation)
            a, b, c = apart(tilt)
            orientation = side_by_side(
                w - x * a - y * b - z * c, x + w * a + y * c - z * b,
                y + w * b + z * a - x * c, z + w * c + x * b - y * a,
            )  # fmt: skip
            orientation = orientation / jnp.linalg.norm(orientation, axis=-1, keepdims=True)
        if d.velocity_noise:
            velocity = velocity + draws.columns(3, d.velocity_noise)
        if d.angular_velocity_noise:
            angular_velocity = angular_velocity + draws.columns(3, d.angular_velocity_noise)
        seen = SpatialState(position, orientation, velocity, angular_velocity)
        return spatial_observation(self.task, seen, env_state.target)

    def _begun(self, draws: Draws, ticks: Array) -> SpatialEnvState:
        """N new episodes around a target at the origin."""
        spawn = self.spawn or self.task.spawn
        low, high = self.curricula.distance(spawn.distance, ticks)
        away = draws.uniform(low, high)
        nothing = jnp.zeros_like(away)
        still = side_by_side(nothing, nothing, nothing)
        envs = away.shape[0]
        upright = side_by_side(1 + nothing, nothing, nothing, nothing)
        state = SpatialState(
            position=away[:, None] * _direction(draws),
            orientation=_attitude(draws),
            velocity=draws.uniform(0.0, spawn.speed)[:, None] * _direction(draws) if spawn.speed else still,
            angular_velocity=draws.columns(3, spawn.angular_speed) if spawn.angular_speed else still,
        )
        target = SpatialTarget(still, _attitude(draws) if self.task.heading else upright)
        d, level = self.disturbances, level_of(self.curricula.disturbances, ticks)
        push = None
        if d.floor or d.torque:
            force = level * draws.uniform(d.least * d.floor, d.floor)[:, None] * _direction(draws)
            torque = level * draws.uniform(d.least * d.torque, d.torque)[:, None] * _direction(draws)
            push = SpatialWrench(force, torque)
        return SpatialEnvState(
            state=state,
            target=target,
            physics=self._physics(draws, level),
            push=push,
            valves=jnp.zeros((envs, SPATIAL_VALVES), jnp.float32),
            elapsed=jnp.zeros(envs, jnp.int32),
            ticks=ticks,
        )

    def _physics(self, draws: Draws, level: float | Array) -> dict[str, Array]:
        d, nominal, drawn = self.disturbances, self.params, {}
        if d.mass:
            share = 1 + level * draws.symmetric(d.mass)
            drawn["mass"], drawn["inertia"] = nominal.mass * share, nominal.inertia * share[:, None]
        if d.com:
            drawn["com"] = nominal.com + level * draws.uniform(d.least * d.com, d.com)[:, None] * _direction(
                draws
            )
        if d.thrust:
            lost = 0.5 * level * (d.thrust + draws.columns(SPATIAL_VALVES, d.thrust))
            drawn["thrust"] = nominal.thrust * (1 - lost)
        if d.failures:
            failed = sum(draws.uniform() < level * d.failure_chance for _ in range(d.failures))
            rank = jnp.argsort(jnp.argsort(draws.columns(SPATIAL_VALVES, 1.0), -1), -1)
            drawn["mask"] = nominal.mask * (rank >= jnp.asarray(failed)[:, None])
        return drawn


def spatial_errors(state: SpatialState, target: SpatialTarget) -> Errors:
    """Distance, angle of the shortest turn to the target's attitude, speed and turning rate."""
    w, x, y, z = attitude_error(apart(state.orientation), apart(target.orientation))
    return Errors(
        position=jnp.linalg.norm(target.position - state.position, axis=-1),
        heading=2 * jnp.arctan2(jnp.sqrt(x * x + y * y + z * z), w),
        velocity=jnp.linalg.norm(state.velocity, axis=-1),
        angular_velocity=jnp.linalg.norm(state.angular_velocity, axis=-1),
    )


def _direction(draws: Draws) -> Float[Array, "N 3"]:
    """Uniform on the sphere: its height is uniform (Archimedes)."""
    height, around = draws.symmetric(1.0), cos_sin(draws.angle())
    radius = jnp.sqrt(1 - height**2)
    return side_by_side(radius * around[0], radius * around[1], height)


def _attitude(draws: Draws) -> Float[Array, "N 4"]:
    """Uniform rotations.

    Source: Shoemake 1992, "Uniform random rotations".
    """
    share = draws.uniform()
    (c1, s1), (c2, s2) = cos_sin(draws.uniform(0.0, 2 * math.pi)), cos_sin(draws.uniform(0.0, 2 * math.pi))
    near, far = jnp.sqrt(1 - share), jnp.sqrt(share)
    return side_by_side(far * c2, near * s1, near * c1, far * s2)
