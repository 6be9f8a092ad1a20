"""What is not as it should be: uneven floors, noise, dead valves, another mass, late poses."""

import dataclasses
import math
from dataclasses import dataclass
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from antiphon.core.errors import UserError
from antiphon.worlds.platform.columns import apart, rotated, side_by_side
from antiphon.worlds.platform.draws import Draws
from antiphon.worlds.platform.parameters import VALVES, PlatformParams
from antiphon.worlds.platform.state import PlatformState, Wrench
from antiphon.worlds.platform.tasks import nearest

_WAVE_NUMBER = (0.25, 3.0)
_WAVE_PHASE = 6.0


@dataclass(frozen=True)
class Disturbances:
    """Greatest magnitudes of everything that may go wrong; 0 switches a disturbance off, and costs nothing.

    Drawn once an episode: magnitudes uniform in [least·greatest, greatest], signs and directions at random.
    Drawn at every step: the noises, uniform in ±their width.

    Attributes:
        floor: force of an uneven floor, N.
        waves: the floor's force and the torque are sinusoids in position, F_k sin(f_k x_k + φ_k), with f in
            [0.25, 3] rad/m and φ in [−6, 6] rad, instead of constant.
        torque: N m.
        position_noise: of the pose that is seen, m.
        heading_noise: rad.
        velocity_noise: m/s.
        angular_velocity_noise: rad/s.
        action_noise: force added to each working nozzle, open or shut, N.
        valve_delay: seconds before valves obey; the previous pattern acts until then; at most one period.
        latency: age of what is seen, s; at most one period.
        failures: valves that may be dead.
        failure_chance: with which each of these is; distinct valves.
        mass: relative, uniform in 1 ± this; the inertia follows.
        inertia: relative, uniform in 1 ± this, on top.
        com: distance of the centre of mass from the centre, m.
        thrust: relative loss of each nozzle by itself, uniform in [0, this].
        nozzle_angle: error of each nozzle's direction, rad.
        nozzle_shift: error of each nozzle's position, per axis, m.
        linear_drag: N s/m.
        angular_drag: N m s/rad.
        least: least magnitude as a share of the greatest, for floor, torque, com, delay, latency and drag.

    Raises:
        UserError: a magnitude that is negative, or out of its range.

    Source: arXiv 2310.04266, its published simulator. Differs from it: `floor` is the norm of the force (its
    0.25 N is 0.25/√2 N); a torque of its own for the centre of mass is not needed, because the plant has one.
    """

    floor: float = 0.0
    waves: bool = False
    torque: float = 0.0
    position_noise: float = 0.0
    heading_noise: float = 0.0
    velocity_noise: float = 0.0
    angular_velocity_noise: float = 0.0
    action_noise: float = 0.0
    valve_delay: float = 0.0
    latency: float = 0.0
    failures: int = 0
    failure_chance: float = 1.0
    mass: float = 0.0
    inertia: float = 0.0
    com: float = 0.0
    thrust: float = 0.0
    nozzle_angle: float = 0.0
    nozzle_shift: float = 0.0
    linear_drag: float = 0.0
    angular_drag: float = 0.0
    least: float = 0.0

    def __post_init__(self) -> None:
        most = {"valve_delay": 0.2, "latency": 0.2, "failures": VALVES, "failure_chance": 1.0, "mass": 0.9,
                "inertia": 0.9, "thrust": 1.0, "least": 1.0}  # fmt: skip
        for field in dataclasses.fields(self):
            value, top = getattr(self, field.name), most.get(field.name, math.inf)
            if not 0 <= value <= top:
                bound = "at least 0" if top == math.inf else f"between 0 and {top:g}"
                raise UserError(
                    "disturbance", f"disturbances.{field.name} is {value}", f"give a number {bound}"
                )

    @property
    def noisy_sight(self) -> bool:
        """Whether what is seen is not exact."""
        return (
            max(self.position_noise, self.heading_noise, self.velocity_noise, self.angular_velocity_noise) > 0
        )


class Weather(NamedTuple):
    """What was drawn for an episode; None where switched off.

    Attributes:
        physics: fields of `PlatformParams` that are drawn, by name, [N, …].
        force: amplitude of the floor's force, N, [N, 2].
        force_wave: wave numbers and phases of its two components, [N, 4].
        torque: amplitude, N m, [N].
        torque_wave: wave number and phase, [N, 2].
        valve_delay: s, [N].
        latency: s, [N].
    """

    physics: dict[str, Array]
    force: Float[Array, "N 2"] | None
    force_wave: Float[Array, "N 4"] | None
    torque: Float[Array, "N"] | None
    torque_wave: Float[Array, "N 2"] | None
    valve_delay: Float[Array, "N"] | None
    latency: Float[Array, "N"] | None


