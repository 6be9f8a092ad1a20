"""Where the platform is, and what pushes it: the two records that simulator, policy and robot exchange.

Nothing here imports jax; fields may be NumPy or jax arrays.
"""

from typing import Any, NamedTuple

from jaxtyping import Float


class PlatformState(NamedTuple):
    """Motion of the platform's geometric centre, in the world frame and SI units.

    The centre is what motion capture sees; it is not the centre of mass when that is offset.

    Attributes:
        position: m, [..., 2].
        heading: rad, counter-clockwise, not wrapped, [...].
        velocity: m/s, world frame, [..., 2].
        angular_velocity: rad/s, [...].
    """

    position: Float[Any, "*B 2"]
    heading: Float[Any, "*B"]
    velocity: Float[Any, "*B 2"]
    angular_velocity: Float[Any, "*B"]


class Wrench(NamedTuple):
    """An outside push at the centre of mass, held over a control step.

    Attributes:
        force: N, world frame, [..., 2].
        torque: N m, [...].
    """

    force: Float[Any, "*B 2"]
    torque: Float[Any, "*B"]


class SpatialState(NamedTuple):
    """Motion of the geometric centre in six degrees of freedom, SI units.

    Attributes:
        position: m, world frame, [..., 3].
        orientation: unit quaternion (w, x, y, z) that turns body vectors into the world, [..., 4].
        velocity: m/s, world frame, [..., 3].
        angular_velocity: rad/s, body frame, [..., 3].
    """

    position: Float[Any, "*B 3"]
    orientation: Float[Any, "*B 4"]
    velocity: Float[Any, "*B 3"]
    angular_velocity: Float[Any, "*B 3"]


class SpatialWrench(NamedTuple):
    """An outside push at the centre of mass, world frame, held over a control step.

    Attributes:
        force: N, [..., 3].
        torque: N m, [..., 3].
    """

    force: Float[Any, "*B 3"]
    torque: Float[Any, "*B 3"]
