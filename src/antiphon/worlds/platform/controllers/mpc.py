"""Model predictive control by sampling: many sequences of valve patterns, the cheapest one's first step."""

from dataclasses import dataclass, field
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from antiphon.worlds.platform.controllers.cost_to_go import (
    CostToGo,
    Errors,
    cost_to_go,
    errors_of,
    stage_prices,
)
from antiphon.worlds.platform.controllers.lqr_pattern import Plan, best_pattern
from antiphon.worlds.platform.controllers.patterns import after, opened, pattern_table
from antiphon.worlds.platform.controllers.weights import POSE, Weights
from antiphon.worlds.platform.parameters import PlatformParams
from antiphon.worlds.platform.plant import PlatformState
from antiphon.worlds.platform.tasks import Target


class MpcMemory(NamedTuple):
    """What is carried from one control period to the next."""

    plan: Plan
    """Cost-to-go and pattern table of this episode."""

    sequence: Int[Array, "N H"]
    """The best sequence found so far, its first step next."""

    key: PRNGKeyArray
    """For the next samples."""


class _Position(NamedTuple):
    errors: Errors
    heading: Array
    spin: Array


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Mpc:
    """Samples sequences of patterns around two good ones, and keeps the cheapest.

    The cost of a sequence is Σ_t stage(x_t) + price · Σ a_t plus the LQR's cost-to-go of where it ends. The
    candidates are last period's best sequence moved on by one step, the sequence that :class:`LqrPattern`
    would open from here, and copies of both in which steps were replaced at random. The cheapest is therefore
    never dearer than the LQR's own.

    Attributes:
        weights: prices of errors.
        effort: r of the Riccati equation behind the final cost.
        valve_price: of one open valve for one period.
        mutation: chance that a step of a copy is replaced.
        seed: of the samples.
        horizon: H, control periods.
        samples: sequences compared in each round.
        rounds: of sampling around the best so far.
        dt: control period in s.

    Source: random shooting with a warm start, as in predictive sampling (arXiv 2212.00541).
    """

    weights: Weights = POSE
    effort: float | Float[Array, ""] = 0.3
    valve_price: float | Float[Array, ""] = 0.0
    mutation: float | Float[Array, ""] = 0.15
    seed: int = field(default=0, metadata={"static": True})
    horizon: int = field(default=10, metadata={"static": True})
    samples: int = field(default=128, metadata={"static": True})
    rounds: int = field(default=2, metadata={"static": True})
    dt: float = field(default=0.2, metadata={"static": True})

    def start(self, params: PlatformParams, envs: int) -> MpcMemory:
        """Riccati solution, pattern table, and a plan to do nothing."""
        plan = Plan(cost_to_go(params, self.weights, self.effort, self.dt), pattern_table(params))
        return MpcMemory(plan, jnp.zeros((envs, self.horizon), jnp.int32), jax.random.key(self.seed))

    def act(
        self, params: PlatformParams, memory: MpcMemory, state: PlatformState, target: Target
    ) -> tuple[Bool[Array, "N 8"], MpcMemory]:
        """First step of the cheapest sequence."""
        plan, here = memory.plan, _Position(errors_of(state, target), state.heading, state.angular_velocity)
        next_key, *keys = jax.random.split(memory.key, self.rounds + 1)
        greedy = self._greedy(plan, here)
        moved_on = jnp.concatenate([memory.sequence[:, 1:], greedy[:, -1:]], axis=1)
        best = jnp.stack([greedy, moved_on], axis=1)  # [N, 2, H]
        for key in keys:
            candidates = self._candidates(key, best)
            cost = self._cost(plan, here, candidates)
            cheapest = jnp.argmin(cost, axis=1)[:, None, None]
            best = jnp.take_along_axis(candidates, cheapest, axis=1)
        sequence = best[:, 0]
        return opened(params, sequence[:, 0]), MpcMemory(plan, sequence, next_key)

    def _candidates(self, key: PRNGKeyArray, best: Int[Array, "N B H"]) -> Int[Array, "N K H"]:
        """The best themselves, and copies with some steps replaced."""
        copies = jnp.tile(best, (1, -(-self.samples // best.shape[1]), 1))
        where, what, flip, kind = jax.random.split(key, 4)
        shape = copies.shape
        replaced = jax.random.bernoulli(where, self.mutation, shape)
        anything = jax.random.randint(what, shape, 0, 256)
        # Half of the replacements only open or close one valve: near the target the best is not far off.
        one_valve = copies ^ (1 << jax.random.randint(flip, shape, 0, 8))
        new = jnp.where(jax.random.bernoulli(kind, 0.5, shape), anything, one_valve)
        return jnp.concatenate([best, jnp.where(replaced, new, copies)], axis=1)

    def _greedy(self, plan: Plan, here: _Position) -> Int[Array, "N H"]:
        """What the LQR's look-ahead would open, step after step."""

        def step(position: _Position, _: None) -> tuple[_Position, Array]:
            heading = position.heading + 0.5 * self.dt * position.spin
            chosen = best_pattern(plan, position.errors, heading, self.valve_price, self.dt)
            return _moved(position, _looked_up(plan.table.acceleration, chosen, 2), self.dt), chosen

        return jax.lax.scan(step, here, length=self.horizon)[1].T

    def _cost(self, plan: Plan, here: _Position, sequences: Int[Array, "N K H"]) -> Float[Array, "N K"]:
        place_price, rate_price = stage_prices(self.weights)

        def step(carry: tuple[_Position, Array], chosen: Array) -> tuple[tuple[_Position, Array], None]:
            position, cost = carry
            position = _moved(position, _looked_up(plan.table.acceleration, chosen, 2), self.dt)
            cost = cost + self.valve_price * _looked_up(plan.table.open, chosen, 1)
            squares = place_price * position.errors.place**2 + rate_price * position.errors.rate**2
            return (position, cost + jnp.sum(squares, axis=-1)), None

        spread = jax.tree.map(
            lambda leaf: jnp.broadcast_to(
                leaf[:, None], (leaf.shape[0], sequences.shape[1], *leaf.shape[1:])
            ),
            here,
        )
        carry = (spread, jnp.zeros(sequences.shape[:2]))
        (last, cost), _ = jax.lax.scan(step, carry, jnp.moveaxis(sequences, -1, 0))
        value = CostToGo(*(p[..., None, :] for p in plan.value))
        return cost + value(last.errors)


def _looked_up(table: Array, chosen: Int[Array, "N *K"], axes: int) -> Array:
    """Rows of one table for all platforms, or of each platform's own; a table has ``axes`` axes."""
    if table.ndim == axes:
        return table[chosen]
    return jax.vmap(lambda rows, numbers: rows[numbers])(
        jnp.broadcast_to(table, (chosen.shape[0], *table.shape[1:])), chosen
    )


def _moved(position: _Position, push: Float[Array, "*B 3"], dt: float) -> _Position:
    errors = after(position.errors, push, position.heading + 0.5 * dt * position.spin, dt)
    turn = push[..., 2]
    return _Position(
        errors, position.heading + dt * position.spin + 0.5 * dt**2 * turn, position.spin + dt * turn
    )
