"""The quadratic cost-to-go of a platform that could push in any direction with any force."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from antiphon.worlds.platform.controllers.weights import Weights
from antiphon.worlds.platform.parameters import PlatformParams
from antiphon.worlds.platform.plant import PlatformState
from antiphon.worlds.platform.tasks import Target

_ITERATIONS = 512  # of 0.2 s: far beyond the slowest closed loop that the weights can ask for


class Errors(NamedTuple):
    """State minus target in the world frame, axes x, y, heading (wrapped to (−π, π])."""

    place: Float[Array, "*B 3"]
    """m, m, rad."""

    rate: Float[Array, "*B 3"]
    """m/s, m/s, rad/s."""


class CostToGo(NamedTuple):
    """V(e, ė) = Σ_axes P₁₁ e² + 2 P₁₂ e ė + P₂₂ ė², the axes x, y, heading."""

    place: Float[Array, "*B 3"]
    """P₁₁."""

    cross: Float[Array, "*B 3"]
    """P₁₂."""

    rate: Float[Array, "*B 3"]
    """P₂₂."""

    def __call__(self, errors: Errors) -> Float[Array, "*B"]:
        """V of each error."""
        e, de = errors
        return jnp.sum(self.place * e**2 + 2.0 * self.cross * e * de + self.rate * de**2, axis=-1)


def wrapped(angle: Float[Array, "*B"]) -> Float[Array, "*B"]:
    """The same angle in [−π, π)."""
    return jnp.mod(angle + jnp.pi, 2.0 * jnp.pi) - jnp.pi


def errors_of(state: PlatformState, target: Target) -> Errors:
    """State minus target."""
    place = jnp.concatenate(
        [state.position - target.position, wrapped(state.heading - target.heading)[..., None]], axis=-1
    )
    rate = jnp.concatenate(
        [
            state.velocity - target.velocity,
            (state.angular_velocity - target.angular_velocity)[..., None],
        ],
        axis=-1,
    )
    return Errors(place, rate)


def stage_prices(weights: Weights) -> tuple[Float[Array, "3"], Float[Array, "3"]]:
    """Prices of squared places and squared rates, axes x, y, heading."""
    place = jnp.stack(
        [jnp.asarray(weights.position, jnp.float32)] * 2 + [jnp.asarray(weights.heading, jnp.float32)]
    )
    rate = jnp.stack(
        [jnp.asarray(weights.velocity, jnp.float32)] * 2
        + [jnp.asarray(weights.angular_velocity, jnp.float32)]
    )
    return place, rate


def cost_to_go(
    params: PlatformParams, weights: Weights, effort: float | Float[Array, ""], dt: float
) -> CostToGo:
    """Solves the discrete Riccati equation of three double integrators, one for each axis.

    P ← Q + Aᵀ P A − Aᵀ P B (r + Bᵀ P B)⁻¹ Bᵀ P A with A = [[1, Δt], [0, 1]], B = [Δt²/2, Δt]/m (or /I).

    The thrust is taken as a force in N and a torque in N m of any size, so neither valves nor saturation are
    in it; they come in when a controller looks a step ahead. Iterated from P = Q, so an axis whose place has
    no price keeps P₁₁ = P₁₂ = 0 instead of having no stabilising solution.

    Args:
        params: mass and inertia are read; leading axes carry over.
        weights: Q.
        effort: r, price of N² and of (N m)².
        dt: control period in s.

    Source: arXiv 2310.04266 uses an LQR as its classical baseline; this is the textbook recursion.
    """
    inertia = jnp.stack([params.mass, params.mass, params.inertia], axis=-1)
    q_place, q_rate = (jnp.broadcast_to(q, inertia.shape) for q in stage_prices(weights))
    b_place, b_rate = 0.5 * dt**2 / inertia, dt / inertia

    def backwards(p: CostToGo, _: None) -> tuple[CostToGo, None]:
        # Aᵀ P A and Aᵀ P B, written out: a 2×2 matrix is three numbers.
        cross = p.cross + dt * p.place
        rate = p.rate + 2.0 * dt * p.cross + dt**2 * p.place
        pb_place = p.place * b_place + p.cross * b_rate
        pb_rate = p.cross * b_place + p.rate * b_rate
        gain = 1.0 / (effort + b_place * pb_place + b_rate * pb_rate)
        apb_place, apb_rate = pb_place, pb_rate + dt * pb_place
        return CostToGo(
            q_place + p.place - gain * apb_place**2,
            cross - gain * apb_place * apb_rate,
            q_rate + rate - gain * apb_rate**2,
        ), None

    start = CostToGo(q_place, jnp.zeros_like(inertia), q_rate)
    return jax.lax.scan(backwards, start, length=_ITERATIONS)[0]
