"""All 256 ways to open eight valves, and what each does to a platform within one control period."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from antiphon.worlds.platform.controllers.cost_to_go import Errors
from antiphon.worlds.platform.parameters import PlatformParams, wrench
from antiphon.worlds.platform.plant import PlatformState

PATTERNS: Bool[np.ndarray, "256 8"] = (np.arange(256)[:, None] >> np.arange(8) & 1).astype(bool)
"""Row i opens the valves whose bits are set in i."""


class PatternTable(NamedTuple):
    """Each pattern's push, as the controller believes the plant to be."""

    acceleration: Float[Array, "*B 256 3"]
    """Body frame: m/s², m/s², rad/s²."""

    open: Float[Array, "*B 256"]
    """Valves that are open."""


def pattern_table(params: PlatformParams) -> PatternTable:
    """Accelerations of all patterns, with shared pressure as ``params`` has it.

    A dead valve stays shut whatever its bit says: an open one would take its share of the pressure, which a
    look-ahead could mistake for a way to push gently.
    """
    batch = max(params.mass.ndim, params.mask.ndim - 1)
    works = jnp.expand_dims(params.mask > 0, tuple(range(batch - (params.mask.ndim - 1))))
    patterns = jnp.asarray(PATTERNS).reshape(256, *(1,) * batch, 8) & works
    pushes = jnp.moveaxis(jax.vmap(lambda valves: wrench(params, valves))(patterns), 0, -2)
    inertia = jnp.stack([params.mass, params.mass, params.inertia], axis=-1)
    count = jnp.moveaxis(jnp.sum(patterns, axis=-1, dtype=jnp.float32), 0, -1)
    return PatternTable(pushes / inertia[..., None, :], count)


def opened(params: PlatformParams, chosen: Int[Array, "N"]) -> Bool[Array, "N 8"]:
    """The valves of patterns given by number, dead ones shut."""
    return jnp.asarray(PATTERNS)[chosen] & (params.mask > 0)


def after(
    errors: Errors, acceleration: Float[Array, "*B 3"], heading: Float[Array, "*B"], dt: float
) -> Errors:
    """Errors one control period later under a constant push in the body frame.

    The push is turned by the heading halfway through the period, ``heading``; exact but for the turning
    within the period, and for drag.
    """
    cos, sin = jnp.cos(heading), jnp.sin(heading)
    ax, ay, turn = acceleration[..., 0], acceleration[..., 1], acceleration[..., 2]
    push = jnp.stack(jnp.broadcast_arrays(cos * ax - sin * ay, sin * ax + cos * ay, turn), axis=-1)
    return Errors(errors.place + dt * errors.rate + 0.5 * dt**2 * push, errors.rate + dt * push)


def halfway(state: PlatformState, dt: float) -> Float[Array, "*B"]:
    """Heading half a period from now if no valve opens."""
    return state.heading + 0.5 * dt * state.angular_velocity
