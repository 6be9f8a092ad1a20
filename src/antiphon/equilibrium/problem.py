"""What a solver asks of a game of any kind: values of actions, and how far a policy is from equilibrium."""

from typing import NamedTuple, Protocol, TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PyTree

Policy = PyTree[Float[Array, "..."]]
"""Action probabilities on the last axis of every leaf; one leaf for each kind of player."""


class Gap(NamedTuple):
    """How good a policy is.

    Attributes:
        exploitability: what one player gains by a best response while all others stay, ≥ 0; 0 at a Nash
            equilibrium. A number, or one for each kind of player.
        value: what a player earns who does as everybody does, likewise.
    """

    exploitability: PyTree[Float[Array, ""]]
    value: PyTree[Float[Array, ""]]


class Facing(Protocol):
    """What one player faces while all others keep to a policy; whatever is shared is computed once."""

    @property
    def seen(self) -> PyTree[Float[Array, "..."]]:
        """How often a player who does as all others do meets each decision."""
        ...

    def best_response_values(
        self, tau: Float[Array, ""] | float | None = None, bonus: Policy | None = None
    ) -> Policy:
        """Q* of the player, who may be paid a bonus for each decision besides."""
        ...

    def visits(self, policy: Policy) -> PyTree[Float[Array, "..."]]:
        """How often a player of this policy meets each decision.

        Raises:
            UserError: the kind of game does not define it.
        """
        ...


class Problem(Protocol):
    """A game made ready to be solved; a pytree, so that it may be batched."""

    def prepared(self) -> "Problem":
        """With all computed that no policy changes; the loops of solvers begin with it."""
        ...

    def facing(self, policy: Policy) -> Facing:
        """What one player faces while all others keep to the policy."""
        ...

    def uniform(self) -> Policy:
        """The policy that chooses all actions alike."""
        ...

    def best_response_values(self, policy: Policy, tau: Float[Array, ""] | float | None = None) -> Policy:
        """Q* of a player who answers the policy of all others, shaped like the policy.

        With ``tau`` the player also earns ``tau`` times the entropy of its own choices.
        """
        ...

    def policy_values(self, policy: Policy, tau: Float[Array, ""] | float | None = None) -> Policy:
        """Q of a player who does as all others do, shaped like the policy."""
        ...

    def visits(self, policy: Policy, crowd: Policy) -> PyTree[Float[Array, "..."]]:
        """How often a player of ``policy`` meets each decision while all others play ``crowd``.

        Shaped like the policy without its last axis; ``facing(crowd).visits(policy)``.

        Raises:
            UserError: the kind of game does not define it.
        """
        ...

    def true_value(self, policy: Policy, key: Key[Array, ""], paths: int = 256) -> PyTree[Float[Array, ""]]:
        """What everybody earns in the game itself, with nothing put on a grid."""
        ...

    def measure(self, policy: Policy, tau: Float[Array, ""] | float | None = None) -> Gap:
        """Exploitability and value of the policy."""
        ...


Anything = TypeVar("Anything")


def uniform_like(values: Anything) -> Anything:
    """Equal probabilities on the last axis of every leaf."""
    return jax.tree.map(lambda q: jnp.full_like(q, 1.0 / q.shape[-1]), values)


def first_action(problem: Problem, action: int = 0) -> Policy:
    """The policy that always takes one action (``-1`` is the last); the usual start of the paper's runs."""

    def pick(leaf: Array) -> Array:
        return jnp.zeros_like(leaf).at[..., action].set(1.0)

    return jax.tree.map(pick, problem.uniform())


def greedy(values: Anything, split_ties: bool = False) -> Anything:
    """All weight on the best action; on ties the first of them, or equal shares."""

    def of_leaf(q: Array) -> Array:
        if not split_ties:
            return jax.nn.one_hot(jnp.argmax(q, axis=-1), q.shape[-1], dtype=q.dtype)
        best = (q == jnp.max(q, axis=-1, keepdims=True)).astype(q.dtype)
        return best / jnp.sum(best, axis=-1, keepdims=True)

    return jax.tree.map(of_leaf, values)


def soft_greedy(values: Anything, tau: Float[Array, ""] | float) -> Anything:
    """softmax(Q / τ): the best response of a player who also earns τ times its entropy."""
    return jax.tree.map(lambda q: jax.nn.softmax(q / tau, axis=-1), values)


def best_value(q: Float[Array, "*B A"], tau: Float[Array, ""] | float | None) -> Float[Array, "*B"]:
    """max_a Q, or τ logsumexp(Q / τ) where entropy is paid."""
    return jnp.max(q, axis=-1) if tau is None else tau * jax.nn.logsumexp(q / tau, axis=-1)


def mean_value(
    q: Float[Array, "*B A"], policy: Float[Array, "*B A"], tau: Float[Array, ""] | float | None
) -> Float[Array, "*B"]:
    """Σ_a π Q, plus τ times the entropy of π where entropy is paid."""
    if tau is None:
        return jnp.sum(policy * q, axis=-1)
    # xlogy is 0 at 0, and so is its gradient's share.
    return jnp.sum(policy * q - tau * jax.scipy.special.xlogy(policy, policy), axis=-1)
