"""The classical baseline of the paper's authors: LQR gains for eight valves, rounded."""

from dataclasses import dataclass, field
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from antiphon.worlds.platform.controllers.cost_to_go import errors_of, stage_prices
from antiphon.worlds.platform.controllers.weights import AUTHORS, Weights
from antiphon.worlds.platform.parameters import PlatformParams, wrench
from antiphon.worlds.platform.plant import PlatformState
from antiphon.worlds.platform.tasks import Target

_ITERATIONS = 400


class Gains(NamedTuple):
    """What does not change within an episode."""

    gains: Float[Array, "*B 8 6"]
    """Valve signals for errors in the body frame: x, y, 2 sin(heading / 2), then their rates."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class LqrRound:
    """u = −L x as if valves were continuous, independent and could pull; then min–max normalised and rounded.

    A signal below 0.25 is set to 0, the eight signals are stretched to [0, 1], and a valve opens above 0.75.

    Attributes:
        weights: Q; the authors' (1, 1, 5, 5, 1, 1, 1) for x, y, their rates, q_w, q_z and ω is a heading
            weight of 1/4, because q_z ≈ heading / 2.
        effort: R, price of each squared valve signal.
        half_pulse: the authors' finite difference multiplies the backward push alone by √½, which makes the
            columns of their B smaller by (1 + √½)/2; True does the same.
        dt: control period in s.

    Source: arXiv 2310.04266, the program its authors published with it. Differs from it: the gains are found
    once in the body frame, in which the linearisation at any heading is one and the same, and the error of
    the heading does not depend on the sign of the quaternion.
    """

    weights: Weights = AUTHORS
    effort: float | Float[Array, ""] = 0.01
    half_pulse: bool = field(default=False, metadata={"static": True})
    dt: float = field(default=0.2, metadata={"static": True})

    def start(self, params: PlatformParams, envs: int) -> Gains:
        """Riccati solution with the columns of dead valves left out."""
        del envs
        alone = jnp.eye(8).reshape(8, *(1,) * _batch_axes(params), 8)
        pushes = jnp.moveaxis(jax.vmap(lambda valves: wrench(params, valves))(alone), 0, -1)  # [..., 3, 8]
        inertia = jnp.stack([params.mass, params.mass, params.inertia], axis=-1)
        columns = pushes / inertia[..., None]
        if self.half_pulse:
            columns = columns * (1.0 + 0.5**0.5) / 2.0
        return Gains(_gains(columns, self.weights, self.effort, self.dt))

    def act(
        self, params: PlatformParams, memory: Gains, state: PlatformState, target: Target
    ) -> tuple[Bool[Array, "N 8"], Gains]:
        """Rounded valves for each platform."""
        place, rate = errors_of(state, target)
        cos, sin = jnp.cos(state.heading), jnp.sin(state.heading)
        bent = 2.0 * jnp.sin(0.5 * place[..., 2])
        body = jnp.stack([*_turned(place, cos, sin), bent, *_turned(rate, cos, sin), rate[..., 2]], axis=-1)
        signal = -jnp.einsum("...vs,...s->...v", memory.gains, body)
        return _rounded(signal) & (params.mask > 0), memory


def _batch_axes(params: PlatformParams) -> int:
    return max(params.mass.ndim, params.mask.ndim - 1)


def _turned(vector: Array, cos: Array, sin: Array) -> tuple[Array, Array]:
    """World to body."""
    x, y = vector[..., 0], vector[..., 1]
    return cos * x + sin * y, -sin * x + cos * y


def _rounded(signal: Float[Array, "*B 8"]) -> Bool[Array, "*B 8"]:
    kept = jnp.where(jnp.abs(signal) < 0.25, 0.0, signal)
    low, high = (reduce(kept, axis=-1, keepdims=True) for reduce in (jnp.min, jnp.max))
    # The original asks only whether the maximum is 0, and divides by 0 where all signals agree.
    spread = jnp.where(high > low, high - low, 1.0)
    return ((kept - low) / spread > 0.75) & (high != 0.0) & (high > low)


def _gains(
    columns: Float[Array, "*B 3 8"], weights: Weights, effort: float | Array, dt: float
) -> Float[Array, "*B 8 6"]:
    """L = (R + Bᵀ P B)⁻¹ Bᵀ P A with P iterated from Q."""
    eye, zero = jnp.eye(3), jnp.zeros((3, 3))
    a = jnp.block([[eye, dt * eye], [zero, eye]])
    b = jnp.concatenate([0.5 * dt**2 * columns, dt * columns], axis=-2)
    q = jnp.diag(jnp.concatenate(stage_prices(weights)))
    r = effort * jnp.eye(8)

    def gain(p: Array) -> Array:
        pb = p @ b
        return jnp.linalg.solve(r + jnp.swapaxes(b, -1, -2) @ pb, jnp.swapaxes(pb, -1, -2) @ a)

    def backwards(p: Array, _: None) -> tuple[Array, None]:
        p = q + a.T @ p @ (a - b @ gain(p))
        return 0.5 * (p + jnp.swapaxes(p, -1, -2)), None

    start = jnp.broadcast_to(q, (*columns.shape[:-2], 6, 6))
    return gain(jax.lax.scan(backwards, start, length=_ITERATIONS)[0])
