"""The planar platform as a world to learn in: whole batches, explicit state, resets inside the step."""

import dataclasses
from dataclasses import dataclass, field
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from antiphon.core.errors import UserError
from antiphon.worlds.platform.curriculum import Curricula, level_of
from antiphon.worlds.platform.disturbances import (
    Disturbances,
    Weather,
    draw_weather,
    noisy,
    outside_wrench,
    physics_of,
)
from antiphon.worlds.platform.draws import Draws
from antiphon.worlds.platform.estimator import PoseBelief, PoseFilter
from antiphon.worlds.platform.observation import drift_observation, observation_size, observe
from antiphon.worlds.platform.parameters import (
    VALVES,
    PlatformParams,
    nozzle_forces,
    planar,
    valve_effects,
    wrench,
    wrench_of_forces,
)
from antiphon.worlds.platform.passage import outcome, way_left
from antiphon.worlds.platform.plant import CONTROL_PERIOD, push
from antiphon.worlds.platform.resets import begun_anew, spawned
from antiphon.worlds.platform.reward import DriftReward, Reward, Transition, errors, within_tolerance
from antiphon.worlds.platform.sight import interpolated, track
from antiphon.worlds.platform.state import PlatformState
from antiphon.worlds.platform.tasks import Spawn, Target, Task, find_task
from antiphon.worlds.platform.valve_belief import Recollection, ValveFilter


class EnvState(NamedTuple):
    """N environments in the middle of their episodes.

    Attributes:
        state: true motion.
        target: what is asked for.
        weather: what was drawn for the episode.
        valves: pattern of the last step, [N, 8].
        belief: of the pose filter; None without one.
        elapsed: control steps since the episode began (or was pretended to begin), [N].
        ticks: calls of `step` so far, for curricula, [].
        recollection: what was found out about valves and pushes; None unless the policy sees it.
    """

    state: PlatformState
    target: Target
    weather: Weather
    valves: Float[Array, "N 8"]
    belief: PoseBelief | None
    elapsed: Int[Array, "N"]
    ticks: Int[Array, ""]
    recollection: Recollection | None = None


