"""The pattern look-ahead with an estimate of what pushes from outside: no integral, and no offset either."""

from dataclasses import dataclass, field
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from antiphon.worlds.platform.controllers.cost_to_go import Errors, errors_of
from antiphon.worlds.platform.controllers.lqr_pattern import LqrPattern, Plan, best_pattern
from antiphon.worlds.platform.controllers.patterns import after, halfway, opened
from antiphon.worlds.platform.parameters import PlatformParams
from antiphon.worlds.platform.plant import PlatformState
from antiphon.worlds.platform.tasks import Target


class ObserverMemory(NamedTuple):
    """What is carried from one control period to the next."""

    plan: Plan
    """Of the look-ahead."""

    push: Float[Array, "N 3"]
    """Believed acceleration from outside, world frame: m/s², m/s², rad/s²."""

    expected: Float[Array, "N 3"]
    """Velocity that should be seen next, m/s, m/s, rad/s; NaN before the first decision."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class LqrObserver:
    """:class:`LqrPattern` on a plant with a constant push d̂ from outside, learnt from its own surprises.

    d̂ ← d̂ + trust · (v − v̂) / Δt, where v̂ is the velocity that the last decision should have led to.

    Whatever holds for a while is taken for a push: an uneven floor, a torque, and on average a dead valve
    that nobody told of.

    Attributes:
        lqr: decides.
        trust: share of each surprise that is believed, in [0, 1]; more follows faster and is noisier.

    Source: the constant-disturbance observer of offset-free control, with a fixed gain.
    """

    lqr: LqrPattern = field(default_factory=LqrPattern)
    trust: float | Float[Array, ""] = 0.1

    def start(self, params: PlatformParams, envs: int) -> ObserverMemory:
        """Nothing pushes."""
        nothing = jnp.zeros((envs, 3))
        return ObserverMemory(self.lqr.start(params, envs), nothing, jnp.full_like(nothing, jnp.nan))

    def act(
        self, params: PlatformParams, memory: ObserverMemory, state: PlatformState, target: Target
    ) -> tuple[Bool[Array, "N 8"], ObserverMemory]:
        """The best pattern against the push."""
        plan, dt = memory.plan, self.lqr.dt
        rate = jnp.concatenate([state.velocity, state.angular_velocity[..., None]], axis=-1)
        surprise = jnp.where(jnp.isnan(memory.expected), 0.0, rate - memory.expected) / dt
        push = memory.push + self.trust * surprise
        errors, heading = errors_of(state, target), halfway(state, dt)
        # Seen from a period ahead, a push is a velocity that grew halfway through.
        pushed = Errors(errors.place - 0.5 * dt**2 * push, errors.rate + dt * push)
        best = best_pattern(plan, pushed, heading, self.lqr.valve_price, dt)
        table = plan.table.acceleration
        given = table[best] if table.ndim == 2 else jnp.take_along_axis(table, best[:, None, None], 1)[:, 0]
        expected = after(Errors(errors.place, rate + dt * push), given, heading, dt).rate
        return opened(params, best), ObserverMemory(plan, push, expected)
