"""Producers of one good whose price falls with what all of them sell."""

import jax.numpy as jnp

from antiphon.equilibrium import rules


@rules
class EquilibriumPrice:
    """State: stock in store. An action is (quantity to sell q, quantity of raw material to order h).

    The price is p = (demand / (Σ q + reserve))^(1/elasticity), the sum over the crowd. One earns
    (p − costs[0]) q − costs[1] q² − costs[2] h − (costs[2] + costs[3]) max(q − stock, 0) − costs[4] stock,
    and the stock becomes min(stock − min(q, stock) + h, most).

    Source: arXiv 2206.08781, the environment "equilibrium_price" of MFGLib, parameter by parameter (its T is
    horizon − 1); the game of arXiv 2004.13347, section 6.
    """

    demand: float = 1.0
    reserve: float = 1.0
    elasticity: float = 1.0
    costs: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0, 1.0)
    most: int = 3
    most_sold: int = 2
    most_ordered: int = 2
    horizon: int = 5

    sees_actions = True

    @property
    def n_states(self) -> int:
        """Levels of stock."""
        return self.most + 1

    @property
    def n_actions(self) -> int:
        """Pairs (q, h), h the faster."""
        return (self.most_sold + 1) * (self.most_ordered + 1)

    def start(self):
        """Any stock."""
        return jnp.full(self.n_states, 1.0 / self.n_states)

    def next_state(self, state, action, crowd, time):
        """What is left, and what was ordered."""
        sold, ordered = self._quantities(action)
        return jnp.arange(self.n_states) == jnp.minimum(state - jnp.minimum(sold, state) + ordered, self.most)

    def reward(self, state, action, crowd, time):
        """Revenue at the price that the crowd makes, less five costs."""
        sold, ordered = self._quantities(action)
        costs = jnp.asarray(self.costs)
        short = jnp.maximum(sold - state, 0)
        made = (self.price(crowd) - costs[0]) * sold - costs[1] * sold**2 - costs[2] * ordered
        return made - (costs[2] + costs[3]) * short - costs[4] * state

    def price(self, crowd):
        """What one unit sells for, given the crowd [S, A]."""
        sold = jnp.sum(crowd * self._quantities(jnp.arange(self.n_actions))[0])
        return (self.demand / (sold + self.reserve)) ** (1.0 / self.elasticity)

    def _quantities(self, action):
        return action // (self.most_ordered + 1), action % (self.most_ordered + 1)
