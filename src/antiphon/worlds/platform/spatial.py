"""The platform in six degrees of freedom: sixteen nozzles, a quaternion, the gyroscopic torque."""

import math
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from antiphon.core.errors import UserError
from antiphon.worlds.platform.columns import apart, side_by_side
from antiphon.worlds.platform.parameters import RADIUS
from antiphon.worlds.platform.plant import CONTROL_PERIOD
from antiphon.worlds.platform.quaternions import Columns, cross, inverse, normalised, product, turned
from antiphon.worlds.platform.state import SpatialState, SpatialWrench

SPATIAL_VALVES = 16
Motion = tuple[Columns, Columns, Columns, Columns]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class SpatialParams:
    """Figures of a platform in six degrees of freedom; any field may carry leading axes.

    Attributes:
        mass: kg, [...].
        inertia: principal moments about the centre of mass, along the body axes, kg m², [..., 3].
        com: centre of mass in the body frame, m, [..., 3].
        nozzle_position: body frame, m, [..., 16, 3].
        nozzle_direction: unit vectors of the force, body frame, [..., 16, 3].
        thrust: of each nozzle open alone, N, [..., 16].
        mask: 1 where a nozzle works, 0 where it is dead, [..., 16].
        linear_drag: N s/m, at the centre of mass, [...].
        angular_drag: N m s/rad, [...].
        split_thrust: whether open valves share the pressure.
    """

    mass: Float[Array, "*B"]
    inertia: Float[Array, "*B 3"]
    com: Float[Array, "*B 3"]
    nozzle_position: Float[Array, "*B 16 3"]
    nozzle_direction: Float[Array, "*B 16 3"]
    thrust: Float[Array, "*B 16"]
    mask: Float[Array, "*B 16"]
    linear_drag: Float[Array, "*B"]
    angular_drag: Float[Array, "*B"]
    split_thrust: bool = field(default=True, metadata={"static": True})


def spatial(
    *,
    mass: float = 5.32,
    inertia: tuple[float, float, float] | None = None,
    thrust: float = 1.0,
    com: tuple[float, float, float] = (0.0, 0.0, 0.0),
    linear_drag: float = 0.0,
    angular_drag: float = 0.0,
    split_thrust: bool = True,
) -> SpatialParams:
    """The authors' platform in space: at each of four anchors two nozzles along ± the tangent, two along ± z.

    Valves 4k to 4k+3 push at the anchor of angle 45° + 90°·k: clockwise, counter-clockwise, down, up.

    Args:
        mass: kg.
        inertia: principal moments, kg m²; those of a solid sphere, 2/5·m·R², unless given.
        thrust: of every nozzle, N.
        com: centre of mass in the body frame, m.
        linear_drag: N s/m.
        angular_drag: N m s/rad.
        split_thrust: whether open valves share the pressure.

    Raises:
        UserError: a mass, moment of inertia or thrust that is not positive, or a negative drag.

    Source: arXiv 2310.04266, its published simulator (four anchors of four nozzles).
    """
    moments = (0.4 * mass * RADIUS**2,) * 3 if inertia is None else inertia
    for name, value in (("mass", mass), ("inertia", min(moments)), ("thrust", thrust)):
        if not value > 0:
            raise UserError("field", f"the platform's {name} is {value}", "give a positive number")
    for name, value in (("linear_drag", linear_drag), ("angular_drag", angular_drag)):
        if not value >= 0:
            raise UserError("field", f"the platform's {name} is {value}", "give a number of at least 0")
    positions, directions = [], []
    for k in range(4):
        cos, sin = math.cos(math.pi / 4 + k * math.pi / 2), math.sin(math.pi / 4 + k * math.pi / 2)
        positions += [(RADIUS * cos, RADIUS * sin, 0.0)] * 4
        directions += [(sin, -cos, 0.0), (-sin, cos, 0.0), (0.0, 0.0, -1.0), (0.0, 0.0, 1.0)]
    return SpatialParams(
        mass=jnp.asarray(mass, float),
        inertia=jnp.asarray(moments, float),
        com=jnp.asarray(com, float),
        nozzle_position=jnp.asarray(np.array(positions), float),
        nozzle_direction=jnp.asarray(np.array(directions), float),
        thrust=jnp.full(SPATIAL_VALVES, thrust, float),
        mask=jnp.ones(SPATIAL_VALVES, float),
        linear_drag=jnp.asarray(linear_drag, float),
        angular_drag=jnp.asarray(angular_drag, float),
        split_thrust=split_thrust,
    )


def spatial_figures(params: SpatialParams) -> dict[str, Any]:
    """Figures of one platform without leading axes, as JSON values in SI units."""
    names = ("mass", "inertia", "com", "nozzle_position", "nozzle_direction", "thrust", "linear_drag",
             "angular_drag")  # fmt: skip
    figures: dict[str, Any] = {name: np.asarray(getattr(params, name)).tolist() for name in names}
    return figures | {"split_thrust": params.split_thrust}


def spatial_allocation(params: SpatialParams) -> Float[Array, "*B 6 16"]:
    """B: body force and torque about the centre of mass of one newton at each nozzle, rows (f, τ)."""
    direction = apart(params.nozzle_direction)
    torque = cross(apart(params.nozzle_position - params.com[..., None, :]), direction)
    return jnp.stack(jnp.broadcast_arrays(*direction, *torque), -2)


