"""The planar platform in motion: rigid body, constant valves over a control step, exact forces."""

import math

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from antiphon.worlds.platform.columns import apart, rotated, side_by_side
from antiphon.worlds.platform.parameters import PlatformParams, wrench
from antiphon.worlds.platform.state import PlatformState, Wrench

__all__ = ["CONTROL_PERIOD", "PlatformState", "Wrench", "advance", "no_wrench", "push"]

CONTROL_PERIOD = 0.2
"""Seconds between two decisions of a policy (5 Hz)."""

# Gauss–Legendre on [0, 1]: exact for polynomials of degree five in time.
_NODES = ((1 - math.sqrt(0.6)) / 2, 0.5, (1 + math.sqrt(0.6)) / 2)
_WEIGHTS = (5 / 18, 8 / 18, 5 / 18)


def no_wrench(state: PlatformState) -> Wrench:
    """Nothing pushes from outside."""
    return Wrench(jnp.zeros_like(state.position), jnp.zeros_like(state.heading))


def advance(
    params: PlatformParams,
    state: PlatformState,
    valves: Float[Array, "*B 8"] | Bool[Array, "*B 8"],
    disturbance: Wrench | None = None,
    dt: float | Float[Array, "*B"] = CONTROL_PERIOD,
    substeps: int = 1,
) -> PlatformState:
    """The state after valves were held open for dt seconds; see `push`.

    Args:
        params: figures, with or without leading axes.
        state: leading axes *B.
        valves: 1 open, 0 shut, in the order of `parameters.planar`.
        disturbance: outside push in the world frame, held over dt; none unless given.
        dt: seconds; may differ by environment.
        substeps: equal parts into which dt is cut; one is exact to float32 up to about 10 rad/s.
    """
    return push(params, state, wrench(params, valves), disturbance, dt, substeps)


def push(
    params: PlatformParams,
    state: PlatformState,
    body_wrench: Float[Array, "*B 3"],
    disturbance: Wrench | None = None,
    dt: float | Float[Array, "*B"] = CONTROL_PERIOD,
    substeps: int = 1,
) -> PlatformState:
    """The state after a constant body wrench and a constant world wrench have acted for dt seconds.

    With c the centre of mass: m c̈ = R(θ) f_body + F − k_v ċ and I θ̈ = τ_body + T − k_ω θ̇. The heading is
    known in closed form; the force turns with it, and its two time integrals are taken by three-point Gauss
    quadrature, so that no force is ever "one step old". Drag enters through exact exponentials, in series
    that are good to float32 for drag·dt/mass up to about 0.5.

    Source: arXiv 2310.04266, its published simulator. Differs from it: exact integrals of the force in place
    of ten Euler steps of 0.02 s, and force in all of them rather than in nine of ten.
    """
    c_x, c_y = apart(params.com)
    (x, y), (v_x, v_y), (f_x, f_y, turn) = apart(state.position), apart(state.velocity), apart(body_wrench)
    heading, rate = state.heading, state.angular_velocity
    # The body's motion is simple at the centre of mass, and seen at the geometric centre.
    arm_x, arm_y = rotated(heading, c_x, c_y)
    x, y = x + arm_x, y + arm_y
    v_x, v_y = v_x - rate * arm_y, v_y + rate * arm_x
    f_x, f_y = f_x / params.mass, f_y / params.mass
    w_x, w_y = 0.0, 0.0
    if disturbance is not None:
        w_x, w_y = (force / params.mass for force in apart(disturbance.force))
        turn = turn + disturbance.torque
    turn = turn / params.inertia
    slow, still = params.linear_drag / params.mass, params.angular_drag / params.inertia
    h = dt / substeps
    for _ in range(substeps):
        moved_x, moved_y, gained_x, gained_y = 0.0, 0.0, 0.0, 0.0
        for node, weight in zip(_NODES, _WEIGHTS, strict=True):
            at, left = node * h, (1 - node) * h
            then = heading + at * _phi1(still * at) * rate + at**2 * _phi2(still * at) * turn
            a_x, a_y = rotated(then, f_x, f_y)
            a_x, a_y = weight * (a_x + w_x), weight * (a_y + w_y)
            kept, reach = h * _decay(slow * left), h * left * _phi1(slow * left)
            moved_x, moved_y = moved_x + reach * a_x, moved_y + reach * a_y
            gained_x, gained_y = gained_x + kept * a_x, gained_y + kept * a_y
        kept, reach = _decay(slow * h), h * _phi1(slow * h)
        x, y = x + reach * v_x + moved_x, y + reach * v_y + moved_y
        v_x, v_y = kept * v_x + gained_x, kept * v_y + gained_y
        heading = heading + h * _phi1(still * h) * rate + h**2 * _phi2(still * h) * turn
        rate = _decay(still * h) * rate + h * _phi1(still * h) * turn
    arm_x, arm_y = rotated(heading, c_x, c_y)
    return PlatformState(
        position=side_by_side(x - arm_x, y - arm_y),
        heading=heading,
        velocity=side_by_side(v_x + rate * arm_y, v_y - rate * arm_x),
        angular_velocity=rate,
    )


def _phi1(x: Array) -> Array:
    """(1 − e^{−x}) / x as a series: smooth at zero, where drag usually is."""
    return 1 - x * (1 / 2 - x * (1 / 6 - x * (1 / 24 - x * (1 / 120 - x * (1 / 720 - x / 5040)))))


def _phi2(x: Array) -> Array:
    """(e^{−x} − 1 + x) / x² as a series."""
    return 1 / 2 - x * (1 / 6 - x * (1 / 24 - x * (1 / 120 - x * (1 / 720 - x / 5040))))


def _decay(x: Array) -> Array:
    """e^{−x} = 1 − x φ1(x), from the same series so that the three agree."""
    return 1 - x * _phi1(x)
