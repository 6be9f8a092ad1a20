"""Keep near the mean of the crowd: the linear–quadratic game on a few integer states, as the peer has it."""

import jax.numpy as jnp

from antiphon.equilibrium import rules


@rules
class LinearQuadratic:
    """States −reach … reach, moves −most … most; one is pulled to the mean and shaken by rounded noise.

    x' = round(x + (pull (m − x) + a) δ + σ ε √δ), kept within the reach; ε is σ times one of −3 … 3 with
    weights exp(−ε²/2). r = δ (−a²/2 + q a (m − x) − κ (m − x)²/2), at the last time −c (m − x)²/2.

    Source: arXiv 2007.03458, appendix; the environment "linear_quadratic" of MFGLib, parameter by parameter
    (its T is horizon − 1). The noise has σ twice, as in that program. The exact game is in
    :mod:`antiphon.worlds.meanfield.linear_gaussian`.
    """

    sigma: float = 3.0
    delta: float = 0.1
    pull: float = 1.0
    cross: float = 0.01
    kappa: float = 0.5
    last_cost: float = 1.0
    reach: int = 5
    most: int = 2
    horizon: int = 4

    time_dependent = True

    @property
    def n_states(self) -> int:
        """Positions."""
        return 2 * self.reach + 1

    @property
    def n_actions(self) -> int:
        """Moves."""
        return 2 * self.most + 1

    def start(self):
        """Everybody anywhere."""
        return jnp.full(self.n_states, 1.0 / self.n_states)

    def next_state(self, state, action, mean_field, time):
        """A pull, a move, a shake."""
        noise = jnp.arange(-3, 4) * self.sigma
        weight = jnp.exp(-0.5 * noise**2)
        position, move = state - self.reach, action - self.most
        drift = (self.pull * (self._mean(mean_field) - position) + move) * self.delta
        where = jnp.round(position + drift + self.sigma * noise * jnp.sqrt(self.delta))
        index = (jnp.clip(where, -self.reach, self.reach) + self.reach).astype(int)
        return jnp.zeros(self.n_states).at[index].add(weight / jnp.sum(weight))

    def reward(self, state, action, mean_field, time):
        """Moves cost, and so does distance from the mean; at the end only the distance."""
        apart = self._mean(mean_field) - (state - self.reach)
        move = action - self.most
        running = -0.5 * move**2 + self.cross * move * apart - 0.5 * self.kappa * apart**2
        return jnp.where(time == self.horizon - 1, -0.5 * self.last_cost * apart**2, self.delta * running)

    def _mean(self, mean_field):
        return jnp.sum(jnp.arange(-self.reach, self.reach + 1) * mean_field)
