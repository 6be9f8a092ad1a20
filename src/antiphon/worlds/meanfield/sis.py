"""An epidemic whose government may force people apart: SIS with a major player."""

import jax.numpy as jnp

from antiphon.equilibrium import rules


@rules
class SIS:
    """Susceptible or infected; a person may protect itself, the government may impose distance.

    States: 0 susceptible, 1 infected. Actions: 0 go out, 1 stay home. Major states: 0 low season, 1 high
    season (exogenous). Major actions: 0 nothing, 1 impose distance. One step is ``delta_t``.

    Source: arXiv 2312.10787, section 5 "SIS"; the numbers are those of the authors' program.
    """

    infection_rate: float = 0.8
    recovery_rate: float = 0.2
    season_rate: float = 0.4
    initially_infected: float = 0.2
    initially_high: float = 0.5
    cost_infected: float = 0.75
    cost_protect: float = 0.5
    major_cost_infected: float = 2.0
    major_cost_force: float = 1.0
    delta_t: float = 0.25
    horizon: int = 150

    n_states = 2
    n_actions = 2
    n_major_states = 2
    n_major_actions = 2

    def start(self):
        """A fifth is infected."""
        return jnp.stack([1 - jnp.asarray(self.initially_infected), jnp.asarray(self.initially_infected)])

    def major_start(self):
        """Either season."""
        return jnp.stack([1 - jnp.asarray(self.initially_high), jnp.asarray(self.initially_high)])

    def next_state(self, state, action, mean_field, major_state, major_action):
        """Infection by contact, unless protected; recovery at a constant rate."""
        factor = 0.5 + major_state + (major_action == 0)
        caught = jnp.minimum(1.0, self.infection_rate * mean_field[1] * factor * self.delta_t)
        infected = jnp.where(
            state == 1, 1 - self.recovery_rate * self.delta_t, jnp.where(action == 0, caught, 0.0)
        )
        return jnp.stack([1 - infected, infected])

    def reward(self, state, action, mean_field, major_state, major_action):
        """Illness costs, and so does staying home, more so when it is imposed."""
        return -self.cost_infected * state - self.cost_protect * action * (0.5 + major_action)

    def major_next_state(self, major_state, major_action, mean_field):
        """Seasons come and go by themselves."""
        high = jnp.where(
            major_state == 1, 1 - self.season_rate * self.delta_t, self.season_rate * self.delta_t
        )
        return jnp.stack([1 - high, high])

    def major_reward(self, major_state, major_action, mean_field):
        """The sick cost; imposing distance costs while fewer than half are sick."""
        sick = mean_field[1]
        return -self.major_cost_infected * sick - self.major_cost_force * major_action * (0.5 - sick)
