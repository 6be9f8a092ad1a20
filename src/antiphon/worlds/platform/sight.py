"""What sensors make of a motion: poses between control steps, late poses, and the filter over them."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from antiphon.worlds.platform.columns import apart, side_by_side
from antiphon.worlds.platform.draws import Draws
from antiphon.worlds.platform.estimator import PoseBelief, PoseFilter, world_acceleration
from antiphon.worlds.platform.plant import CONTROL_PERIOD
from antiphon.worlds.platform.state import PlatformState


def interpolated(
    before: PlatformState, after: PlatformState, share: float | Float[Array, "N"]
) -> PlatformState:
    """The state at a share of the way through a control step: cubic (Hermite) poses, linear velocities.

    Forces that are constant over the step make velocities nearly linear and poses nearly cubic, to a
    micrometre at 1 rad/s.

    Args:
        before: at share 0.
        after: at share 1.
        share: in [0, 1].
    """
    s = jnp.asarray(share)
    wide = s[..., None]
    return PlatformState(
        position=_hermite(before.position, before.velocity, after.position, after.velocity, wide),
        heading=_hermite(before.heading, before.angular_velocity, after.heading, after.angular_velocity, s),
        velocity=(1 - wide) * before.velocity + wide * after.velocity,
        angular_velocity=(1 - s) * before.angular_velocity + s * after.angular_velocity,
    )


def track(
    pose_filter: PoseFilter,
    belief: PoseBelief,
    before: PlatformState,
    after: PlatformState,
    body_acceleration: Float[Array, "N 3"],
    noise: tuple[float | Array, float | Array],
    draws: Draws,
) -> PoseBelief:
    """The filter's belief after the poses of one control step.

    Args:
        pose_filter: the filter.
        belief: before the step.
        before: true state before the step.
        after: true state after it.
        body_acceleration: what the commanded valves should give (forward, leftward, angular), by the nominal
            figures.
        noise: half-widths of the uniform noise of each pose, m and rad.
        draws: random columns.
    """
    poses = max(1, round(CONTROL_PERIOD * pose_filter.rate_hz))
    dt = CONTROL_PERIOD / poses
    off, turned = noise
    for k in range(poses):
        true = interpolated(before, after, (k + 1) / poses)
        x, y = apart(true.position)
        heading = true.heading
        if not (isinstance(off, float) and off == 0.0):
            x, y = x + draws.symmetric(off), y + draws.symmetric(off)
        if not (isinstance(turned, float) and turned == 0.0):
            heading = heading + draws.symmetric(turned)
        belief = pose_filter.predict(belief, dt, world_acceleration(belief.pose, body_acceleration))
        # Left alone, XLA fuses all poses into one loop that computes the first of them a thousand times.
        belief = jax.lax.optimization_barrier(pose_filter.correct(belief, side_by_side(x, y, heading)))
    return belief


def _hermite(p0: Array, v0: Array, p1: Array, v1: Array, s: Array) -> Array:
    h = CONTROL_PERIOD
    return (
        (1 + 2 * s) * (1 - s) ** 2 * p0
        + s * (1 - s) ** 2 * h * v0
        + s**2 * (3 - 2 * s) * p1
        + s**2 * (s - 1) * h * v1
    )
