"""A beach with a bar: everybody wants to be near it, and nobody in the crowd."""

import jax.numpy as jnp

from antiphon.equilibrium import rules


@rules
class BeachBar:
    """Places in a row; one steps left, stays or steps right, and drifts a little.

    Reward: −distance to the bar (around the circle, as the peer has it) − |step|/n − log μ(place).

    Source: arXiv 2007.03458, section 4; arXiv 2206.08781, the environment "beach_bar" of MFGLib, parameter by
    parameter (its T is horizon − 1).
    """

    p_still: float = 0.5
    log_floor: float = 1e-20
    n_states: int = 10
    bar: int = 5
    horizon: int = 11

    n_actions = 3

    def start(self):
        """Everybody anywhere."""
        return jnp.full(self.n_states, 1.0 / self.n_states)

    def next_state(self, state, action, mean_field, time):
        """A step, a drift, and the ends of the beach."""
        drift = jnp.array([-1, 0, 1])
        places = jnp.clip(state + action - 1 + drift, 0, self.n_states - 1)
        still = jnp.asarray(self.p_still)
        chances = jnp.stack([(1 - still) / 2, still, (1 - still) / 2])
        return jnp.zeros(self.n_states, chances.dtype).at[places].add(chances)

    def reward(self, state, action, mean_field, time):
        """Near the bar, at rest, alone."""
        away = jnp.minimum((state - self.bar) % self.n_states, (self.bar - state) % self.n_states)
        crowd = jnp.log(mean_field[state] + self.log_floor)
        return -away - jnp.abs(action - 1) / self.n_states - crowd
