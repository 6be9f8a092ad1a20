"""LQR cost-to-go, looked up one step ahead for every one of the 256 valve patterns."""

from dataclasses import dataclass, field
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from antiphon.worlds.platform.controllers.cost_to_go import CostToGo, Errors, cost_to_go, errors_of
from antiphon.worlds.platform.controllers.patterns import PatternTable, after, halfway, opened, pattern_table
from antiphon.worlds.platform.controllers.weights import POSE, Weights
from antiphon.worlds.platform.parameters import PlatformParams
from antiphon.worlds.platform.plant import PlatformState
from antiphon.worlds.platform.tasks import Target


class Plan(NamedTuple):
    """What does not change within an episode."""

    value: CostToGo
    table: PatternTable


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class LqrPattern:
    """Opens argmin_a V(x_{t+1}(a)) + price · Σ a over all 256 patterns a.

    V is the cost-to-go of :func:`cost_to_go`; the step to x_{t+1} has the shared pressure of the valves, and
    those known to be dead stay shut, so nothing is allocated or rounded.

    Attributes:
        weights: prices of errors.
        effort: r of the Riccati equation, per N² and (N m)²: larger is slower and gentler.
        valve_price: of one open valve for one period, in units of V; 0 spends air freely.
        dt: control period in s.

    Source: the baseline of arXiv 2310.04266 is an LQR too. Differs from the paper: that one rounds the
    gains' output to valves (:class:`LqrRound`), this one knows that there are only 256 things to do.
    """

    weights: Weights = POSE
    effort: float | Float[Array, ""] = 0.3
    valve_price: float | Float[Array, ""] = 0.0
    dt: float = field(default=0.2, metadata={"static": True})

    def start(self, params: PlatformParams, envs: int) -> Plan:
        """Riccati solution and pattern table."""
        del envs
        return Plan(cost_to_go(params, self.weights, self.effort, self.dt), pattern_table(params))

    def act(
        self, params: PlatformParams, memory: Plan, state: PlatformState, target: Target
    ) -> tuple[Bool[Array, "N 8"], Plan]:
        """The best pattern for each platform."""
        best = best_pattern(
            memory, errors_of(state, target), halfway(state, self.dt), self.valve_price, self.dt
        )
        return opened(params, best), memory


def best_pattern(
    plan: Plan,
    errors: Errors,
    heading: Float[Array, " N"],
    valve_price: float | Float[Array, ""],
    dt: float,
) -> Array:
    """Number of the pattern with the lowest cost-to-go one step ahead, [N]."""
    ahead = after(
        Errors(errors.place[..., None, :], errors.rate[..., None, :]),
        plan.table.acceleration,
        heading[..., None],
        dt,
    )
    value = CostToGo(*(p[..., None, :] for p in plan.value))
    return jnp.argmin(value(ahead) + valve_price * plan.table.open, axis=-1)
