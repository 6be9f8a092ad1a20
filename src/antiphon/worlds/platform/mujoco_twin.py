"""The same platform in MuJoCo, generated from the same figures: a second opinion on the physics."""

from types import ModuleType
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from antiphon.core.errors import UserError
from antiphon.worlds.platform.parameters import PlatformParams
from antiphon.worlds.platform.plant import CONTROL_PERIOD
from antiphon.worlds.platform.spatial import SpatialParams
from antiphon.worlds.platform.state import PlatformState, SpatialState, SpatialWrench, Wrench


def mujoco_xml(params: PlatformParams | SpatialParams, timestep: float = 0.02) -> str:
    """An MJCF model of one platform, whose controls are the nozzles' forces in N.

    Planar: slides along x and y and a hinge about z, all at the centre of mass, so that their damping is the
    plant's drag. Spatial: a free joint. Each nozzle is a site whose x axis is the force's direction.

    Args:
        params: figures without leading axes.
        timestep: of MuJoCo's Runge–Kutta integrator, s.

    Raises:
        UserError: figures that are batched, or drag in six degrees of freedom (a free joint damps about
            another point than the plant).
    """
    if np.ndim(params.mass) or np.ndim(params.thrust) > 1:
        raise UserError("field", "the figures are those of many platforms", "give those of one")
    planar = isinstance(params, PlatformParams)
    com = _numbers(params.com, 3)
    inertia = [float(params.inertia)] * 3 if planar else _numbers(params.inertia, 3)
    if planar:
        # Moments about x and y never act, but MuJoCo wants them to fit together.
        joints = (
            f'<joint name="x" type="slide" axis="1 0 0" damping="{float(params.linear_drag)!r}"/>'
            f'<joint name="y" type="slide" axis="0 1 0" damping="{float(params.linear_drag)!r}"/>'
            f'<joint name="heading" type="hinge" axis="0 0 1" pos="{_words(com)}" '
            f'damping="{float(params.angular_drag)!r}"/>'
        )
    else:
        if float(params.linear_drag) or float(params.angular_drag):
            raise UserError(
                "field", "the six-degree twin has no drag", "set linear_drag and angular_drag to 0"
            )
        joints = '<freejoint name="free"/>'
    sites, actuators = [], []
    for k in range(params.thrust.shape[-1]):
        at, along = _numbers(params.nozzle_position[k], 3), _numbers(params.nozzle_direction[k], 3)
        side = (0.0, 1.0, 0.0) if abs(along[2]) > 0.5 else (0.0, 0.0, 1.0)
        axes = f"{_words(along)} {_words(_across(side, along))}"
        sites.append(f'<site name="nozzle{k}" pos="{_words(at)}" xyaxes="{axes}"/>')
        actuators.append(f'<general name="valve{k}" site="nozzle{k}" gear="1 0 0 0 0 0"/>')
    return (
        '<mujoco model="floating platform">'
        f'<option timestep="{timestep!r}" integrator="RK4" gravity="0 0 0"/>'
        '<worldbody><body name="platform">'
        f"{joints}"
        f'<inertial pos="{_words(com)}" mass="{float(params.mass)!r}" diaginertia="{_words(inertia)}"/>'
        '<geom type="sphere" size="0.31" mass="0" contype="0" conaffinity="0"/>'
        f"{''.join(sites)}</body></worldbody>"
        f"<actuator>{''.join(actuators)}</actuator></mujoco>"
    )


