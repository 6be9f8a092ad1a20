"""Amplifier and attractor, where the gap of an imitator that errs with probability α is known exactly."""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import numpy as np

from antiphon.equilibrium import mean_field_game
from antiphon.equilibrium.imitation_gap import (
    ImitationGap,
    Proxies,
    gap_bounds,
    imitation_gap,
    lipschitz_constants,
    proxy_errors,
)
from antiphon.equilibrium.pointwise import PointwiseGame
from antiphon.studies.mfg_imitation import claims
from antiphon.train.findings import Finding
from antiphon.train.media import Figure, Series, Table
from antiphon.worlds.meanfield.amplifier import Amplifier
from antiphon.worlds.meanfield.attractor import Attractor

NAMES = Proxies("behavioural cloning", "vanilla adversarial", "mean field control")
_FLOOR = 1e-300


class Measured(NamedTuple):
    """What one erring imitator does, all as arrays of one number."""

    gap: ImitationGap
    errors: Proxies[jax.Array]
    bounds: Proxies[jax.Array]


@dataclass(frozen=True)
class Scale:
    """Which instances are measured."""

    alpha: float
    alphas: tuple[float, ...]
    horizons: tuple[int, ...]
    couplings: tuple[float, ...]


@partial(jax.jit, static_argnames="horizon")
def _amplified(coupling: float, alpha: float, horizon: int) -> Measured:
    rules = Amplifier(coupling=coupling, horizon=horizon)
    return _measured(PointwiseGame(rules), rules.mistaken(alpha), rules.expert(), horizon)


@partial(jax.jit, static_argnames="horizon")
def _attracted(coupling: float, alpha: float, horizon: int) -> Measured:
    rules = Attractor(coupling=coupling, horizon=horizon)
    return _measured(PointwiseGame(rules), rules.mistaken(alpha), rules.expert(), horizon)


def _measured(game: PointwiseGame, policy: jax.Array, expert: jax.Array, horizon: int) -> Measured:
    errors = proxy_errors(game, policy, expert)
    return Measured(
        imitation_gap(game, policy, expert), errors, gap_bounds(lipschitz_constants(game), errors, horizon)
    )


def measure_instances(scale: Scale) -> tuple[list[Finding], tuple[Figure, ...], Table]:
    """Findings, figures and the table of gap per error."""
    mean_field_game(Amplifier())
    mean_field_game(Attractor())
    free = [_amplified(0.0, scale.alpha, h) for h in scale.horizons]
    coupled = [_amplified(1.0, scale.alpha, h) for h in scale.horizons]
    swept = [_amplified(c, scale.alpha, scale.horizons[-1]) for c in scale.couplings]
    small = [_amplified(1.0, a, scale.horizons[-1]) for a in scale.alphas]
    trapped = [_attracted(1.0, 1e4 * scale.alpha, h) for h in scale.horizons]
    findings = [
        *_growth(scale, free, coupled), _trap(scale, trapped)
    ]  # fmt: skip
    figures = (_by_error(scale, small), _by_horizon(scale, coupled), _by_coupling(scale, swept),
               _trap_figure(scale, trapped))  # fmt: skip
    return findings, figures, _table(scale, free, coupled, swept)


def _per_error(found: Measured) -> Proxies[float]:
    return Proxies(*(float(found.gap.gap) / float(error) for error in found.errors))


def _over(error: jax.Array, bound: jax.Array) -> jax.Array:
    return bound / error


def _growth(scale: Scale, free: list[Measured], coupled: list[Measured]) -> list[Finding]:
    longest = scale.horizons[-1]
    whole = longest >= 20
    ratios = [_per_error(one).cloning for one in free]
    per_horizon = list(zip(scale.horizons, ratios, strict=True))
    squared = max(found / (h**2 / 2) for h, found in per_horizon)
    last = _per_error(coupled[-1])
    closed = (2.0**longest - 1 - longest) / 2
    note = f"α = {scale.alpha:g}, H = {longest}, float64; per unit of the method's own error"
    doubling = [_doubling(scale, [_per_error(one)[which] for one in coupled]) for which in range(2)]
    return [
        claims.UNCOUPLED.measured(
            squared, holds=squared <= 1,
            note="gap / ε = " + ", ".join(f"{f:.3g} (H = {h})" for h, f in per_horizon),
        ),
        claims.CLONING.measured(
            last.cloning, holds=abs(last.cloning / closed - 1) < 0.01 if whole else None,
            note=f"closed form {closed:.4g}; grows by a factor of {doubling[0]:.3f} a step; {note}",
        ),
        claims.VANILLA.measured(
            last.vanilla, holds=abs(last.vanilla / 2.6e4 - 1) < 0.05 if whole else None,
            note=f"grows by a factor of {doubling[1]:.3f} a step; {note}",
        ),
        claims.CONTROL.measured(
            last.mfc, holds=max(_per_error(one).mfc for one in coupled) <= 1.05 if whole else None,
            note=f"its bound allows {float(coupled[-1].bounds.mfc / coupled[-1].errors.mfc):.4g}; {note}",
        ),
    ]  # fmt: skip


