"""Mean field control: what the crowd would do if it acted as one, by differentiating through its flow."""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from antiphon.core import simplex
from antiphon.equilibrium.problem import Policy, Problem


class MeanFieldControlState(NamedTuple):
    """Logits of the policy, and what Adam remembers."""

    logits: Policy
    optimizer: optax.OptState


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class MeanFieldControl:
    """max_π J(π; flow of π), a crowd that follows one will, by Adam on logits.

    The optimum is in general no equilibrium: its exploitability is what a single player would gain by
    leaving, and its value less that of an equilibrium is the price of anarchy. Values of several kinds of
    players are added. The problem is not concave in general; other starts may lead elsewhere.

    Attributes:
        learning_rate: of Adam, in units of logits.
        tau: price of entropy, or None.

    Source: mean field control as in Carmona and Delarue 2018, volume I, section 6.2, for finite states; the
    derivative is that of the flow's recursion itself.
    """

    learning_rate: float | Float[Array, ""] = 0.05
    tau: float | Float[Array, ""] | None = None

    def init(self, problem: Problem, policy: Policy) -> MeanFieldControlState:
        """Logits of the start; actions it never takes are left at a logit from which they can return."""
        del problem
        logits = jax.tree.map(lambda pi: simplex.safe_log(jnp.maximum(pi, 1e-4)), policy)
        return MeanFieldControlState(logits, self._adam().init(logits))

    def step(self, problem: Problem, state: MeanFieldControlState) -> MeanFieldControlState:
        """One step up the gradient of everybody's value."""

        def loss(logits: Policy) -> Float[Array, ""]:
            policy = jax.tree.map(lambda leaf: jax.nn.softmax(leaf, axis=-1), logits)
            value = problem.measure(policy, self.tau).value
            return -sum(jax.tree.leaves(value), jnp.zeros(()))

        gradient = jax.grad(loss)(state.logits)
        updates, optimizer = self._adam().update(gradient, state.optimizer)
        return MeanFieldControlState(optax.apply_updates(state.logits, updates), optimizer)

    def policy(self, state: MeanFieldControlState) -> Policy:
        """Probabilities of the logits."""
        return jax.tree.map(lambda leaf: jax.nn.softmax(leaf, axis=-1), state.logits)

    def _adam(self) -> optax.GradientTransformation:
        return optax.adam(self.learning_rate)