def spatial_wrench(params: SpatialParams, forces: Float[Array, "*B 16"]) -> Float[Array, "*B 6"]:
    """B u: body force (N) and torque (N m) of nozzle forces, as `parameters.nozzle_forces` gives them."""
    return jnp.sum(spatial_allocation(params) * forces[..., None, :], -1)


def spatial_forces(
    params: SpatialParams, valves: Float[Array, "*B 16"] | Bool[Array, "*B 16"]
) -> Float[Array, "*B 16"]:
    """Force of each nozzle, N, with shared pressure: thrust · mask · a / max(1, Σ a)."""
    opened = jnp.asarray(valves, params.thrust.dtype)
    shared = jnp.maximum(1.0, jnp.sum(opened, -1, keepdims=True)) if params.split_thrust else 1.0
    return params.thrust * params.mask * opened / shared


def spatial_advance(
    params: SpatialParams,
    state: SpatialState,
    valves: Float[Array, "*B 16"] | Bool[Array, "*B 16"],
    disturbance: SpatialWrench | None = None,
    dt: float = CONTROL_PERIOD,
    substeps: int = 5,
) -> SpatialState:
    """The state after valves were held open for dt seconds; see `spatial_push`."""
    body = spatial_wrench(params, spatial_forces(params, valves))
    return spatial_push(params, state, body, disturbance, dt, substeps)


def spatial_push(
    params: SpatialParams,
    state: SpatialState,
    body_wrench: Float[Array, "*B 6"],
    disturbance: SpatialWrench | None = None,
    dt: float = CONTROL_PERIOD,
    substeps: int = 5,
) -> SpatialState:
    """The state after a constant body wrench and a constant world wrench have acted for dt seconds.

    m c̈ = R(q) f + F − k_v ċ, q̇ = ½ q ⊗ (0, ω), I ω̇ = τ + R(q)ᵀ T − ω × I ω − k_ω ω, by Runge–Kutta of order
    four in equal sub-steps; five of 0.04 s are exact to float32 up to about 2 rad/s.

    Source: arXiv 2310.04266, its published simulator (PhysX there).
    """
    com = apart(params.com)
    q, omega = apart(state.orientation), apart(state.angular_velocity)
    arm = turned(q, com)
    swing = turned(q, cross(omega, com))
    c = tuple(a + b for a, b in zip(apart(state.position), arm, strict=True))
    v = tuple(a + b for a, b in zip(apart(state.velocity), swing, strict=True))
    *force, t_x, t_y, t_z = apart(body_wrench)
    moments = apart(params.inertia)
    push = (0.0,) * 3 if disturbance is None else apart(disturbance.force)
    twist = None if disturbance is None else apart(disturbance.torque)
    zero = jnp.zeros_like(q[0])

    def rates(at: Motion) -> Motion:
        _, q, v, omega = at
        pushed = turned(q, tuple(force))
        v_dot = tuple(
            (f + g - params.linear_drag * s) / params.mass for f, g, s in zip(pushed, push, v, strict=True)
        )
        spin = cross(omega, tuple(i * w for i, w in zip(moments, omega, strict=True)))
        torque = (t_x, t_y, t_z)
        if twist is not None:
            torque = tuple(a + b for a, b in zip(torque, turned(inverse(q), twist), strict=True))
        omega_dot = tuple(
            (t - g - params.angular_drag * w) / i
            for t, g, w, i in zip(torque, spin, omega, moments, strict=True)
        )
        q_dot = tuple(0.5 * each for each in product(q, (zero, *omega)))
        return jax.lax.optimization_barrier((v, q_dot, v_dot, omega_dot))

    h = dt / substeps

    def runge_kutta(_: int, at: Motion) -> Motion:
        k1 = rates(at)
        k2 = rates(_moved(at, k1, h / 2))
        k3 = rates(_moved(at, k2, h / 2))
        k4 = rates(_moved(at, k3, h))
        for k, weight in ((k1, 1 / 6), (k2, 1 / 3), (k3, 1 / 3), (k4, 1 / 6)):
            at = _moved(at, k, h * weight)
        return at[0], normalised(at[1]), at[2], at[3]

    # A loop and barriers: left alone, XLA fuses the stages into each other, and compiles for minutes.
    c, q, v, omega = jax.lax.fori_loop(0, substeps, runge_kutta, (c, q, v, omega))
    arm, swing = turned(q, com), turned(q, cross(omega, com))
    return SpatialState(
        position=side_by_side(*(a - b for a, b in zip(c, arm, strict=True))),
        orientation=side_by_side(*q),
        velocity=side_by_side(*(a - b for a, b in zip(v, swing, strict=True))),
        angular_velocity=side_by_side(*omega),
    )


def _moved(at: Motion, rate: Motion, h: float) -> Motion:
    """Every column a step along its rate."""
    position, orientation, velocity, spin = (
        tuple(a + h * b for a, b in zip(columns, slopes, strict=True))
        for columns, slopes in zip(at, rate, strict=True)
    )
    return position, orientation, velocity, spin
