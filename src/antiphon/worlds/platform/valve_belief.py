"""What a platform finds out in flight: how much of each valve's thrust arrives, and what pushes from outside.

Nothing here imports jax; arrays may be NumPy or jax, so that training, the judges and the robot run the same
lines. ``viewer/plant.js`` says them once more for the browser.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

from jaxtyping import Float

from antiphon.core.errors import UserError
from antiphon.worlds.platform.columns import apart, cos_sin, side_by_side
from antiphon.worlds.platform.state import PlatformState

BELIEF_SIZE = 11
BELIEF_LAYOUT = (
    *(f"missing share of valve {i}" for i in range(8)),
    "push from outside, forward / 0.1 m/s²", "push from outside, leftward / 0.1 m/s²",
    "push from outside, turning / 0.5 rad/s²",
)  # fmt: skip
"""Meaning of each number of `belief_observation`."""

_PUSH_UNIT, _TURN_UNIT, _MOST = 0.1, 0.5, 3.0


class ValveBelief(NamedTuple):
    """Independent Gaussians over what the valves give and what pushes from outside.

    Attributes:
        effect: mean share of its nominal thrust that each valve gives, 1 as built, 0 dead, [..., 8].
        effect_variance: [..., 8].
        push: mean acceleration from outside, world frame: m/s², m/s², rad/s², [..., 3].
        push_variance: of either linear component, and of the angular one, [..., 2].
    """

    effect: Float[Any, "*B 8"]
    effect_variance: Float[Any, "*B 8"]
    push: Float[Any, "*B 3"]
    push_variance: Float[Any, "*B 2"]


class Recollection(NamedTuple):
    """What a policy that finds out carries from one decision to the next.

    Attributes:
        belief: so far.
        seen: the state at the last decision; its heading is NaN where there was none.
        valves: opened since, 1 or 0, [..., 8].
    """

    belief: ValveBelief
    seen: PlatformState
    valves: Float[Any, "*B 8"]


@dataclass(frozen=True)
class ValveFilter:
    """A Kalman filter on eight effects and a push, fed with the changes of velocity between decisions.

    In the body frame of the heading halfway, over Δt seconds, with E the accelerations of one valve each
    (`NominalPlant.effects`), a the open valves, s = Σa where they share the pressure, k the effects and p the
    push:

        Δ(v, ω) = Δt E (a ⊙ k) / max(1, s) + Δt R(θ)ᵀ p + noise

    One step is an exact Bayesian update of independent Gaussians on three measured numbers; the correlations
    that it leaves are forgotten, which costs a few steps until two valves that always open together are told
    apart, and saves an 11 × 11 matrix. Between steps variances grow, so that a valve that dies, or one that
    is mended, is noticed at any time.

    Attributes:
        velocity_noise: of a difference of two velocities, m/s.
        turn_noise: of turning rates, rad/s.
        effect_spread: deviation of an effect at the beginning.
        effect_drift: by which it may wander in a step.
        push_spread: deviation of a linear push at the beginning, m/s².
        push_drift: in a step, m/s².
        turn_spread: of the angular push, rad/s².
        turn_drift: in a step, rad/s².

    Raises:
        UserError: a figure that is not positive.

    Source: Bar-Shalom, Li, Kirubarajan 2001, section 5.2; the measured figures are in the tests.
    """

    velocity_noise: float = 0.01
    turn_noise: float = 0.02
    effect_spread: float = 0.5
    effect_drift: float = 0.03
    push_spread: float = 0.05
    push_drift: float = 0.002
    turn_spread: float = 0.25
    turn_drift: float = 0.01

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            if not getattr(self, name) > 0:
                raise UserError(
                    "field", f"the valve filter's {name} is not positive", "give a positive number"
                )

    def begin(self, works: Float[Any, "*B 8"]) -> Recollection:
        """Nothing found out yet, and no state seen.

        Args:
            works: 1 for each valve; 0 for those that one was told are dead, which are believed to be.
        """
        xp = works.__array_namespace__()
        first = works[..., 0]
        nothing = xp.zeros_like(first)
        unseen = xp.full_like(first, float("nan"))
        spreads = xp.full_like(first, self.push_spread**2), xp.full_like(first, self.turn_spread**2)
        return Recollection(
            belief=ValveBelief(
                effect=works,
                effect_variance=self.effect_spread**2 * works,
                push=xp.zeros_like(works[..., :3]),
                push_variance=xp.stack(spreads, -1),
            ),
            seen=PlatformState(xp.stack([nothing] * 2, -1), unseen, xp.stack([nothing] * 2, -1), nothing),
            valves=xp.zeros_like(works),
        )

    def see(
        self,
        recollection: Recollection,
        effects: Float[Any, "*B 3 8"],
        split_thrust: bool,
        state: PlatformState,
        dt: float,
    ) -> Recollection:
        """What is known once a state is seen, dt seconds after the last.

        Args:
            recollection: with the valves that were open in between.
            effects: acceleration that each valve alone should give, (m/s², m/s², rad/s²), body frame.
            split_thrust: whether open valves share the pressure.
            state: seen now.
            dt: seconds since the state before.
        """
        belief, before, valves = recollection
        xp = valves.__array_namespace__()
        fresh = xp.isnan(before.heading)
        cos, sin = cos_sin(xp.where(fresh, 0.0, 0.5 * (before.heading + state.heading)))
        v_x, v_y = apart(state.velocity - before.velocity)
        measured = (
            cos * v_x + sin * v_y,
            cos * v_y - sin * v_x,
            state.angular_velocity - before.angular_velocity,
        )
        p_x, p_y, p_turn = apart(belief.push)
        expected = dt * (cos * p_x + sin * p_y), dt * (cos * p_y - sin * p_x), dt * p_turn
        share = valves / xp.maximum(xp.sum(valves, -1, keepdims=True), 1.0) if split_thrust else valves
        rows = [dt * effects[..., r, :] * share for r in range(3)]
        missed = [
            xp.where(fresh, 0.0, m - e - xp.sum(row * belief.effect, -1))
            for m, e, row in zip(measured, expected, rows, strict=True)
        ]
        wide, turning = apart(belief.push_variance)
        linear = self.velocity_noise**2 + dt**2 * wide
        noise = linear, linear, self.turn_noise**2 + dt**2 * turning
        weighted = [row * belief.effect_variance for row in rows]

        def spread(r: int, c: int) -> Any:
            return xp.sum(weighted[r] * rows[c], -1) + (noise[r] if r == c else 0.0)

        inverse = _inverse(spread(0, 0), spread(1, 1), spread(2, 2), spread(0, 1), spread(0, 2), spread(1, 2))
        # Where nothing was seen before there is nothing to learn.
        inverse = [[xp.where(fresh, 0.0, entry) for entry in row] for row in inverse]
        w_x, w_y, w_turn = (a * missed[0] + b * missed[1] + c * missed[2] for a, b, c in inverse)
        along = (row * w[..., None] for row, w in zip(weighted, (w_x, w_y, w_turn), strict=True))
        effect = sum(along, start=belief.effect)
        known = sum(weighted[r] * weighted[c] * inverse[r][c][..., None] for r in range(3) for c in range(3))
        push = side_by_side(
            p_x + dt * wide * (cos * w_x - sin * w_y),
            p_y + dt * wide * (sin * w_x + cos * w_y),
            p_turn + dt * turning * w_turn,
        )
        narrowed = wide - 0.5 * (dt * wide) ** 2 * (inverse[0][0] + inverse[1][1])
        settled = turning - (dt * turning) ** 2 * inverse[2][2]
        belief = ValveBelief(
            effect=effect,
            effect_variance=xp.minimum(
                belief.effect_variance - known + self.effect_drift**2, self.effect_spread**2
            ),
            push=push,
            push_variance=side_by_side(
                xp.minimum(narrowed + self.push_drift**2, self.push_spread**2),
                xp.minimum(settled + self.turn_drift**2, self.turn_spread**2),
            ),
        )
        return Recollection(belief, state, valves)


def belief_observation(belief: ValveBelief, heading: Float[Any, "*B"]) -> Float[Any, "*B 11"]:
    """What a policy sees of a belief; see `BELIEF_LAYOUT`. All numbers are 0 while nothing is amiss."""
    xp = belief.effect.__array_namespace__()
    cos, sin = cos_sin(heading)
    x, y, turn = apart(belief.push)
    push = (cos * x + sin * y) / _PUSH_UNIT, (cos * y - sin * x) / _PUSH_UNIT, turn / _TURN_UNIT
    missing = xp.clip(1.0 - belief.effect, -1.0, 1.5)
    return xp.concat([missing, side_by_side(*(xp.clip(part, -_MOST, _MOST) for part in push))], axis=-1)


def _inverse(xx: Any, yy: Any, zz: Any, xy: Any, xz: Any, yz: Any) -> list[list[Any]]:
    """Of a symmetric positive matrix of three rows, by cofactors."""
    a, b, c = yy * zz - yz * yz, xz * yz - xy * zz, xy * yz - xz * yy
    d, e, f = xx * zz - xz * xz, xy * xz - xx * yz, xx * yy - xy * xy
    det = xx * a + xy * b + xz * c
    return [[a / det, b / det, c / det], [b / det, d / det, e / det], [c / det, e / det, f / det]]
