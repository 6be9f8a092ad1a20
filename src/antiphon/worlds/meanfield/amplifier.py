"""A small mistake doubles at every step, and one can bet on it: imitation at its hardest."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from antiphon.equilibrium import rules
from antiphon.worlds.meanfield.attractor import fall


@rules
class Amplifier:
    """The chain of ``Attractor``, where being in state 1 costs nothing and action 2 bets on it.

    Action 2 moves like action 0 and earns ``stake · μ(1) − price``; all else earns nothing. The expert always
    takes action 0 and keeps state 1 empty, so that the bet is worth nothing (an equilibrium, strict if the
    price is positive). Imitators who take action 1 with probability α fill state 1 like (1 + coupling)^t α,
    and one player could bet on that in every step: at price 0 the Nash imitation gap is stake · Σ_t ρ_t. At
    coupling 1, while ρ is small, it is stake · α (2^H − 1 − H).

    Source: ours; it shows that the exponential bounds of arXiv 2306.14799 for behavioural cloning and for
    adversarial imitation in a frozen population are no artefact of the proof, which ``Attractor`` does not.
    """

    coupling: float = 1.0
    stake: float = 1.0
    price: float = 0.0
    horizon: int = 20

    n_states = 2
    n_actions = 3

    def start(self):
        """Everybody in state 0."""
        return jnp.array([1.0, 0.0])

    def next_state(self, state, action, mean_field, time):
        """By choice, or with the crowd that is there."""
        return fall(state, action == 1, self.coupling * mean_field[1])

    def reward(self, state, action, mean_field, time):
        """The bet pays as many as are in state 1."""
        return jnp.where(action == 2, self.stake * mean_field[1] - self.price, 0.0)

    def expert(self) -> Float[Array, "T 2 3"]:
        """Always action 0."""
        return self.mistaken(0.0)

    def mistaken(self, alpha: float | Float[Array, ""]) -> Float[Array, "T 2 3"]:
        """The expert who errs: action 1 with probability ``alpha``, everywhere."""
        alpha = jnp.asarray(alpha)
        row = jnp.stack([1.0 - alpha, alpha, jnp.zeros_like(alpha)])
        return jnp.broadcast_to(row, (self.horizon, 2, 3))
