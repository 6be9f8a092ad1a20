"""PID for force and torque, shared out to the valves by the pseudo-inverse and paid out in whole pulses."""

from dataclasses import dataclass, field
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from antiphon.worlds.platform.controllers.cost_to_go import errors_of
from antiphon.worlds.platform.parameters import PlatformParams, wrench
from antiphon.worlds.platform.plant import PlatformState
from antiphon.worlds.platform.tasks import Target

_PROJECTIONS = 40


class PidMemory(NamedTuple):
    """What is carried from one control period to the next."""

    integral: Float[Array, "N 3"]
    """Of the error in the world frame, m s and rad s."""

    owed: Float[Array, "N 8"]
    """Pulses that were asked of each valve and not yet given."""

    columns: Float[Array, "*B 3 8"]
    """Push of each valve alone, torque divided by the arm so that rows compare."""

    inverse: Float[Array, "*B 8 3"]
    """Pseudo-inverse of the columns."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Pid:
    """acceleration = −k_p e − k_i ∫e − k_d ė, as forces; valves are opened once they owe half a pulse.

    Attributes:
        proportional: k_p in 1/s².
        integral: k_i in 1/s³; the integral grows only within ``near``.
        derivative: k_d in 1/s.
        near: m (and rad): beyond it the integral is held.
        arm: m, lever that turns torques into forces where both are compared.
        holds_position: False leaves x and y alone, and follows velocities with k_d.
        holds_heading: likewise for the heading.
        dt: control period in s.

    Source: textbook; first-order sigma-delta modulation of the valves.
    """

    proportional: float | Float[Array, ""] = 0.7
    integral: float | Float[Array, ""] = 0.002
    derivative: float | Float[Array, ""] = 2.4
    near: float | Float[Array, ""] = 0.3
    arm: float | Float[Array, ""] = 0.31
    holds_position: bool = field(default=True, metadata={"static": True})
    holds_heading: bool = field(default=True, metadata={"static": True})
    dt: float = field(default=0.2, metadata={"static": True})

    def start(self, params: PlatformParams, envs: int) -> PidMemory:
        """Nothing owed; the pseudo-inverse of the valves that work."""
        batch = max(params.mass.ndim, params.mask.ndim - 1)
        alone = jnp.eye(8).reshape(8, *(1,) * batch, 8)
        columns = jnp.moveaxis(jax.vmap(lambda valves: wrench(params, valves))(alone), 0, -1)
        columns = columns / jnp.stack([1.0, 1.0, self.arm])[:, None]
        return PidMemory(jnp.zeros((envs, 3)), jnp.zeros((envs, 8)), columns, jnp.linalg.pinv(columns))

    def act(
        self, params: PlatformParams, memory: PidMemory, state: PlatformState, target: Target
    ) -> tuple[Bool[Array, "N 8"], PidMemory]:
        """Valves that owe the most, if they owe enough."""
        place, rate = errors_of(state, target)
        held = jnp.array([self.holds_position, self.holds_position, self.holds_heading], jnp.float32)
        place = place * held
        far = jnp.linalg.norm(place[..., :2], axis=-1, keepdims=True)
        close = jnp.concatenate([far, far, jnp.abs(place[..., 2:])], axis=-1) < self.near
        integral = jnp.where(close, memory.integral + self.dt * place, memory.integral)
        wanted = -(self.proportional * place + self.integral * integral + self.derivative * rate)
        inertia = jnp.stack([params.mass, params.mass, params.inertia / self.arm], axis=-1)
        demand = _shared_out(memory, _to_body(wanted * inertia, state.heading))
        owed = memory.owed + demand
        most = jnp.max(owed, axis=-1, keepdims=True)
        valves = (owed >= jnp.maximum(0.5, 0.5 * most)) & (params.mask > 0)
        # Open valves share the pressure, so together they give one pulse.
        given = valves / jnp.maximum(1.0, jnp.sum(valves, axis=-1, keepdims=True))
        return valves, memory._replace(integral=integral, owed=jnp.clip(owed - given, -1.0, 1.0))


def _shared_out(memory: PidMemory, force: Float[Array, "N 3"]) -> Float[Array, "N 8"]:
    """Non-negative duties of the valves, together at most one period.

    The pseudo-inverse asks valves to pull; what they cannot is given to their opposites. With all eight that
    is exact. With dead ones a few steps of projected gradient find the nearest wrench that can be had.
    """
    columns = memory.columns
    start = 2.0 * jnp.maximum(0.0, jnp.einsum("...vk,...k->...v", memory.inverse, force))
    step = 1.0 / jnp.sum(columns**2, axis=(-2, -1))

    def nearer(_: int, duty: Array) -> Array:
        missing = jnp.einsum("...kv,...v->...k", columns, duty) - force
        slope = jnp.einsum("...kv,...k->...v", columns, missing)
        return jnp.maximum(0.0, duty - step[..., None] * slope)

    duty = jax.lax.fori_loop(0, _PROJECTIONS, nearer, start)
    return duty / jnp.maximum(1.0, jnp.sum(duty, axis=-1, keepdims=True))


def _to_body(world: Float[Array, "N 3"], heading: Float[Array, " N"]) -> Float[Array, "N 3"]:
    cos, sin = jnp.cos(heading), jnp.sin(heading)
    x, y, turn = world[..., 0], world[..., 1], world[..., 2]
    return jnp.stack([cos * x + sin * y, -sin * x + cos * y, turn], axis=-1)