class Step(NamedTuple):
    """What one step gave to N environments.

    Attributes:
        observation: to act on next, after any reset, [N, O].
        final_observation: what the step led to, before any reset, [N, O].
        reward: [N].
        terminated: the episode has no future: passed, hit, or lost, [N].
        truncated: time was up, and the episode would have gone on, [N].
        metrics: position_error m, heading_error rad, velocity_error m/s, angular_velocity_error rad/s,
            air_use (share of nozzles open), success (within tolerance, or passed), failed; each [N].
    """

    observation: Float[Array, "N O"]
    final_observation: Float[Array, "N O"]
    reward: Float[Array, "N"]
    terminated: Bool[Array, "N"]
    truncated: Bool[Array, "N"]
    metrics: dict[str, Float[Array, "N"]]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class PlatformEnvironment:
    """A task, a platform, what disturbs it and what is rewarded, at 5 Hz.

    ``reset(key, envs)`` begins N episodes; ``step(env_state, action, key)`` moves all of them and begins
    anew those that ended. Both are pure; jit and scan them. The environment is a pytree (figures and reward
    weights are leaves), so it can be passed into a compiled function.

    Attributes:
        params: nominal figures; a leading axis [N] gives every environment its own.
        reward: ours, or `DriftReward`.
        task: what is asked for.
        disturbances: greatest magnitudes.
        observation: "body" (19 numbers), "adaptive" (30: the body's, and what `valve_filter` has found out)
            or "drift" (10), see `observation`.
        estimator: the policy sees what this filter makes of a stream of poses (with the pose noises of
            `disturbances` on each pose); None for the true motion plus all noises.
        valve_filter: finds out how much each valve gives and what pushes from outside, from what is seen.
        spawn: where episodes begin; the task's own if None.
        curricula: what grows while training.
        episode_steps: control steps before an episode is truncated.
        stagger: first episodes are pretended to have begun at random times, so that ends are spread evenly.
        auto_reset: begin anew inside `step`; without it, states run on past their ends.
        forgiving: hitting a post or a dock costs, at every step, and does not end the episode: easier to
            learn from than an end that takes all that would have followed.

    Raises:
        UserError: an observation that does not exist or does not know the task, or an episode without steps.

    Source: arXiv 2310.04266. Differs from the paper: success does not end an episode, so staying is learnt.
    """

    params: PlatformParams = field(default_factory=planar)
    reward: Reward | DriftReward = field(default_factory=Reward)
    task: Task = field(default=find_task("go-to-pose"), metadata={"static": True})
    disturbances: Disturbances = field(default=Disturbances(), metadata={"static": True})
    observation: str = field(default="body", metadata={"static": True})
    estimator: PoseFilter | None = field(default=None, metadata={"static": True})
    valve_filter: ValveFilter = field(default=ValveFilter(), metadata={"static": True})
    spawn: Spawn | None = field(default=None, metadata={"static": True})
    curricula: Curricula = field(default=Curricula(), metadata={"static": True})
    episode_steps: int = field(default=250, metadata={"static": True})
    stagger: bool = field(default=True, metadata={"static": True})
    auto_reset: bool = field(default=True, metadata={"static": True})
    forgiving: bool = field(default=False, metadata={"static": True})

    def __post_init__(self) -> None:
        observation_size(self.observation)
        if self.observation == "drift" and self.task.label is None:
            nobody = PlatformState(jnp.zeros(2), jnp.zeros(()), jnp.zeros(2), jnp.zeros(()))
            drift_observation(self.task, nobody, Target(*nobody))
        if self.episode_steps < 1:
            raise UserError("field", f"an episode of {self.episode_steps} steps is empty", "give at least 1")

    @property
    def observation_size(self) -> int:
        """O."""
        return observation_size(self.observation)

    @property
    def action_size(self) -> int:
        """Valves."""
        return VALVES

    def reset(self, key: Key[Array, ""], envs: int) -> tuple[EnvState, Float[Array, "N O"]]:
        """N new episodes, and what is seen of them.

        Args:
            key: random key.
            envs: N.
        """
        draws = Draws(key, envs)
        env_state = self._begun(draws, jnp.zeros((), jnp.int32))
        if self.stagger:
            began = jnp.floor(draws.uniform(0.0, self.episode_steps)).astype(jnp.int32)
            env_state = env_state._replace(elapsed=jnp.minimum(began, self.episode_steps - 1))
        return self._observed(env_state, self._first_sight(env_state), draws)

    def step(
        self, env_state: EnvState, action: Float[Array, "N 8"] | Bool[Array, "N 8"], key: Key[Array, ""]
    ) -> tuple[EnvState, Step]:
        """One control step of 0.2 s for all environments.

        Args:
            env_state: from `reset` or `step`.
            action: 1 or True opens a valve; numbers between 0 and 1 open it in part.
            key: random key; one serves the whole batch.
        """
        valves = jnp.asarray(action, jnp.float32)
        draws = Draws(key, valves.shape[0])
        before, target, weather = env_state.state, env_state.target, env_state.weather
        after = self._moved(env_state, valves, draws)
        belief, seen = self._sighted(env_state, after, valves, draws)
        result = outcome(self.task, before, after, target)
        error = errors(after, target)
        elapsed = env_state.elapsed + 1
        lost = error.position > self.task.bound
        failed = result.hit | lost
        terminated = result.passed | (lost if self.forgiving else failed)
        truncated = (elapsed >= self.episode_steps) & ~terminated
        transition = Transition(
            before=errors(before, target), after=error, angular_velocity=jnp.abs(after.angular_velocity),
            valves=valves, previous_valves=env_state.valves, passed=result.passed, failed=failed,
            cone=result.cone,
            closer=way_left(self.task, before, target) - way_left(self.task, after, target)
            if self.task.passage == "gate" else None,
        )  # fmt: skip
        reward = self.reward(self.task, transition, level_of(self.curricula.penalties, env_state.ticks))
        going = EnvState(
            after, target, weather, valves, belief, elapsed, env_state.ticks + 1, env_state.recollection
        )
        going, final_observation = self._observed(going, seen, draws)
        observation = final_observation
        if self.auto_reset:
            done = terminated | truncated
            fresh = self._begun(draws, going.ticks)
            fresh, first = self._observed(fresh, self._first_sight(fresh), draws)
            going = begun_anew(done, fresh, going)
            observation = jnp.where(done[:, None], first, final_observation)
        metrics = {
            "position_error": error.position,
            "heading_error": error.heading,
            "velocity_error": error.velocity,
            "angular_velocity_error": error.angular_velocity,
            "air_use": jnp.mean(valves, -1),
            "success": (result.passed | within_tolerance(self.task, error)).astype(jnp.float32),
            "failed": failed.astype(jnp.float32),
        }
        return going, Step(observation, final_observation, reward, terminated, truncated, metrics)

    def _moved(self, env_state: EnvState, valves: Array, draws: Draws) -> PlatformState:
        """The true motion over one control step."""
        state, weather = env_state.state, env_state.weather
        physics = physics_of(weather, self.params)
        push_out = outside_wrench(weather, state)
        forces = nozzle_forces(physics, valves)
        if self.disturbances.action_noise:
            level = level_of(self.curricula.disturbances, env_state.ticks)
            forces = forces + physics.mask * level * draws.columns(VALVES, self.disturbances.action_noise)
        body = wrench_of_forces(physics, forces)
        if weather.valve_delay is None:
            return push(physics, state, body, push_out)
        late = push(physics, state, wrench(physics, env_state.valves), push_out, weather.valve_delay)
        return push(physics, late, body, push_out, CONTROL_PERIOD - weather.valve_delay)

    def _sighted(
        self, env_state: EnvState, after: PlatformState, valves: Array, draws: Draws
    ) -> tuple[PoseBelief | None, PlatformState]:
        """The belief after the step, and what the policy is shown before noise."""
        before, belief = env_state.state, env_state.belief
        if self.estimator is not None and belief is not None:
            known = wrench(self.params, valves) / jnp.stack(
                jnp.broadcast_arrays(self.params.mass, self.params.mass, self.params.inertia), -1
            )
            was = belief.state()
            belief = track(self.estimator, belief, before, after, known, self._pose_noise(env_state), draws)
            before, after = was, belief.state()
        latency = env_state.weather.latency
        if latency is None:
            return belief, after
        return belief, interpolated(before, after, 1 - latency / CONTROL_PERIOD)

    def _pose_noise(self, env_state: EnvState) -> tuple[float | Array, float | Array]:
        level = level_of(self.curricula.disturbances, env_state.ticks)
        return level * self.disturbances.position_noise, level * self.disturbances.heading_noise

    def _first_sight(self, env_state: EnvState) -> PlatformState:
        return env_state.state if env_state.belief is None else env_state.belief.state()

    def _observed(
        self, env_state: EnvState, seen: PlatformState, draws: Draws
    ) -> tuple[EnvState, Float[Array, "N O"]]:
        """The observation, and the environments with what a policy that finds out has learnt from it."""
        # With a filter the noise is in its poses already.
        if self.disturbances.noisy_sight and self.estimator is None:
            seen = noisy(self.disturbances, seen, draws)
        recollection, belief = env_state.recollection, None
        if recollection is not None:
            recollection = self.valve_filter.see(
                recollection._replace(valves=env_state.valves), valve_effects(self.params),
                self.params.split_thrust, seen, CONTROL_PERIOD,
            )  # fmt: skip
            # Left alone, XLA computes the update once for each number that is made of it.
            recollection = jax.lax.optimization_barrier(recollection)
            belief = recollection.belief
        observation = observe(self.observation, self.task, seen, env_state.target, belief)
        return env_state._replace(recollection=recollection), observation

    def _begun(self, draws: Draws, ticks: Array) -> EnvState:
        """N new episodes around a target at the origin."""
        spawn = self.spawn or self.task.spawn
        state, target = spawned(self.task, spawn, self.curricula.distance(spawn.distance, ticks), draws)
        weather = draw_weather(
            self.disturbances, self.params, draws, level_of(self.curricula.disturbances, ticks)
        )
        belief = None
        if self.estimator is not None:
            belief = self.estimator.begin(jnp.concatenate([state.position, state.heading[:, None]], -1))
            belief = belief._replace(
                rate=jnp.concatenate([state.velocity, state.angular_velocity[:, None]], -1)
            )
        envs = state.heading.shape[0]
        recollection = None
        if self.observation == "adaptive":
            recollection = self.valve_filter.begin(jnp.ones((envs, VALVES), jnp.float32))
        return EnvState(
            state=state,
            target=target,
            weather=weather,
            valves=jnp.zeros((envs, VALVES), jnp.float32),
            belief=belief,
            elapsed=jnp.zeros(envs, jnp.int32),
            ticks=ticks,
            recollection=recollection,
        )


def drift_environment(task: str = "go-to-pose", *, energy: float = 0.03) -> PlatformEnvironment:
    """The authors' observation, reward and spawn for one of their tasks.

    Args:
        task: one of the five with a label, see `tasks`.
        energy: cost of each open valve.

    Raises:
        UserError: an unknown task, or one that they do not have.

    Source: arXiv 2310.04266, its published configuration. Differs from it: its quirks are not inherited
    (force in nine of ten sub-steps, headings of half the circle, ω < 0 free of penalty, a floor √2 weaker
    than named, time limits taken for ends), and 10 s within tolerance do not end an episode.
    """
    chosen = find_task(task)
    reach = 4.5 if chosen.name == "go-to-xy" else 6.0
    spawn = dataclasses.replace(chosen.spawn, speed=0.0, angular_speed=0.0)
    if chosen.position:
        spawn = dataclasses.replace(spawn, distance=(0.5, reach))
    elif chosen.name == "track-xy-velocity":
        spawn = dataclasses.replace(spawn, target_speed=0.75)
    return PlatformEnvironment(
        task=chosen, reward=DriftReward(energy=energy), observation="drift", spawn=spawn, episode_steps=700
    )
