"""An epidemic without a government: stay home or risk infection."""

import jax.numpy as jnp

from antiphon.equilibrium import rules


@rules
class SusceptibleInfected:
    """States: 0 susceptible, 1 infected. Actions: 0 go out, 1 stay home (no infection).

    With ``horizon`` long and everybody going out the infected share tends to 1 − recovery/infection.

    Source: arXiv 2206.08781, the environment "susceptible_infected" of MFGLib (its T is horizon − 1); the
    game of arXiv 2102.01585, section 6.
    """

    infection: float = 0.81
    recovery: float = 0.3
    cost_infected: float = 1.0
    cost_home: float = 0.5
    initially_infected: float = 0.6
    horizon: int = 51

    n_states = 2
    n_actions = 2

    def start(self):
        """More than half are ill."""
        infected = jnp.asarray(self.initially_infected)
        return jnp.stack([1 - infected, infected])

    def next_state(self, state, action, mean_field, time):
        """Infection by contact."""
        caught = jnp.where(action == 0, self.infection * mean_field[1], 0.0)
        infected = jnp.where(state == 1, 1 - self.recovery, caught)
        return jnp.stack([1 - infected, infected])

    def reward(self, state, action, mean_field, time):
        """Illness costs, and so does staying home."""
        return -self.cost_infected * state - self.cost_home * action
