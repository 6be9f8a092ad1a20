"""What a step was worth: near and precise, with little air; and the authors' reward beside ours."""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from antiphon.worlds.platform.columns import apart
from antiphon.worlds.platform.observation import wrapped
from antiphon.worlds.platform.plant import CONTROL_PERIOD
from antiphon.worlds.platform.state import PlatformState
from antiphon.worlds.platform.tasks import Target, Task


class Errors(NamedTuple):
    """How far a state is from its target, all at least 0, [N].

    Attributes:
        position: m.
        heading: rad, in [0, π].
        velocity: m/s.
        angular_velocity: rad/s.
    """

    position: Float[Array, "*B"]
    heading: Float[Array, "*B"]
    velocity: Float[Array, "*B"]
    angular_velocity: Float[Array, "*B"]


def within_tolerance(task: Task, error: Errors) -> Bool[Array, "*B"]:
    """Whether every error that counts is within tolerance; of a passage only a dock can be."""
    if task.passage in ("point", "pose", "gate"):
        return jnp.zeros(error.position.shape, bool)
    near, met = task.tolerance, jnp.ones(error.position.shape, bool)
    if task.position:
        met = met & (error.position < near.position)
    if task.heading:
        met = met & (error.heading < near.heading)
    if task.velocity or task.passage == "dock":
        met = met & (error.velocity < near.velocity)
    if task.angular_velocity:
        met = met & (error.angular_velocity < near.angular_velocity)
    return met


