"""What a policy sees of a platform in space: errors in the body frame at two scales.

Nothing here imports jax; arrays may be NumPy or jax.
"""

from typing import Any

from jaxtyping import Float

from antiphon.worlds.platform.columns import apart, side_by_side
from antiphon.worlds.platform.quaternions import Columns, inverse, product, turned
from antiphon.worlds.platform.state import SpatialState
from antiphon.worlds.platform.tasks import SpatialTarget, Task

SPATIAL_SIZE = 30


def spatial_observation(task: Task, state: SpatialState, target: SpatialTarget) -> Float[Any, "*B 30"]:
    """Errors (target − platform) in the body frame; columns 9 to 17 are 0 when no attitude is asked for.

    [0:3] position error / 3 m, [3:6] its tanh(5·), [6:9] its tanh(40·); [9:15] the first two rows of the
    matrix of the attitude error, [15:18] tanh of ten times its small-angle rotation vector; [18:21] velocity
    error / 1 m/s, [21:24] its tanh(20·), [24:27] angular velocity error / 1 rad/s, [27:30] its tanh(10·).

    Source: arXiv 2310.04266, its published six-degree tasks (6-D rotation). Differs from the paper: body
    frame and two scales.
    """
    q = apart(state.orientation)
    back = inverse(q)
    xp = state.position.__array_namespace__()
    error = turned(back, apart(target.position - state.position))
    away = turned(back, apart(-state.velocity))
    spin = apart(-state.angular_velocity)
    nothing = xp.zeros_like(error[0])
    attitude: tuple[Any, ...] = (nothing,) * 9
    if task.heading:
        w, x, y, z = attitude_error(q, apart(target.orientation))
        attitude = (
            1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
            2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
            *(xp.tanh(20 * each) for each in (x, y, z)),
        )  # fmt: skip
    return side_by_side(
        *(each / 3 for each in error), *(xp.tanh(5 * each) for each in error),
        *(xp.tanh(40 * each) for each in error), *attitude,
        *away, *(xp.tanh(20 * each) for each in away), *spin, *(xp.tanh(10 * each) for each in spin),
    )  # fmt: skip


def attitude_error(q: Columns, wanted: Columns) -> Columns:
    """q⁻¹ ⊗ wanted with w ≥ 0: the shorter of the two turns that lead there, in the body frame."""
    error = product(inverse(q), wanted)
    xp = error[0].__array_namespace__()
    sign = xp.where(error[0] < 0, -1.0, 1.0)
    return tuple(sign * each for each in error)
