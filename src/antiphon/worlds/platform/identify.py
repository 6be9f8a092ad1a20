"""A platform's figures from a recorded flight: least squares through the simulator, with uncertainties.

Every window of the log is flown again from a motion of its own; mass, inertia, thrust, centre of mass and
drag are those with which all windows go where the poses say.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy import stats

from antiphon.core.errors import UserError
from antiphon.worlds.platform.flight_log import FlightLog
from antiphon.worlds.platform.log_windows import Cutting, windows
from antiphon.worlds.platform.multiple_shooting import Known, fitted, plant_of
from antiphon.worlds.platform.parameters import VALVES, PlatformParams, planar


class _Kind(NamedTuple):
    unit: str
    per_mass: str
    scale: float
    logarithmic: bool


# Scale: what would be a large change; a figure known no better than that is not known.
_KINDS = {
    "mass": _Kind("kg", "", 1.0, True),
    "inertia": _Kind("kg m²", "m²", 1.0, True),
    "thrust": _Kind("N", "m/s²", 1.0, False),
    "com_x": _Kind("m", "m", 0.1, False),
    "com_y": _Kind("m", "m", 0.1, False),
    "linear_drag": _Kind("N s/m", "1/s", 1.0, False),
    "angular_drag": _Kind("N m s/rad", "m²/s", 0.1, False),
    "push_x": _Kind("N", "m/s²", 0.5, False),
    "push_y": _Kind("N", "m/s²", 0.5, False),
    "push_turn": _Kind("N m", "m²/s²", 0.1, False),
}
FIXABLE = ("mass", "inertia", "thrust", "com_x", "com_y", "linear_drag", "angular_drag")
"""Figures that one may know already."""
_SCALED = ("mass", "inertia", "thrust")  # one of these, known, settles the scale of all
_CONFUSED = 0.99  # correlation beyond which two figures are not told apart


@dataclass(frozen=True)
class Estimate:
    """One figure.

    Attributes:
        value: most likely.
        low: of its 95 % interval.
        high: of it.
        unit: SI.
        determined: whether the log says anything useful about it.
    """

    value: float
    low: float
    high: float
    unit: str
    determined: bool = True


@dataclass(frozen=True)
class Identification:
    """What a log says of a platform.

    Attributes:
        figures: by name; where neither mass nor inertia nor thrust was known, each but the centre of mass is
            per kg of the unknown mass, and its name says so.
        fixed: figures that were given.
        remarks: what the log cannot tell, in sentences.
        position_noise: deviation of the poses about the fitted motion, m.
        heading_noise: likewise, rad.
        poses: that were fitted.
        seconds: that the windows cover.
        windows: how many.
        correlation: of the figures, in their order.
    """

    figures: dict[str, Estimate]
    fixed: dict[str, float]
    remarks: tuple[str, ...]
    position_noise: float
    heading_noise: float
    poses: int
    seconds: float
    windows: int
    correlation: Float[np.ndarray, "P P"] = field(
        repr=False, compare=False, default_factory=lambda: np.eye(0)
    )

    def params(self, nominal: PlatformParams | None = None) -> PlatformParams:
        """The platform to simulate: the figures that were found, and the nominal nozzles.

        Raises:
            UserError: the scale was not settled.
        """
        if any(name.endswith("/mass") for name in self.figures):
            raise UserError(
                "usage", "the log says nothing of the scale of mass and thrust", "identify it with one known"
            )
        known = {**self.fixed, **{name: one.value for name, one in self.figures.items()}}
        return plant_of(nominal or planar(), {name: jnp.asarray(value) for name, value in known.items()})


def identify(
    log: FlightLog,
    fixed: Mapping[str, float] | None = None,
    *,
    each_valve: bool = False,
    push: bool = False,
    nominal: PlatformParams | None = None,
    cutting: Cutting | None = None,
) -> Identification:
    """Fits a platform to a log.

    Minimises Σ |pose − simulated pose|² / noise² over the figures and the motion at the beginning of each
    window, by Gauss–Newton with Levenberg's damping; the beginnings are eliminated window by window (Schur
    complement). Noise is the residuals' own. Intervals are ±1.96 deviations of the Laplace approximation,
    (JᵀJ)⁻¹, for mass and inertia on the logarithm.

    From motion alone only ratios can be known: twice the mass, inertia, thrust and drag move the same. So
    without a known ``mass``, ``thrust`` or ``inertia`` all figures are reported per kg of mass.

    Args:
        log: poses and valves.
        fixed: figures that are known, by the names of `FIXABLE`.
        each_valve: a thrust for every valve, ``thrust_0`` to ``thrust_7``, instead of one for all.
        push: also a constant push of the world, as of a floor that is not level.
        nominal: where the search begins, and the nozzles' places; the authors' platform unless given.
        cutting: how the log is cut into windows.

    Raises:
        UserError: a log with gaps or too little in it, or an unknown figure.

    Source: Ljung 1999, sections 7.4 and 9.3 (output-error methods); multiple shooting after Bock 1983.
    """
    fixed = _checked(dict(fixed or {}), each_valve)
    nominal = nominal or planar()
    cut = windows(log, cutting or Cutting())
    scaled = any(name in fixed for name in _SCALED) or any(name.startswith("thrust") for name in fixed)
    given = fixed if scaled else {**fixed, "mass": 1.0}
    names = [name for name in _names(each_valve, push=push) if name not in given]
    figures_known = Known(nominal, given, tuple(names), tuple(_kind(name).logarithmic for name in names))
    scales = np.array([_kind(name).scale for name in names])
    begin = np.array([_beginning(name, nominal, scaled=scaled) for name in names])
    fit = fitted(cut, figures_known, begin, scales)
    spread = np.sqrt(np.diag(fit.covariance))
    figures, remarks = {}, []
    for name, value, deviation, scale in zip(names, fit.values, spread, scales, strict=True):
        kind, reach = _kind(name), stats.norm.ppf(0.975) * deviation
        ends = (value, value - reach, value + reach)
        if kind.logarithmic:
            ends = (math.exp(ends[0]), math.exp(max(ends[1], -700.0)), math.exp(min(ends[2], 700.0)))
        determined = bool(deviation < (scale if kind.logarithmic else max(scale, abs(value))))
        label = name if scaled or name.startswith("com") else f"{name}/mass"
        figures[label] = Estimate(
            ends[0], ends[1], ends[2], kind.unit if scaled else kind.per_mass, determined
        )
        if not determined:
            remarks.append(f"The log does not determine {label}: fly so that it matters, or fix it.")
    if not scaled:
        remarks.insert(
            0,
            "Motion alone cannot tell mass from thrust, only their ratio: weigh it and fix its mass.",
        )
    correlation = fit.covariance / np.outer(spread, spread)
    labels = list(figures)
    for i in range(len(names)):
        for j in range(i):
            if abs(correlation[i, j]) > _CONFUSED:
                remarks.append(
                    f"{labels[j]} and {labels[i]} are hardly told apart (ρ = {correlation[i, j]:.3f})."
                )
    return Identification(
        figures=figures, fixed=fixed, remarks=tuple(remarks), position_noise=fit.noise[0],
        heading_noise=fit.noise[1], poses=int(cut.seen.sum()), seconds=float(cut.dt.sum()),
        windows=len(cut.dt), correlation=correlation,
    )  # fmt: skip


def _names(each_valve: bool, *, push: bool) -> list[str]:
    thrust = [f"thrust_{i}" for i in range(VALVES)] if each_valve else ["thrust"]
    pushes = ["push_x", "push_y", "push_turn"] if push else []
    return ["mass", "inertia", *thrust, "com_x", "com_y", "linear_drag", "angular_drag", *pushes]


def _kind(name: str) -> _Kind:
    return _KINDS["thrust" if name.startswith("thrust") else name]


def _beginning(name: str, nominal: PlatformParams, *, scaled: bool) -> float:
    """Where the search begins: the nominal figure, per kg where the scale is not known."""
    mass = float(nominal.mass)
    one = {
        "mass": mass, "inertia": float(nominal.inertia), "com_x": float(nominal.com[0]),
        "com_y": float(nominal.com[1]), "linear_drag": float(nominal.linear_drag),
        "angular_drag": float(nominal.angular_drag),
    }.get(name, float(np.mean(nominal.thrust)) if name.startswith("thrust") else 0.0)  # fmt: skip
    if not scaled and not name.startswith("com"):
        one /= mass
    return math.log(one) if _kind(name).logarithmic else one


def _checked(fixed: dict[str, float], each_valve: bool) -> dict[str, float]:
    for name, value in fixed.items():
        if name not in FIXABLE:
            raise UserError(
                "usage", f"there is no figure {name!r} to fix", f"choose of: {', '.join(FIXABLE)}"
            )
        if not math.isfinite(value) or (name in _SCALED and value <= 0):
            raise UserError("usage", f"{name} cannot be {value}", "give a positive number in SI units")
    if each_valve and "thrust" in fixed:
        raise UserError(
            "usage", "thrust cannot be known and fitted for each valve", "leave one of the two away"
        )
    return fixed


def table_rows(found: Identification) -> Sequence[tuple[str, str, str, str]]:
    """Figure, value, interval and unit, as words for a table."""
    return [
        (name, f"{one.value:.4g}" if one.determined else "not determined",
         f"{one.low:.4g} to {one.high:.4g}" if one.determined else "", one.unit)
        for name, one in found.figures.items()
    ]  # fmt: skip
