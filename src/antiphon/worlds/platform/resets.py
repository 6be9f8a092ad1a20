"""How episodes begin: where, towards what, and inside a step in place of those that are done."""

from typing import TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from antiphon.worlds.platform.columns import rotated, side_by_side
from antiphon.worlds.platform.draws import Draws
from antiphon.worlds.platform.state import PlatformState
from antiphon.worlds.platform.tasks import Spawn, Target, Task

Batch = TypeVar("Batch")


def begun_anew(done: Bool[Array, "N"], fresh: Batch, going: Batch) -> Batch:
    """`fresh` where done, else `going`, in every leaf [N, …] of two trees of one structure.

    Leaves without axes belong to the whole batch, such as its clock; they are those of `fresh`.
    """

    def pick(new: Array, old: Array) -> Array:
        if not old.ndim:
            return new
        return jnp.where(done.reshape(done.shape + (1,) * (old.ndim - 1)), new, old)

    return jax.tree.map(pick, fresh, going)


def spawned(
    task: Task,
    spawn: Spawn,
    distance: tuple[float | Float[Array, ""], float | Float[Array, ""]],
    draws: Draws,
) -> tuple[PlatformState, Target]:
    """States and targets of N new episodes, the targets at the origin.

    Args:
        task: what of a target counts.
        spawn: how fast platform and target may be.
        distance: least and greatest from the target, m; a curriculum may have moved them from those of
            ``spawn``.
        draws: of the N episodes.
    """
    away, bearing = draws.uniform(*distance), draws.angle()
    heading = draws.angle()
    nothing = jnp.zeros_like(heading)
    still = side_by_side(nothing, nothing)
    state = PlatformState(
        position=side_by_side(*rotated(bearing, away, 0.0)),
        heading=heading,
        velocity=still,
        angular_velocity=draws.symmetric(spawn.angular_speed) if spawn.angular_speed else nothing,
    )
    if spawn.speed:
        speed, way = draws.uniform(0.0, spawn.speed), draws.angle()
        state = state._replace(velocity=side_by_side(*rotated(way, speed, 0.0)))
    target = Target(
        position=still,
        heading=draws.angle() if task.heading else nothing,
        velocity=draws.columns(2, spawn.target_speed) if task.velocity else still,
        angular_velocity=draws.symmetric(spawn.target_angular_speed) if task.angular_velocity else nothing,
    )
    if task.passage == "dock":
        # The dock opens towards the platform, which may begin anywhere inside the cone's directions.
        side = jnp.arctan2(-state.position[:, 1], -state.position[:, 0])
        target = target._replace(heading=side + draws.symmetric(0.3))
    return state, target
