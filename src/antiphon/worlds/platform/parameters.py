"""The physical figures of the planar platform, and the forces of its valves."""

import math
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from antiphon.core.errors import UserError
from antiphon.worlds.platform.columns import apart

RADIUS = 0.31
"""Radius of the authors' platform, m."""
VALVES = 8


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class PlatformParams:
    """Figures of a planar platform; any field may carry leading axes, one set of figures per environment.

    Attributes:
        mass: kg, [...].
        inertia: about the vertical through the centre of mass, kg m², [...].
        com: centre of mass in the body frame, from the geometric centre, m, [..., 2].
        nozzle_position: body frame, m, [..., 8, 2].
        nozzle_direction: unit vectors of the *force*, body frame, [..., 8, 2].
        thrust: of each nozzle open alone, N, [..., 8].
        mask: 1 where a nozzle works, 0 where it is dead, [..., 8].
        linear_drag: N s/m, at the centre of mass, [...].
        angular_drag: N m s/rad, [...].
        split_thrust: whether open valves share the pressure.
    """

    mass: Float[Array, "*B"]
    inertia: Float[Array, "*B"]
    com: Float[Array, "*B 2"]
    nozzle_position: Float[Array, "*B 8 2"]
    nozzle_direction: Float[Array, "*B 8 2"]
    thrust: Float[Array, "*B 8"]
    mask: Float[Array, "*B 8"]
    linear_drag: Float[Array, "*B"]
    angular_drag: Float[Array, "*B"]
    split_thrust: bool = field(default=True, metadata={"static": True})


def planar(
    *,
    mass: float = 5.32,
    inertia: float | None = None,
    thrust: float = 1.0,
    com: tuple[float, float] = (0.0, 0.0),
    linear_drag: float = 0.0,
    angular_drag: float = 0.0,
    split_thrust: bool = True,
) -> PlatformParams:
    """The authors' platform: four anchors on a circle of 0.31 m, at each two nozzles along ± the tangent.

    Valve 2k pushes clockwise (−torque) and valve 2k+1 counter-clockwise at the anchor of angle 45° + 90°·k.

    Args:
        mass: kg.
        inertia: kg m²; that of a solid sphere, 2/5·m·R², unless given.
        thrust: of every nozzle, N.
        com: centre of mass in the body frame, m.
        linear_drag: N s/m.
        angular_drag: N m s/rad.
        split_thrust: whether open valves share the pressure.

    Raises:
        UserError: a mass, inertia or thrust that is not positive, or a negative drag.

    Source: arXiv 2310.04266; the figures of its published configuration (mass 5.32 kg, 1 N per nozzle).
    """
    inertia = 0.4 * mass * RADIUS**2 if inertia is None else inertia
    for name, value in (("mass", mass), ("inertia", inertia), ("thrust", thrust)):
        if not value > 0:
            raise UserError("field", f"the platform's {name} is {value}", "give a positive number")
    for name, value in (("linear_drag", linear_drag), ("angular_drag", angular_drag)):
        if not value >= 0:
            raise UserError("field", f"the platform's {name} is {value}", "give a number of at least 0")
    # In NumPy and float64 first, so that the geometry is exact to float32.
    anchor = math.pi / 4 + np.repeat(np.arange(4), 2) * math.pi / 2
    turn = np.tile([-1.0, 1.0], 4)
    position = RADIUS * np.stack([np.cos(anchor), np.sin(anchor)], -1)
    direction = turn[:, None] * np.stack([-np.sin(anchor), np.cos(anchor)], -1)
    return PlatformParams(
        mass=jnp.asarray(mass, float),
        inertia=jnp.asarray(inertia, float),
        com=jnp.asarray(com, float),
        nozzle_position=jnp.asarray(position, float),
        nozzle_direction=jnp.asarray(direction, float),
        thrust=jnp.full(VALVES, thrust, float),
        mask=jnp.ones(VALVES, float),
        linear_drag=jnp.asarray(linear_drag, float),
        angular_drag=jnp.asarray(angular_drag, float),
        split_thrust=split_thrust,
    )


def allocation(params: PlatformParams) -> Float[Array, "*B 3 8"]:
    """B: the body wrench (fx, fy, torque about the centre of mass) of one newton at each nozzle.

    Columns are (d_i, (r_i − com) × d_i).
    """
    (x, y), (fx, fy) = (
        apart(params.nozzle_position - params.com[..., None, :]),
        apart(params.nozzle_direction),
    )
    return jnp.stack(jnp.broadcast_arrays(fx, fy, x * fy - y * fx), -2)


def valve_effects(params: PlatformParams) -> Float[Array, "*B 3 8"]:
    """Body acceleration (m/s², m/s², rad/s²) of each valve open alone: B thrust / (m, m, I)."""
    inertia = jnp.stack(jnp.broadcast_arrays(params.mass, params.mass, params.inertia), -1)
    return allocation(params) * params.thrust[..., None, :] / inertia[..., None]


def nozzle_forces(
    params: PlatformParams, valves: Float[Array, "*B 8"] | Bool[Array, "*B 8"]
) -> Float[Array, "*B 8"]:
    """Force of each nozzle, N: u_i = thrust_i · mask_i · a_i / max(1, Σ_j a_j).

    Without split_thrust nothing is shared. A dead valve that is commanded takes its share all the same, as in
    the authors' formula. Valves may be anything in [0, 1]: the fraction of the step they are open.

    Source: arXiv 2310.04266, its published simulator ("split_thrust").
    """
    opened = jnp.asarray(valves, params.thrust.dtype)
    shared = jnp.maximum(1.0, jnp.sum(opened, -1, keepdims=True)) if params.split_thrust else 1.0
    return params.thrust * params.mask * opened / shared


def wrench(
    params: PlatformParams, valves: Float[Array, "*B 8"] | Bool[Array, "*B 8"]
) -> Float[Array, "*B 3"]:
    """Body wrench (fx N, fy N, torque N m about the centre of mass) of a valve pattern.

    f = B u with `allocation` and `nozzle_forces`.
    """
    return wrench_of_forces(params, nozzle_forces(params, valves))


def wrench_of_forces(params: PlatformParams, forces: Float[Array, "*B 8"]) -> Float[Array, "*B 3"]:
    """B u: body wrench of given nozzle forces in N."""
    # A sum of products rather than a matrix product: three rows are too few for one, and it may be batched.
    return jnp.sum(allocation(params) * forces[..., None, :], -1)
