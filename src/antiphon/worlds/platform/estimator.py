"""Velocities from a stream of poses: a Kalman filter per axis, the same in training and on the robot.

Nothing here imports jax; arrays may be NumPy or jax.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

from jaxtyping import Float

from antiphon.core.errors import UserError
from antiphon.worlds.platform.columns import apart, rotated, side_by_side
from antiphon.worlds.platform.observation import wrapped
from antiphon.worlds.platform.state import PlatformState


class PoseBelief(NamedTuple):
    """What the filter believes of (x, y, heading): a Gaussian for each axis and its rate.

    Attributes:
        pose: mean of x m, y m, heading rad, [..., 3].
        rate: mean of their rates, [..., 3].
        pose_variance: [..., 3].
        covariance: of pose and rate, [..., 3].
        rate_variance: [..., 3].
    """

    pose: Float[Any, "*B 3"]
    rate: Float[Any, "*B 3"]
    pose_variance: Float[Any, "*B 3"]
    covariance: Float[Any, "*B 3"]
    rate_variance: Float[Any, "*B 3"]

    def state(self) -> PlatformState:
        """The mean as a platform state."""
        return PlatformState(self.pose[..., :2], self.pose[..., 2], self.rate[..., :2], self.rate[..., 2])


@dataclass(frozen=True)
class PoseFilter:
    """A constant-velocity Kalman filter on each of x, y and heading, driven by white acceleration.

    Between poses (p, v) follows p' = p + v dt + ½ a dt², v' = v + a dt with a the acceleration that the
    valves are known to give (0 when unknown) plus white noise of density q², which adds
    q² [[dt³/3, dt²/2], [dt²/2, dt]] to the covariance. A pose has independent noise of variance r².

    Attributes:
        acceleration_noise: q of x and y, m/s² per √Hz.
        angular_acceleration_noise: q of the heading, rad/s² per √Hz.
        position_noise: r of a measured x or y, m.
        heading_noise: r of a measured heading, rad.
        rate_hz: poses per second of the stream.

    Raises:
        UserError: a figure that is not positive.

    The noise of the acceleration stands for what the valves do not explain. With ±2 mm on each
    pose, 0.03 leaves velocities with a standard deviation of 3 mm/s, and a floor of 0.25 N under 5.32 kg
    biases them by 5 mm/s.

    Source: Bar-Shalom, Li, Kirubarajan 2001, section 6.2.2. Differs from arXiv 2310.04266, whose robot
    divides differences over half a second and so lags by a quarter of one.
    """

    acceleration_noise: float = 0.03
    angular_acceleration_noise: float = 0.2
    position_noise: float = 0.002
    heading_noise: float = 0.005
    rate_hz: float = 100.0

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            if not getattr(self, name) > 0:
                raise UserError(
                    "field", f"the pose filter's {name} is not positive", "give a positive number"
                )

    def begin(self, pose: Float[Any, "*B 3"]) -> PoseBelief:
        """The belief after a first pose: there, at rest give or take 1 m/s and 1 rad/s."""
        xp = pose.__array_namespace__()
        ones = xp.ones_like(pose)
        return PoseBelief(pose, 0 * ones, ones * self._measured(pose), 0 * ones, ones)

    def predict(
        self, belief: PoseBelief, dt: float, acceleration: Float[Any, "*B 3"] | float = 0.0
    ) -> PoseBelief:
        """The belief dt seconds later.

        Args:
            belief: before.
            dt: seconds.
            acceleration: known (a_x, a_y, angular), world frame, m/s² and rad/s², [..., 3].
        """
        known = (acceleration,) * 3 if isinstance(acceleration, int | float) else apart(acceleration)
        powers = self.acceleration_noise**2, self.acceleration_noise**2, self.angular_acceleration_noise**2
        axes = []
        for (x, v, p00, p01, p11), a, power in zip(_by_axis(belief), known, powers, strict=True):
            axes.append(
                (
                    x + dt * v + dt**2 / 2 * a,
                    v + dt * a,
                    p00 + 2 * dt * p01 + dt**2 * p11 + power * dt**3 / 3,
                    p01 + dt * p11 + power * dt**2 / 2,
                    p11 + power * dt,
                )
            )
        return _belief(axes)

    def correct(self, belief: PoseBelief, pose: Float[Any, "*B 3"]) -> PoseBelief:
        """The belief after a pose is seen; the heading's innovation is taken the short way round."""
        missed = apart(self.innovation(belief, pose))
        measured = self.position_noise**2, self.position_noise**2, self.heading_noise**2
        axes = []
        for (x, v, p00, p01, p11), e, variance in zip(_by_axis(belief), missed, measured, strict=True):
            gain_pose, gain_rate = p00 / (p00 + variance), p01 / (p00 + variance)
            axes.append(
                (
                    x + gain_pose * e,
                    v + gain_rate * e,
                    (1 - gain_pose) * p00,
                    (1 - gain_pose) * p01,
                    p11 - gain_rate * p01,
                )
            )
        return _belief(axes)

    def innovation(self, belief: PoseBelief, pose: Float[Any, "*B 3"]) -> Float[Any, "*B 3"]:
        """Pose − believed pose, heading wrapped; the robot's watch looks at it before it corrects."""
        x, y, heading = apart(pose - belief.pose)
        return side_by_side(x, y, wrapped(heading))

    def _measured(self, pose: Any) -> Any:
        return _per_axis(pose, self.position_noise**2, self.heading_noise**2)


def world_acceleration(pose: Float[Any, "*B 3"], body: Float[Any, "*B 3"]) -> Float[Any, "*B 3"]:
    """A body acceleration (forward, leftward, angular) turned into the world by the pose's heading.

    What `PoseFilter.predict` takes when the valves are known: body = (f_x/m, f_y/m, torque/inertia).
    """
    forth, left, turn = apart(body)
    return side_by_side(*rotated(pose[..., 2], forth, left), turn)


def _per_axis(like: Any, linear: float, angular: float) -> Any:
    return like.__array_namespace__().asarray([linear, linear, angular], dtype=like.dtype)


def _by_axis(belief: PoseBelief) -> list[tuple[Any, ...]]:
    """For each of x, y and heading its five numbers as columns, over which loops are fast."""
    return list(zip(*(apart(field) for field in belief), strict=True))


def _belief(axes: list[tuple[Any, ...]]) -> PoseBelief:
    return PoseBelief(*(side_by_side(*columns) for columns in zip(*axes, strict=True)))