def _doubling(scale: Scale, ratios: list[float]) -> float:
    """Factor a step between the two longest horizons."""
    steps = scale.horizons[-1] - scale.horizons[-2]
    return (ratios[-1] / ratios[-2]) ** (1 / steps)


def _trap(scale: Scale, trapped: list[Measured]) -> Finding:
    alpha = 1e4 * scale.alpha
    allowed = [alpha * horizon**2 / 2 for horizon in scale.horizons]
    worst = max(float(one.gap.gap) / most for one, most in zip(trapped, allowed, strict=True))
    loss, gap = (float(part) / float(trapped[-1].errors.cloning) for part in reversed(trapped[-1].gap))
    grows = _doubling(scale, [float(one.gap.value_gap) for one in trapped])
    return claims.ATTRACTOR.measured(
        worst, holds=worst <= 1 and grows > 1.5,
        note=f"per error of cloning at H = {scale.horizons[-1]}: loss {loss:.3g}, gap {gap:.3g}; the loss "
        f"grows by a factor of {grows:.2f} a step; α = {alpha:g}",
    )  # fmt: skip


def logs(values: object) -> tuple[float, ...]:
    """Decimal logarithms; what is 0 leaves a gap."""
    array = np.asarray(values, float)
    return tuple(float(x) for x in np.where(array > _FLOOR, np.log10(np.maximum(array, _FLOOR)), np.nan))


def _by_error(scale: Scale, small: list[Measured]) -> Figure:
    gaps = logs([float(one.gap.gap) for one in small])
    series = [
        Series(name, logs([float(one.errors[which]) for one in small]), gaps)
        for which, name in enumerate(NAMES)
    ]
    return Figure(
        f"Amplifier, H = {scale.horizons[-1]}: gap against each method's own error",
        "log10 error ε", "log10 Nash imitation gap", tuple(series),
        note="The same imitators, three errors: what is tiny in the policy is large in the crowd.",
    )  # fmt: skip


def _by_horizon(scale: Scale, coupled: list[Measured]) -> Figure:
    series = [
        Series(name, scale.horizons, logs([_per_error(one)[which] for one in coupled]))
        for which, name in enumerate(NAMES)
    ]
    bound = [float(one.bounds.mfc / one.errors.mfc) for one in coupled]
    series.append(Series("bound of mean field control", scale.horizons, logs(bound)))
    return Figure(
        "Amplifier: gap per error against the horizon", "H", "log10 gap / ε", tuple(series),
        note="Straight lines are exponential growth.",
    )  # fmt: skip


def _by_coupling(scale: Scale, swept: list[Measured]) -> Figure:
    series = [
        Series(name, scale.couplings, logs([_per_error(one)[which] for one in swept]))
        for which, name in enumerate(NAMES)
    ]
    title = f"Amplifier, H = {scale.horizons[-1]}: gap per error against the coupling"
    return Figure(title, "coupling of crowd and dynamics", "log10 gap / ε", tuple(series))


def _trap_figure(scale: Scale, trapped: list[Measured]) -> Figure:
    alpha = 1e4 * scale.alpha
    series = (
        Series("loss of value", scale.horizons, logs([float(one.gap.value_gap) for one in trapped])),
        Series("Nash imitation gap", scale.horizons, logs([float(one.gap.gap) for one in trapped])),
        Series("α H² / 2", scale.horizons, logs([alpha * h**2 / 2 for h in scale.horizons])),
    )
    note = "All lose much, and no one could gain much by leaving: the loss of value is not the gap."
    return Figure("Attractor", "H", "log10", series, note=note)


def _table(scale: Scale, free: list[Measured], coupled: list[Measured], swept: list[Measured]) -> Table:
    cases = [(0.0, h, one) for h, one in zip(scale.horizons, free, strict=True)]
    cases += [(1.0, h, one) for h, one in zip(scale.horizons, coupled, strict=True)]
    cases += [
        (c, scale.horizons[-1], one)
        for c, one in zip(scale.couplings, swept, strict=True)
        if c not in (0.0, 1.0)
    ]
    rows = tuple(
        (coupling, horizon, *_per_error(one), *(float(part) for part in jax.tree.map(_over, *one[1:])))
        for coupling, horizon, one in cases
    )
    columns = ("coupling", "H", *(f"{name}: gap / ε" for name in ("BC", "vanilla", "MFC")),
               *(f"{name}: bound / ε" for name in ("BC", "vanilla", "MFC")))  # fmt: skip
    return Table("Amplifier: gap per error, and what is proved", columns, rows)
