"""Roads whose travel time grows with the traffic: Wardrop's equilibrium."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from antiphon.equilibrium import rules


@rules
class Roads:
    """From home (state 0) one takes one of R roads (states 1 … R); a road takes ``free + slope · traffic``.

    At equilibrium all used roads take equally long and no other is faster (Wardrop 1952).
    """

    free: Float[Array, "R"]
    slope: Float[Array, "R"]
    horizon: int = 2

    @property
    def n_states(self) -> int:
        """Home and the roads."""
        return self.free.shape[-1] + 1

    @property
    def n_actions(self) -> int:
        """Roads."""
        return self.free.shape[-1]

    def start(self):
        """Everybody at home."""
        return jnp.zeros(self.n_states, self.free.dtype).at[0].set(1.0)

    def next_state(self, state, action, mean_field, time):
        """One takes the chosen road."""
        return jnp.arange(self.n_states) == action + 1

    def reward(self, state, action, mean_field, time):
        """Time lost."""
        road = jnp.maximum(state - 1, 0)
        return jnp.where(state == 0, 0.0, -(self.free[road] + self.slope[road] * mean_field[state]))

    def equilibrium(self) -> Float[Array, "R"]:
        """Traffic at equilibrium: max(time − free, 0)/slope, with the time that makes the traffic one.

        The common time solves a piecewise linear equation; with roads sorted by free time it is read off the
        largest set of roads that are all worth taking.
        """
        order = jnp.argsort(self.free)
        free, inverse = self.free[order], 1.0 / self.slope[order]
        times = (1.0 + jnp.cumsum(free * inverse)) / jnp.cumsum(inverse)
        used = jnp.sum(times > free)
        return jnp.maximum(times[used - 1] - self.free, 0.0) / self.slope


def three_roads() -> Roads:
    """Two roads that are taken and one too slow for anybody: traffic 2/3, 1/3 and 0, each taking 5/3."""
    return Roads(jnp.array([1.0, 4 / 3, 3.0]), jnp.array([1.0, 1.0, 0.5]))
