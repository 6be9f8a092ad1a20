"""A trap that pulls harder the more have fallen into it: small mistakes add up to a large loss."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from antiphon.equilibrium import rules


@rules
class Attractor:
    """State 0 is free, state 1 is the trap: nobody leaves it, and each step there costs 1.

    Action 1 leads into the trap; action 0 does so with probability min(1, coupling · μ(trap)). The expert
    always takes action 0, so that nobody is ever trapped. A crowd that takes action 1 with probability α has

        ρ_{t+1} = ρ_t + (1 − ρ_t)(α + (1 − α) min(1, coupling ρ_t)),

    which grows like (1 + coupling)^t α, and so does its loss of value, Σ ρ_t. Its exploitability does not:
    who would leave is dragged along. It is Σ (ρ_t − d_t), d_{t+1} = d_t + (1 − d_t) min(1, coupling ρ_t), at
    most α H² / 2.

    Source: the example of arXiv 2306.14799 (an attractor state), as others have rebuilt it. Our
    reconstruction: the full text was out of reach, and the cost of the trap is not sure. The bound is ours.
    """

    coupling: float = 1.0
    horizon: int = 20

    n_states = 2
    n_actions = 2

    def start(self):
        """Everybody free."""
        return jnp.array([1.0, 0.0])

    def next_state(self, state, action, mean_field, time):
        """Into the trap by choice, or dragged by the crowd that is there."""
        return fall(state, action == 1, self.coupling * mean_field[1])

    def reward(self, state, action, mean_field, time):
        """The trap costs."""
        return -jnp.where(state == 1, 1.0, 0.0)

    def expert(self) -> Float[Array, "T 2 2"]:
        """Always action 0: an equilibrium, and the best for everybody."""
        return self.mistaken(0.0)

    def mistaken(self, alpha: float | Float[Array, ""]) -> Float[Array, "T 2 2"]:
        """The expert who errs: action 1 with probability ``alpha``, everywhere."""
        row = jnp.stack([1.0 - jnp.asarray(alpha), jnp.asarray(alpha)])
        return jnp.broadcast_to(row, (self.horizon, 2, 2))


def fall(state, choice, pull) -> Float[Array, "2"]:
    """Distribution of the next state: the trap if one is there, or chooses it, or is pulled."""
    caught = jnp.where((state == 1) | choice, 1.0, jnp.minimum(1.0, pull))
    return jnp.stack([1.0 - caught, caught])
