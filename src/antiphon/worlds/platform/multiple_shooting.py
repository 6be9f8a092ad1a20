"""Least squares through the simulator: figures shared by all windows, and a beginning for each of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from antiphon.core.errors import UserError
from antiphon.worlds.platform.log_windows import Windows
from antiphon.worlds.platform.parameters import VALVES, PlatformParams
from antiphon.worlds.platform.plant import advance
from antiphon.worlds.platform.state import PlatformState, Wrench

_ROUNDS, _STEPS = 3, 40
_MOST_DAMPING, _SMALLEST_GAIN = 1e8, 1e-7


@dataclass(frozen=True)
class Known:
    """What is not fitted, and how what is fitted is written.

    Attributes:
        nominal: nozzles.
        given: figures that are known.
        names: of the fitted ones.
        logarithmic: which of these are fitted as logarithms.
    """

    nominal: PlatformParams
    given: Mapping[str, float]
    names: tuple[str, ...]
    logarithmic: tuple[bool, ...]


class Fit(NamedTuple):
    """The end of a search.

    Attributes:
        values: of the figures, some as logarithms.
        covariance: of these, by Laplace.
        noise: deviation of positions m and headings rad about the fitted motion.
    """

    values: Float[np.ndarray, " P"]
    covariance: Float[np.ndarray, "P P"]
    noise: tuple[float, float]


class _Normal(NamedTuple):
    """Normal equations at a point: of the P figures, of the six numbers of each window, and between them."""

    cost: Float[Any, ""]
    information: Float[Any, "P P"]
    pulled: Float[Any, " P"]
    own: Float[Any, "W 6 6"]
    own_pulled: Float[Any, "W 6"]
    cross: Float[Any, "W P 6"]
    noise: Float[Any, "2"]


def fitted(
    windows: Windows, known: Known, begin: Float[np.ndarray, " P"], scales: Float[np.ndarray, " P"]
) -> Fit:
    """Figures that let all windows go where their poses say, in float64.

    Args:
        windows: of a log.
        known: what is not fitted.
        begin: where the search begins.
        scales: a large change of each figure; no step is longer than two.

    Raises:
        UserError: no figures make the simulator move like that.
    """
    with jax.enable_x64():
        data = jax.tree.map(jnp.asarray, windows)
        given = {name: jnp.asarray(value, jnp.float64) for name, value in known.given.items()}
        nominal = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), known.nominal)

        def normal(values: np.ndarray, firsts: np.ndarray, noise: np.ndarray) -> _Normal:
            found = _normal(values, firsts, data, given, nominal, noise, known.names, known.logarithmic)
            return _Normal(*(np.asarray(part) for part in found))

        values, firsts, noise = np.asarray(begin, float), np.asarray(windows.first), np.array([0.005, 0.02])
        here = normal(values, firsts, noise)
        for _ in range(_ROUNDS):
            damping = 1e-3
            for _ in range(_STEPS):
                step, own_step = _step(here, scales, damping)
                there = normal(values + step, firsts + own_step, noise)
                gain = float(here.cost - there.cost)
                if gain >= 0:
                    values, firsts, here = values + step, firsts + own_step, there
                    damping /= 5
                    if gain <= _SMALLEST_GAIN * float(there.cost):
                        break
                else:  # also where the cost is not a number
                    damping *= 10
                    if damping > _MOST_DAMPING:
                        break
            noise = np.maximum(here.noise, 1e-9)
            here = normal(values, firsts, noise)
    if not np.isfinite(here.information).all() or not np.isfinite(values).all():
        raise UserError(
            "log", "no platform moves as the log says", "check valve order, clocks and frame of the poses"
        )
    kept = here.information - np.einsum("wpi,wiq->pq", here.cross, _inverse_times(here))
    # A weak prior of a thousand scales keeps directions finite that the log says nothing of.
    weighted = kept * np.outer(scales, scales) + 1e-6 * np.eye(len(scales))
    return Fit(values, np.linalg.inv(weighted) * np.outer(scales, scales), (float(noise[0]), float(noise[1])))


def _inverse_times(normal: _Normal) -> np.ndarray:
    return np.linalg.solve(normal.own, np.swapaxes(normal.cross, 1, 2))


def _step(
    normal: _Normal, scales: Float[np.ndarray, " P"], damping: float
) -> tuple[Float[np.ndarray, " P"], Float[np.ndarray, "W 6"]]:
    """Levenberg–Marquardt, the windows' own numbers eliminated first (Schur complement)."""
    eye = np.eye(6)
    damped = normal._replace(own=normal.own + damping * normal.own * eye + 1e-12 * eye)
    kept = _inverse_times(damped)
    matrix = normal.information - np.einsum("wpi,wiq->pq", normal.cross, kept)
    pulled = normal.pulled - np.einsum("wip,wi->p", kept, normal.own_pulled)
    matrix = matrix * np.outer(scales, scales)
    matrix = matrix + damping * np.diag(np.diag(matrix)) + 1e-9 * np.eye(len(scales))
    step = np.clip(-np.linalg.solve(matrix, pulled * scales), -2.0, 2.0) * scales
    pull = normal.own_pulled + np.einsum("wpi,p->wi", normal.cross, step)
    return step, -np.linalg.solve(damped.own, pull[..., None])[..., 0]