class Transition(NamedTuple):
    """One control step, as a reward sees it.

    Attributes:
        before: errors before it.
        after: errors after it.
        angular_velocity: |ω| after it, rad/s, [N].
        valves: opened during it, [N, A].
        previous_valves: opened during the step before, [N, A].
        passed: whether the target was passed, [N].
        failed: whether a gate or a dock was hit, or the platform lost, [N].
        cone: how far outside the docking cone the platform is, m; 0 inside, [N].
        closer: by how much the way through a passage has become shorter, m; None where the distance is the
            way, [N].
    """

    before: Errors
    after: Errors
    angular_velocity: Float[Array, "*B"]
    valves: Float[Array, "*B A"]
    previous_valves: Float[Array, "*B A"]
    passed: Bool[Array, "*B"]
    failed: Bool[Array, "*B"]
    cone: Float[Array, "*B"]
    closer: Float[Array, "*B"] | None = None


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Reward:
    """Exponentials of the errors at three lengths, less air, switching and spin.

    Tasks that arrive earn, for each error e that counts, weight · (0.2 e^{−e/far} + 0.4 e^{−e/near} +
    0.4 e^{−e/fine}) with (far, near, fine) = (2, 0.25, 0.03) m, (1, 0.25, 0.05) rad, (1, 0.25, 0.03) m/s,
    (1, 0.25, 0.05) rad/s. Tasks that pass earn the speed along the way (round the posts, for a gate), less
    `hurry` per step, and `bonus` when they pass. Everything is a pytree leaf, so a
    sweep over weights is a ``vmap``.

    Attributes:
        position: weight of the place.
        heading: of the heading.
        velocity: of the velocity.
        angular_velocity: of the turning.
        energy: cost of the mean of the valves.
        switching: cost of the mean change of the valves.
        spin: cost per rad/s where no heading or turning is asked for (up to 2 rad/s), and where a passage
            could be met in a whirl (up to 10 rad/s).
        hurry: cost of a step for tasks that pass.
        bonus: for passing.
        failure: cost of hitting a post or the dock, and of getting lost where time has a price.
        cone: cost per metre outside the docking cone (up to 1 m).

    Source: research on the plant of arXiv 2310.04266. Differs from the paper: two finer scales and a long
    one beside its 0.25.
    """

    position: float | Float[Array, ""] = 1.0
    heading: float | Float[Array, ""] = 1.0
    velocity: float | Float[Array, ""] = 1.0
    angular_velocity: float | Float[Array, ""] = 0.6
    energy: float | Float[Array, ""] = 0.1
    switching: float | Float[Array, ""] = 0.0
    spin: float | Float[Array, ""] = 0.1
    hurry: float | Float[Array, ""] = 0.6
    bonus: float | Float[Array, ""] = 10.0
    failure: float | Float[Array, ""] = 20.0
    cone: float | Float[Array, ""] = 1.0

    def __call__(
        self, task: Task, step: Transition, level: float | Float[Array, ""] = 1.0
    ) -> Float[Array, "*B"]:
        """Reward of a step; `level` multiplies the costs of air, switching and spin."""
        e, total = step.after, jnp.zeros_like(step.after.position)
        passes = task.passage in ("point", "pose", "gate")
        if passes:
            closer = step.before.position - e.position if step.closer is None else step.closer
            total = total + self.position * closer / CONTROL_PERIOD - self.hurry + self.bonus * step.passed
            # A gate asks for a direction of passage, not for a heading of the body.
            if task.passage == "pose":
                total = total + self.heading * (jnp.exp(-e.heading / 0.25) - 1)
        else:
            if task.position:
                total = total + self.position * _three_scales(e.position, 2.0, 0.25, 0.03)
            if task.heading:
                total = total + self.heading * _three_scales(e.heading, 1.0, 0.25, 0.05)
            if task.velocity:
                total = total + self.velocity * _three_scales(e.velocity, 1.0, 0.25, 0.03)
            if task.angular_velocity:
                total = total + self.angular_velocity * _three_scales(e.angular_velocity, 1.0, 0.25, 0.05)
        if task.passage is not None:
            total = total - self.failure * step.failed
        if task.passage == "dock":
            total = total - self.cone * jnp.minimum(step.cone, 1.0)
        cost = self.energy * jnp.mean(step.valves, -1)
        cost = cost + self.switching * jnp.mean(jnp.abs(step.valves - step.previous_valves), -1)
        if passes or not (task.heading or task.angular_velocity):
            cost = cost + self.spin * jnp.minimum(step.angular_velocity, 10.0 if passes else 2.0)
        return total - level * cost


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class DriftReward:
    """The authors' reward: e^{−e/c} for each error with c = 0.25, less air and spin.

    The turning rate alone has 1/(1 + e). Tasks that the authors' first release does not have are rewarded
    like those it has.

    Attributes:
        energy: cost of each open valve (their "PE"); 0.01 to 0.05 in their runs.
        spin: cost per rad/s of |ω| above `spin_from`; 0 in most of their runs.
        spin_from: rad/s.
        scale: their learner multiplies rewards by 0.01; 1 leaves that to ours.

    Source: arXiv 2310.04266, its published tasks. Differs from it: |ω| rather than ω is compared with the
    threshold (its negative rates are free).
    """

    energy: float | Float[Array, ""] = 0.03
    spin: float | Float[Array, ""] = 0.0
    spin_from: float | Float[Array, ""] = 0.2
    scale: float | Float[Array, ""] = 1.0

    def __call__(
        self, task: Task, step: Transition, level: float | Float[Array, ""] = 1.0
    ) -> Float[Array, "*B"]:
        """Reward of a step; `level` multiplies the penalties."""
        e, total = step.after, jnp.zeros_like(step.after.position)
        if task.position:
            total = total + jnp.exp(-e.position / 0.25)
        if task.heading:
            total = total + jnp.exp(-e.heading / 0.25)
        if task.velocity:
            total = total + jnp.exp(-e.velocity / 0.25)
        if task.angular_velocity:
            total = total + 1 / (1 + e.angular_velocity)
        turning = jnp.where(step.angular_velocity > self.spin_from, step.angular_velocity, 0.0)
        return self.scale * (total - level * (self.energy * jnp.sum(step.valves, -1) + self.spin * turning))


def errors(state: PlatformState, target: Target) -> Errors:
    """Distances of a state from its target, also of fields that the task does not use."""
    return Errors(
        position=_norm(target.position - state.position),
        heading=jnp.abs(wrapped(target.heading - state.heading)),
        velocity=_norm(target.velocity - state.velocity),
        angular_velocity=jnp.abs(target.angular_velocity - state.angular_velocity),
    )


def _norm(v: Array) -> Array:
    x, y = apart(v)
    return jnp.sqrt(x**2 + y**2)


def _three_scales(e: Array, far: float, near: float, fine: float) -> Array:
    return 0.2 * jnp.exp(-e / far) + 0.4 * jnp.exp(-e / near) + 0.4 * jnp.exp(-e / fine)