def draw_weather(
    disturbances: Disturbances, nominal: PlatformParams, draws: Draws, level: float | Float[Array, ""] = 1.0
) -> Weather:
    """Everything that stays the same for an episode, for a whole batch.

    Args:
        disturbances: greatest magnitudes.
        nominal: figures that the drawn ones are relative to; may be batched.
        draws: random columns.
        level: in [0, 1], by which all magnitudes are multiplied (see `curriculum`).
    """
    d = disturbances

    def magnitude(greatest: float) -> Array:
        return level * draws.uniform(d.least * greatest, greatest)

    def waves(count: int) -> Array:
        bounds = [_WAVE_NUMBER] * count + [(-_WAVE_PHASE, _WAVE_PHASE)] * count
        return side_by_side(*(draws.uniform(*bound) for bound in bounds))

    force = None
    if d.floor:
        size, angle = magnitude(d.floor), draws.angle()
        force = side_by_side(*rotated(angle, size, 0.0))
    torque = magnitude(d.torque) * jnp.sign(draws.symmetric(1.0)) if d.torque else None
    return Weather(
        physics=_physics(d, nominal, draws, level, magnitude),
        force=force,
        force_wave=waves(2) if d.floor and d.waves else None,
        torque=torque,
        torque_wave=waves(1) if d.torque and d.waves else None,
        valve_delay=magnitude(d.valve_delay) if d.valve_delay else None,
        latency=magnitude(d.latency) if d.latency else None,
    )


def _physics(d: Disturbances, nominal: PlatformParams, draws: Draws, level, magnitude) -> dict[str, Array]:
    drawn: dict[str, Array] = {}
    if d.mass:
        drawn["mass"] = nominal.mass * (1 + level * draws.symmetric(d.mass))
    if d.mass or d.inertia:
        extra = 1 + level * draws.symmetric(d.inertia) if d.inertia else 1.0
        # A heavier platform of the same shape is harder to turn by the same factor.
        drawn["inertia"] = nominal.inertia * extra * (drawn["mass"] / nominal.mass if d.mass else 1.0)
    if d.com:
        size, angle = magnitude(d.com), draws.angle()
        drawn["com"] = nominal.com + side_by_side(*rotated(angle, size, 0.0))
    if d.thrust:
        lost = 0.5 * level * (d.thrust + draws.columns(VALVES, d.thrust))
        drawn["thrust"] = nominal.thrust * (1 - lost)
    if d.nozzle_angle:
        turn = level * draws.columns(VALVES, d.nozzle_angle)
        drawn["nozzle_direction"] = side_by_side(*rotated(turn, *apart(nominal.nozzle_direction)))
    if d.nozzle_shift:
        shift = side_by_side(*(draws.columns(VALVES, d.nozzle_shift) for _ in range(2)))
        drawn["nozzle_position"] = nominal.nozzle_position + level * shift
    if d.failures:
        # How many fail is binomial; which ones do is the order of random scores, so they are distinct.
        failed = sum(draws.uniform() < level * d.failure_chance for _ in range(d.failures))
        score = draws.columns(VALVES, 1.0)
        rank = jnp.sum(score[:, :, None] > score[:, None, :], -1)
        drawn["mask"] = nominal.mask * (rank >= jnp.asarray(failed)[:, None])
    if d.linear_drag:
        drawn["linear_drag"] = nominal.linear_drag + magnitude(d.linear_drag)
    if d.angular_drag:
        drawn["angular_drag"] = nominal.angular_drag + magnitude(d.angular_drag)
    return drawn


def physics_of(weather: Weather, nominal: PlatformParams) -> PlatformParams:
    """The figures of an episode."""
    return dataclasses.replace(nominal, **weather.physics)


def outside_wrench(weather: Weather, state: PlatformState) -> Wrench | None:
    """The push of floor and torque where the platform is; None when both are off."""
    force, torque = weather.force, weather.torque
    if force is None and torque is None:
        return None
    if force is not None and weather.force_wave is not None:
        wave = weather.force_wave
        force = force * jnp.sin(wave[..., :2] * state.position + wave[..., 2:])
    if torque is not None and weather.torque_wave is not None:
        wave = weather.torque_wave
        torque = torque * jnp.sin(wave[..., 0] * jnp.sum(state.position, -1) + wave[..., 1])
    return Wrench(
        jnp.zeros_like(state.position) if force is None else force,
        jnp.zeros_like(state.heading) if torque is None else torque,
    )


def noisy(disturbances: Disturbances, state: PlatformState, draws: Draws) -> PlatformState:
    """What is seen of a state: each quantity off by its noise."""
    d = disturbances
    position, heading, velocity, angular_velocity = state
    if d.position_noise:
        position = position + draws.columns(2, d.position_noise)
    if d.heading_noise:
        heading = heading + draws.symmetric(d.heading_noise)
    if d.velocity_noise:
        velocity = velocity + draws.columns(2, d.velocity_noise)
    if d.angular_velocity_noise:
        angular_velocity = angular_velocity + draws.symmetric(d.angular_velocity_noise)
    return PlatformState(position, heading, velocity, angular_velocity)


