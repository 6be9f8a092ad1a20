"""Fixed point iteration: everybody moves to the best response at once, damped or softened."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Float

from antiphon.core.errors import UserError
from antiphon.equilibrium.problem import Policy, Problem, greedy, soft_greedy


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class FixedPoint:
    """π ← (1 − d) BR(π) + d π. It converges where the game is a contraction, and cycles elsewhere.

    Attributes:
        damping: d in [0, 1), the share of the old policy.
        temperature: the answer is softmax(Q* / temperature) of an entropy-paid player; None for the argmax.

    Source: arXiv 1901.09585, algorithm 1; arXiv 2312.10787, section 5 (FPI).
    """

    damping: float | Float[jax.Array, ""] = 0.0
    temperature: float | Float[jax.Array, ""] | None = None

    def __post_init__(self) -> None:
        """Refuses a damping that never moves."""
        if isinstance(self.damping, int | float) and not 0 <= self.damping < 1:
            raise UserError("damping", f"damping is {self.damping}", "give a number in [0, 1)")

    def init(self, problem: Problem, policy: Policy) -> Policy:
        """Starts from a policy."""
        del problem
        return policy

    def step(self, problem: Problem, state: Policy) -> Policy:
        """Everybody answers."""
        values = problem.best_response_values(state, self.temperature)
        answer = greedy(values) if self.temperature is None else soft_greedy(values, self.temperature)
        return jax.tree.map(
            lambda new, old: new + jnp.asarray(self.damping, old.dtype) * (old - new), answer, state
        )

    def policy(self, state: Policy) -> Policy:
        """The policy itself."""
        return state


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class BoltzmannIteration:
    """Boltzmann policy iteration: π ← softmax(Q^π / τ), an evaluation and a soft improvement.

    Attributes:
        temperature: τ, in units of reward, > 0.

    Source: arXiv 2102.01585, section 4 (Boltzmann policies for approximate mean field equilibria).
    """

    temperature: float | Float[jax.Array, ""] = 0.1

    def __post_init__(self) -> None:
        """Refuses a temperature that is not positive."""
        if isinstance(self.temperature, int | float) and self.temperature <= 0:
            raise UserError("temperature", f"temperature is {self.temperature}", "give a number > 0")

    def init(self, problem: Problem, policy: Policy) -> Policy:
        """Starts from a policy."""
        del problem
        return policy

    def step(self, problem: Problem, state: Policy) -> Policy:
        """Evaluates and improves."""
        return soft_greedy(problem.policy_values(state), self.temperature)

    def policy(self, state: Policy) -> Policy:
        """The policy itself."""
        return state
