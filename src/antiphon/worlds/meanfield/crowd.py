"""Free choice of a place whose worth falls with the logarithm of its crowd: the equilibrium is a softmax."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from antiphon.equilibrium import rules


@rules
class FreeCrowd:
    """At every step one chooses any place; being there earns ``worth − price · log μ(place)``.

    Equilibrium: from the second step on μ = softmax(worth / price), and every player earns
    price · logsumexp(worth / price) at each of these steps.

    Source: the first-order condition of the concave potential Σ worth·μ + price·H(μ).
    """

    worth: Float[Array, "S"]
    price: float = 1.0
    horizon: int = 2

    @property
    def n_states(self) -> int:
        """Places."""
        return self.worth.shape[-1]

    @property
    def n_actions(self) -> int:
        """Places."""
        return self.worth.shape[-1]

    def start(self):
        """Everybody anywhere."""
        return jnp.full(self.n_states, 1.0 / self.n_states, self.worth.dtype)

    def next_state(self, state, action, mean_field, time):
        """One is where one wants to be."""
        return jnp.arange(self.n_states) == action

    def reward(self, state, action, mean_field, time):
        """A good place, alone."""
        return self.worth[state] - self.price * jnp.log(jnp.maximum(mean_field[state], 1e-30))

    def equilibrium(self) -> Float[Array, "S"]:
        """The mean field at equilibrium from the second step on."""
        return jax.nn.softmax(self.worth / self.price)