class MujocoTwin:
    """One platform in MuJoCo, moved by valve patterns like `plant.advance` and in float64.

    Attributes:
        params: figures.
        model: the compiled model.
        data: its state.

    Raises:
        UserError: MuJoCo is not installed, or what `mujoco_xml` raises.
    """

    def __init__(self, params: PlatformParams | SpatialParams, timestep: float = 0.02) -> None:
        self._mujoco = _mujoco()
        self.params = params
        self.model: Any = self._mujoco.MjModel.from_xml_string(mujoco_xml(params, timestep))
        self.data: Any = self._mujoco.MjData(self.model)
        self._planar = isinstance(params, PlatformParams)
        self._timestep = timestep
        self._thrust = np.asarray(params.thrust, float) * np.asarray(params.mask, float)
        self._com = np.asarray(params.com, float)

    def place(self, state: PlatformState | SpatialState) -> None:
        """Puts the platform into a state without leading axes."""
        d = self.data
        if isinstance(state, PlatformState):
            # The slides move the centre of mass, and at rest the body's origin is the world's.
            heading, rate = float(state.heading), float(state.angular_velocity)
            arm = _turned(heading, self._com)
            d.qpos[:] = [*(np.asarray(state.position, float) + arm - self._com), heading]
            d.qvel[:] = [*(np.asarray(state.velocity, float) + rate * np.array([-arm[1], arm[0]])), rate]
        else:
            d.qpos[:] = [*np.asarray(state.position, float), *np.asarray(state.orientation, float)]
            d.qvel[:] = [*np.asarray(state.velocity, float), *np.asarray(state.angular_velocity, float)]
        self._mujoco.mj_forward(self.model, d)

    def state(self) -> PlatformState | SpatialState:
        """The state now, in NumPy float64."""
        d = self.data
        if not self._planar:
            return SpatialState(d.qpos[:3].copy(), d.qpos[3:7].copy(), d.qvel[:3].copy(), d.qvel[3:6].copy())
        heading, rate = float(d.qpos[2]), float(d.qvel[2])
        arm = _turned(heading, self._com)
        return PlatformState(
            position=d.qpos[:2] + self._com - arm,
            heading=np.asarray(heading),
            velocity=d.qvel[:2] - rate * np.array([-arm[1], arm[0]]),
            angular_velocity=np.asarray(rate),
        )

    def advance(
        self,
        valves: Float[np.ndarray, "A"] | Bool[np.ndarray, "A"],
        disturbance: Wrench | SpatialWrench | None = None,
        dt: float = CONTROL_PERIOD,
    ) -> PlatformState | SpatialState:
        """The state after valves were held open for dt seconds, a multiple of the time step.

        Raises:
            UserError: dt is no multiple of the time step.
        """
        steps = round(dt / self._timestep)
        if steps < 1 or abs(steps * self._timestep - dt) > 1e-9:
            raise UserError(
                "field", f"{dt} s is not a multiple of the time step {self._timestep} s", "change one of them"
            )
        opened = np.asarray(valves, float)
        shared = max(1.0, float(opened.sum())) if self.params.split_thrust else 1.0
        self.data.ctrl[:] = self._thrust * opened / shared
        push = self.data.body("platform").xfrc_applied
        push[:] = 0
        if isinstance(disturbance, Wrench):
            push[:2], push[5] = np.asarray(disturbance.force), float(disturbance.torque)
        elif disturbance is not None:
            push[:3], push[3:] = np.asarray(disturbance.force), np.asarray(disturbance.torque)
        self._mujoco.mj_step(self.model, self.data, steps)
        return self.state()


def _mujoco() -> ModuleType:
    try:
        import mujoco
    except ImportError as error:
        raise UserError(
            "missing-extra", "MuJoCo is not installed", "pip install 'antiphon[control]'"
        ) from error
    return mujoco


def _turned(heading: float, v: np.ndarray) -> np.ndarray:
    cos, sin = np.cos(heading), np.sin(heading)
    return np.array([cos * v[0] - sin * v[1], sin * v[0] + cos * v[1]])


def _numbers(values: Any, count: int) -> list[float]:
    """As floats, filled up with zeros."""
    given = [float(value) for value in np.asarray(values)]
    return given + [0.0] * (count - len(given))


def _across(a: tuple[float, ...], b: list[float]) -> list[float]:
    return [float(value) for value in np.cross(a, b)]


def _words(values: list[float]) -> str:
    return " ".join(repr(value) for value in values)
