"""Equilibria as the zeros of a smooth function of occupations and values: mean field occupation optimisation.

A flow and values of states form an equilibrium if and only if the flow follows from itself, no action is
worth more than its state, and actions that are taken are worth as much. The three faults, squared and added,
are minimised by gradients; nothing has to be monotone.
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from antiphon.equilibrium.flow import FlowProblem
from antiphon.equilibrium.problem import mean_value


class Residual(NamedTuple):
    """How far an occupation L and values y are from an equilibrium; all three are 0 exactly there.

    Attributes:
        flow: Σ ‖L_t − what follows from L_{t−1}‖² over states.
        bellman: Σ (d − z)², where d = y_t − r − P y_{t+1} and the slack z ≥ 0: negative d is a better action.
        complementarity: Σ z L: mass on actions that are worth less than their state.
    """

    flow: Float[Array, ""]
    bellman: Float[Array, ""]
    complementarity: Float[Array, ""]


class OccupationState(NamedTuple):
    """Logits of the occupation at each time, values of states, and what Adam remembers."""

    logits: Float[Array, "T *P S A"]
    values: Float[Array, "T *P S"]
    optimizer: optax.OptState


def residual(
    problem: FlowProblem,
    occupation: Float[Array, "T *P S A"],
    values: Float[Array, "T *P S"],
    weight: float | Float[Array, ""] = 1.0,
) -> Residual:
    """The faults of an occupation and values, with the slack z that is best for them.

    Args:
        problem: the game.
        occupation: L, a distribution over states and actions at each time, of each population.
        values: y, of states.
        weight: of the complementarity in the sum for which z is best: z = max(0, d − weight · L / 2).
    """
    inside = problem.inside(occupation)
    states = jnp.sum(occupation, axis=-1)
    follows = jnp.concatenate([inside.start[None], inside.pushed(occupation)[:-1]])
    ahead = jnp.concatenate([values[1:], jnp.zeros_like(values[:1])])
    excess = values[..., None] - inside.reward - inside.expected(ahead)
    # At its optimum the slack's own derivative vanishes, so that it may be held fixed.
    slack = jax.lax.stop_gradient(jnp.maximum(excess - weight * occupation / 2, 0.0))
    return Residual(
        jnp.sum((states - follows) ** 2),
        jnp.sum((excess - slack) ** 2),
        jnp.sum(slack * occupation),
    )


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class OccupationOptimization:
    """min over L and y of c₁ flow + bellman + c₃ complementarity, by Adam on softmax logits of L and on y.

    Plain games only (:class:`antiphon.equilibrium.FlowProblem`). Neither function nor game need be convex, so
    that it may end where the residual is small and not zero; the exploitability says whether it did.

    Attributes:
        learning_rate: of Adam, for logits, and for values in units of ``value_scale``.
        decay: the learning rate of iteration k is ``learning_rate / (1 + decay · k)``.
        flow_weight: c₁.
        complementarity_weight: c₃.
        value_scale: unit of the values.

    Source: arXiv 2206.09608, theorem 4 and problem (MF-OMO). Differs from the paper: occupations are softmax
    of logits, the slack z is minimised exactly and not by gradients, and values are not confined to a ball
    (they start at those of the start's policy).
    """

    learning_rate: float | Float[Array, ""] = 0.2
    decay: float | Float[Array, ""] = 1e-3
    flow_weight: float | Float[Array, ""] = 10.0
    complementarity_weight: float | Float[Array, ""] = 0.3
    value_scale: float | Float[Array, ""] = 1.0

    def init(self, problem: FlowProblem, policy: Float[Array, "T *P S A"]) -> OccupationState:
        """The policy's own flow, a hundredth of it spread evenly so that no logit is out of reach."""
        around = problem.facing(policy)
        sizes = policy.shape[-2] * policy.shape[-1]
        logits = jnp.log(0.99 * around.crowd + 0.01 / sizes)
        values = mean_value(around.policy_values(policy), policy, None) / self.value_scale
        return OccupationState(logits, values, self._adam().init((logits, values)))

    def step(self, problem: FlowProblem, state: OccupationState) -> OccupationState:
        """One step down the gradient of the weighted residual."""

        def loss(parameters: tuple[Array, Array]) -> Float[Array, ""]:
            logits, values = parameters
            found = residual(
                problem, occupation(logits), values * self.value_scale, self.complementarity_weight
            )
            return (
                self.flow_weight * found.flow
                + found.bellman
                + self.complementarity_weight * found.complementarity
            )

        parameters = (state.logits, state.values)
        gradient = jax.grad(loss)(parameters)
        updates, optimizer = self._adam().update(gradient, state.optimizer)
        logits, values = jax.tree.map(jnp.add, parameters, updates)
        return OccupationState(logits, values, optimizer)

    def policy(self, state: OccupationState) -> Float[Array, "T *P S A"]:
        """Shares of the actions in the occupation of each state."""
        return jax.nn.softmax(state.logits, axis=-1)

    def _adam(self) -> optax.GradientTransformation:
        # Adam with a constant step would go on shaking around the zero.
        return optax.adam(lambda count: self.learning_rate / (1.0 + self.decay * count))


def occupation(logits: Float[Array, "T *P S A"]) -> Float[Array, "T *P S A"]:
    """One distribution over states and actions for each time and population."""
    flat = logits.reshape(*logits.shape[:-2], -1)
    return jnp.exp(jax.nn.log_softmax(flat, axis=-1)).reshape(logits.shape)


def residual_of(problem: FlowProblem, state: OccupationState, solver: OccupationOptimization) -> Residual:
    """The faults of a solver's state."""
    return residual(
        problem,
        occupation(state.logits),
        state.values * solver.value_scale,
        solver.complementarity_weight,
    )
