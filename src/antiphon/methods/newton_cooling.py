"""Equilibria to many digits: Newton's method on the mean field, while the players' temperature falls."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from antiphon.equilibrium import FlowProblem, best_response, flow
from antiphon.equilibrium.flow import occupancy

_TRIES = 8
"""Newton steps at one temperature before a smaller fall is tried."""
_HALVINGS = 8
"""Step lengths 1, ½, ¼ and so on that are tried at once."""


class CoolingState(NamedTuple):
    """Where Newton's method is, and the last equilibrium that it found.

    Attributes:
        mean_field: the present guess.
        tau: temperature at which it shall be an equilibrium, in units of reward.
        found: the last mean field that was one.
        found_tau: at this temperature.
        tries: steps since.
        policy: of the last equilibrium.
    """

    mean_field: Float[Array, "T S"]
    tau: Float[Array, ""]
    found: Float[Array, "T S"]
    found_tau: Float[Array, ""]
    tries: Int[Array, ""]
    policy: Float[Array, "T S A"]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class NewtonCooling:
    """Follows the equilibria of players who are paid τ times their entropy, from warm to cold.

    At temperature τ an equilibrium is a zero of ρ ↦ G_τ(ρ) − ρ, where G_τ(ρ) is the flow, in kernels at ρ, of
    the soft best response to ρ. One iteration is a Newton step with the best of eight step lengths. Where the
    zero is found τ falls by ``factor``; where it is not found in eight steps, the fall is halved (on a
    logarithmic scale). The exploitability is about τ times the number of decisions that are mixed, so that 60
    to 150 iterations reach 1e-6, for which averaging needs millions.

    A Jacobian of [T S, T S] is built and solved: for games up to a thousand pairs of time and state, of one
    population whose rules see the mean field through its states. Wants float64: in float32 temperatures below
    1e-3 are lost in rounding.

    Attributes:
        warmest: τ at the start, in units of reward.
        coldest: τ at which cooling ends.
        factor: of each fall, in (0, 1).

    Source: ours; numerical continuation, Allgower and Georg 1990, chapter 2.
    """

    warmest: float | Float[Array, ""] = 1.0
    coldest: float | Float[Array, ""] = 1e-7
    factor: float | Float[Array, ""] = 0.5

    def init(self, problem: Any, policy: Float[Array, "T S A"]) -> CoolingState:
        """Starts from the flow of a policy."""
        mean_field = jnp.sum(flow(problem.game, policy), axis=-1)
        tau = jnp.asarray(self.warmest, mean_field.dtype)
        return CoolingState(mean_field, tau, mean_field, tau, jnp.zeros((), jnp.int32), policy)

    def step(self, problem: Any, state: CoolingState) -> CoolingState:
        """One Newton step, and a colder temperature if it arrived."""
        shape, tau = state.mean_field.shape, state.tau

        def miss(flat: Array) -> Array:
            mean_field = flat.reshape(shape)
            crowd = _spread(problem, mean_field)
            return (
                jnp.sum(occupancy(problem.game, _answer(problem, mean_field, tau), crowd), -1).ravel() - flat
            )

        flat = state.mean_field.ravel()
        direction = jnp.linalg.solve(jax.jacfwd(miss)(flat), -miss(flat))
        tried = flat + 0.5 ** jnp.arange(_HALVINGS)[:, None] * direction
        missed = jax.vmap(lambda flat: jnp.sum(jnp.abs(miss(flat))))(tried)
        best = jnp.nanargmin(jnp.append(missed, jnp.finfo(missed.dtype).max))
        # Where no length gave a number the guess stays, and the temperature is tried again from nearer.
        reached = jnp.append(tried, flat[None], axis=0)[best].reshape(shape)
        arrived = jnp.append(missed, jnp.inf)[best] < jnp.sqrt(jnp.finfo(missed.dtype).eps)
        lost = ~arrived & (state.tries + 1 >= _TRIES)
        colder = jnp.maximum(tau * self.factor, self.coldest)
        nearer = jnp.sqrt(tau * state.found_tau)
        return CoolingState(
            mean_field=jnp.where(lost, state.found, reached),
            tau=jnp.where(arrived, colder, jnp.where(lost, nearer, tau)).astype(tau.dtype),
            found=jnp.where(arrived, reached, state.found),
            found_tau=jnp.where(arrived, tau, state.found_tau),
            tries=jnp.where(arrived | lost, 0, state.tries + 1),
            policy=jnp.where(arrived, _answer(problem, reached, tau), state.policy),
        )

    def policy(self, state: CoolingState) -> Float[Array, "T S A"]:
        """The soft best response at the last equilibrium."""
        return state.policy


def _spread(problem: FlowProblem, mean_field: Float[Array, "T S"]) -> Float[Array, "T S A"]:
    """A crowd with these states; its actions are not seen."""
    n_actions = problem.game.n_actions
    return jnp.repeat(mean_field[..., None] / n_actions, n_actions, axis=-1)


def _answer(problem: FlowProblem, mean_field: Float[Array, "T S"], tau: Array) -> Float[Array, "T S A"]:
    return jax.nn.softmax(best_response(problem.game, _spread(problem, mean_field), tau) / tau, axis=-1)
