"""Two companies compete for users and a regulator may help one: Advertisement with a major player."""

import jax.numpy as jnp

from antiphon.equilibrium import rules


@rules
class Advertisement:
    """A user is with one of two companies and decides how closely to look around.

    States: 0 first company, 1 second. Actions: 0 content, 1 open to change. Major states: which company
    advertises aggressively (exogenous). Major actions: 0 nothing, 1 help the first, 2 help the second.

    Source: arXiv 2312.10787, section 5 "Advertisement"; the numbers are those of the authors' program.
    """

    change_rate: float = 0.3
    major_change_rate: float = 0.05
    cost_content: float = 0.75
    cost_open: float = 1.0
    reward_advert: float = 1.0
    reward_crowd: float = 1.0
    major_cost_help: float = 0.1
    major_cost_monopoly: float = 1.0
    advert_floor: float = 0.2
    advert_aggressive: float = 0.5
    advert_helped: float = 0.7
    openness: float = 1.0
    horizon: int = 100

    n_states = 2
    n_actions = 2
    n_major_states = 2
    n_major_actions = 3

    def start(self):
        """Half and half."""
        return jnp.array([0.5, 0.5])

    def major_start(self):
        """The first company begins."""
        return jnp.array([1.0, 0.0])

    def next_state(self, state, action, mean_field, major_state, major_action):
        """One changes to the other company by the ratio of their advertisements."""
        adverts = self._adverts(major_state, major_action)
        rate = self.change_rate * adverts[1 - state] / adverts[state] * (0.2 + self.openness * action)
        changed = jnp.minimum(1.0, rate)
        return jnp.where(jnp.arange(2) == state, 1 - changed, changed)

    def reward(self, state, action, mean_field, major_state, major_action):
        """Being with the majority and with a loud company pleases; both actions cost."""
        crowd = self.reward_crowd * (mean_field[state] - mean_field[1 - state])
        advert = self.reward_advert * self._adverts(major_state, major_action)[state]
        return crowd + advert - jnp.where(action == 0, self.cost_content, self.cost_open)

    def major_next_state(self, major_state, major_action, mean_field):
        """The companies take turns."""
        return jnp.where(jnp.arange(2) == major_state, 1 - self.major_change_rate, self.major_change_rate)

    def major_reward(self, major_state, major_action, mean_field):
        """A monopoly costs, and so does help."""
        uneven = jnp.abs(mean_field[0] - mean_field[1])
        return -self.major_cost_monopoly * uneven - self.major_cost_help * (major_action > 0)

    def _adverts(self, major_state, major_action):
        company = jnp.arange(2)
        aggressive = self.advert_aggressive * (major_state == company)
        return self.advert_floor + aggressive + self.advert_helped * (major_action == company + 1)