@partial(jax.jit, static_argnums=(6, 7))
def _normal(
    values: Array, firsts: Array, data: Windows, given: dict[str, Array], nominal: PlatformParams,
    noise: Array, names: tuple[str, ...], logarithmic: tuple[bool, ...],
) -> _Normal:  # fmt: skip
    weight = 1 / jnp.stack([noise[0], noise[0], noise[1]])

    def missed(values: Array, first: Array, window: Windows) -> Array:
        free = {name: jnp.exp(values[k]) if logarithmic[k] else values[k] for k, name in enumerate(names)}
        flown = _flown({**given, **free}, nominal, first, window)
        return jnp.where(window.seen[:, None], (flown - window.pose) * weight, 0.0).ravel()

    rest = jax.vmap(missed, (None, 0, 0))(values, firsts, data)
    by_values, by_first = jax.vmap(jax.jacfwd(missed, (0, 1)), (None, 0, 0))(values, firsts, data)
    squares = (rest.reshape(*data.seen.shape, 3) / weight) ** 2
    poses = jnp.sum(data.seen)
    # Each window spends six numbers on its beginning, and all of them share the figures.
    free = 1 - (6 * firsts.shape[0] + len(names)) / (3 * poses)
    sums = jnp.stack([jnp.sum(squares[..., :2]) / 2, jnp.sum(squares[..., 2])])
    return _Normal(
        cost=jnp.sum(rest**2),
        information=jnp.einsum("wrp,wrq->pq", by_values, by_values),
        pulled=jnp.einsum("wrp,wr->p", by_values, rest),
        own=jnp.einsum("wri,wrj->wij", by_first, by_first),
        own_pulled=jnp.einsum("wri,wr->wi", by_first, rest),
        cross=jnp.einsum("wrp,wri->wpi", by_values, by_first),
        noise=jnp.sqrt(sums / (poses * free)),
    )


def _flown(
    figures: Mapping[str, Array], nominal: PlatformParams, first: Float[Array, " 6"], window: Windows
) -> Float[Array, "E 3"]:
    """Poses of the simulator at each event."""
    params = plant_of(nominal, figures)
    nothing = jnp.zeros(())
    outside = None
    if "push_x" in figures:
        push = jnp.stack([figures["push_x"], figures["push_y"]])
        outside = Wrench(push, figures.get("push_turn", nothing))

    def step(state: PlatformState, event: tuple[Array, Array]) -> tuple[PlatformState, Array]:
        dt, valves = event
        state = advance(params, state, valves, outside, dt)
        return state, jnp.concatenate([state.position, state.heading[None]])

    begun = PlatformState(first[:2], first[2], first[3:5], first[5])
    return jax.lax.scan(step, begun, (window.dt, window.valves))[1]


def plant_of(nominal: PlatformParams, figures: Mapping[str, Array]) -> PlatformParams:
    """A platform of given figures, with the nominal nozzles; pushes from outside are no part of it."""
    thrust = figures.get("thrust")
    if thrust is None:
        thrust = jnp.stack([figures[f"thrust_{i}"] for i in range(VALVES)])
    exact = jax.tree.map(lambda leaf: jnp.asarray(leaf, thrust.dtype), nominal)
    return PlatformParams(
        mass=figures["mass"], inertia=figures["inertia"],
        com=jnp.stack([figures["com_x"], figures["com_y"]]), nozzle_position=exact.nozzle_position,
        nozzle_direction=exact.nozzle_direction, thrust=jnp.broadcast_to(thrust, (VALVES,)),
        mask=jnp.ones_like(exact.mask), linear_drag=figures["linear_drag"],
        angular_drag=figures["angular_drag"], split_thrust=nominal.split_thrust,
    )  # fmt: skip
