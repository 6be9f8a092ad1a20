"""The platform as its policy knows it, in plain NumPy: figures that travel with an exported policy."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from antiphon.core.errors import UserError

_SHAPES = {
    "mass": (), "inertia": (), "com": (2,), "nozzle_position": (8, 2), "nozzle_direction": (8, 2),
    "thrust": (8,), "linear_drag": (), "angular_drag": (),
}  # fmt: skip


def plant_figures(params: Any) -> dict[str, Any]:
    """Figures of one ``parameters.PlatformParams`` without leading axes, as JSON values in SI units."""
    figures: dict[str, Any] = {name: np.asarray(getattr(params, name)).tolist() for name in _SHAPES}
    return figures | {"split_thrust": bool(params.split_thrust)}


@dataclass(frozen=True, eq=False)
class NominalPlant:
    """What the robot believes of itself.

    Attributes:
        mass: kg.
        inertia: kg m².
        thrust: of each nozzle alone, N, ``[8]``.
        allocation: body wrench of one newton at each nozzle, N and N m, ``[3, 8]``.
        nozzle_position: body frame, m, ``[8, 2]``.
        nozzle_direction: of the force, body frame, ``[8, 2]``.
        split_thrust: whether open valves share the pressure.
    """

    mass: float
    inertia: float
    thrust: np.ndarray
    allocation: np.ndarray
    nozzle_position: np.ndarray
    nozzle_direction: np.ndarray
    split_thrust: bool = True

    @staticmethod
    def of(figures: Mapping[str, Any]) -> "NominalPlant":
        """From :func:`plant_figures`, as a policy's metadata hold them.

        Raises:
            UserError: a figure is missing, not finite or of another shape.
        """
        read = {}
        for name, shape in _SHAPES.items():
            try:
                read[name] = np.asarray(figures[name], np.float64)
            except (KeyError, TypeError, ValueError) as error:
                raise _unknown(name) from error
            if read[name].shape != shape or not np.isfinite(read[name]).all():
                raise _unknown(name)
        if not (read["mass"] > 0 and read["inertia"] > 0):
            raise _unknown("mass or inertia")
        arm, direction = read["nozzle_position"] - read["com"], read["nozzle_direction"]
        torque = arm[:, 0] * direction[:, 1] - arm[:, 1] * direction[:, 0]
        return NominalPlant(
            mass=float(read["mass"]),
            inertia=float(read["inertia"]),
            thrust=read["thrust"],
            allocation=np.stack([direction[:, 0], direction[:, 1], torque]),
            nozzle_position=read["nozzle_position"],
            nozzle_direction=direction,
            split_thrust=bool(figures.get("split_thrust", True)),
        )

    @property
    def effects(self) -> Float[np.ndarray, "3 8"]:
        """Body acceleration (m/s², m/s², rad/s²) of each valve open alone: B thrust / (m, m, I)."""
        return self.allocation * self.thrust / np.array([[self.mass], [self.mass], [self.inertia]])

    def acceleration(self, heading: float, valves: Bool[np.ndarray, " 8"]) -> Float[np.ndarray, " 3"]:
        """World acceleration (m/s², m/s², rad/s²) that open valves should give: R(θ) B u / (m, m, I)."""
        opened = np.asarray(valves, np.float64)
        shared = max(1.0, float(opened.sum())) if self.split_thrust else 1.0
        force_x, force_y, torque = self.allocation @ (self.thrust * opened / shared)
        cos, sin = np.cos(heading), np.sin(heading)
        return np.array(
            [
                (cos * force_x - sin * force_y) / self.mass,
                (sin * force_x + cos * force_y) / self.mass,
                torque / self.inertia,
            ]
        )


def _unknown(name: str) -> UserError:
    return UserError(
        "policy",
        f"the policy's plant figures lack a usable {name}",
        "export the policy again with this version of antiphon",
    )