def combined(*disturbances: Disturbances) -> Disturbances:
    """All of them at once: the greatest of each magnitude.

    The share `least` is that of the strictest; chances are the greatest among those with failures.
    """
    values = {
        field.name: max(getattr(one, field.name) for one in disturbances)
        for field in dataclasses.fields(Disturbances)
    }
    values["failure_chance"] = max([one.failure_chance for one in disturbances if one.failures], default=1.0)
    return Disturbances(**values)


class NamedDisturbances(NamedTuple):
    """Disturbances by name, with one line about them."""

    name: str
    disturbances: Disturbances
    about: str


_SIGHT = Disturbances(position_noise=0.01, heading_noise=0.025)
_SPEED = Disturbances(velocity_noise=0.01, angular_velocity_noise=0.01)
_EVERYTHING = Disturbances(
    floor=0.25, torque=0.05, position_noise=0.01, heading_noise=0.025, velocity_noise=0.01,
    angular_velocity_noise=0.01, action_noise=0.05, valve_delay=0.02, latency=0.1, failures=1, mass=0.3,
    com=0.05,
)  # fmt: skip

_REPAIRABLE = Disturbances(
    failures=2, failure_chance=0.4, floor=0.3, torque=0.05, velocity_noise=0.005,
    angular_velocity_noise=0.005, action_noise=0.03, mass=0.1, thrust=0.1, com=0.02,
)  # fmt: skip

DISTURBANCES: tuple[NamedDisturbances, ...] = (
    NamedDisturbances("nominal", Disturbances(), "as drawn"),
    NamedDisturbances("floor-0.25", Disturbances(floor=0.25, least=1.0), "uneven floor, 0.25 N"),
    NamedDisturbances("floor-0.5", Disturbances(floor=0.5, least=1.0), "uneven floor, 0.5 N"),
    NamedDisturbances("floor-waves", Disturbances(floor=0.5, waves=True, least=1.0), "wavy floor, 0.5 N"),
    NamedDisturbances("torque-0.05", Disturbances(torque=0.05, least=1.0), "constant torque, 0.05 N m"),
    NamedDisturbances("torque-0.1", Disturbances(torque=0.1, least=1.0), "constant torque, 0.1 N m"),
    NamedDisturbances("action-noise", Disturbances(action_noise=0.05), "±0.05 N at each nozzle"),
    NamedDisturbances("observation-noise", _SIGHT, "pose seen ±1 cm, ±0.025 rad"),
    NamedDisturbances("velocity-noise", _SPEED, "velocity seen ±1 cm/s, ±0.01 rad/s"),
    NamedDisturbances("failure-1", Disturbances(failures=1), "one dead valve"),
    NamedDisturbances("failure-2", Disturbances(failures=2), "two dead valves"),
    NamedDisturbances("failure-3", Disturbances(failures=3), "three dead valves"),
    NamedDisturbances("mass", Disturbances(mass=0.3), "mass and inertia ±30 %"),
    NamedDisturbances("centre-of-mass", Disturbances(com=0.1, least=1.0), "centre of mass off by 10 cm"),
    NamedDisturbances("latency", Disturbances(latency=0.2, least=1.0), "everything seen one step late"),
    NamedDisturbances("valve-delay", Disturbances(valve_delay=0.05, least=1.0), "valves obey 50 ms late"),
    NamedDisturbances("thrust", Disturbances(thrust=0.5, nozzle_angle=math.pi / 8), "crooked, weak nozzles"),
    NamedDisturbances("drag", Disturbances(linear_drag=0.5, angular_drag=0.02), "drag of air"),
    NamedDisturbances("all", _EVERYTHING, "all but the hardest at once"),
    NamedDisturbances(
        "robust",
        _REPAIRABLE,
        "up to two dead valves, a floor, a torque, noise: what policies that find out are trained under",
    ),
    NamedDisturbances(
        "training",
        dataclasses.replace(_EVERYTHING, failures=2, failure_chance=0.5, thrust=0.1),
        "a little of everything, from none to much: domain randomisation",
    ),
)


def find_disturbances(names: str) -> Disturbances:
    """Disturbances by name; several are joined by "+", such as "floor-0.25+latency".

    Raises:
        UserError: there is no such name; the nearest ones are offered.
    """
    known = {one.name: one.disturbances for one in DISTURBANCES}
    for name in names.split("+"):
        if name not in known:
            raise UserError("disturbance", f"there is no disturbance {name!r}", nearest(name, list(known)))
    return combined(*(known[name] for name in names.split("+")))
