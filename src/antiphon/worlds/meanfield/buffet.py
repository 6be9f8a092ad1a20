"""Places with food that a caterer refills and a crowd empties: Buffet with a major player."""

import itertools

import jax.numpy as jnp

from antiphon.equilibrium import rules


@rules
class Buffet:
    """A guest stands at a table; the caterer fills one table at a time.

    States and actions: tables (where one is, where one wants to be). Major states: fill levels of all tables,
    ``Σ_l level_l · levels^l``. Major actions: which table to fill. One step is ``delta_t``.

    Source: arXiv 2312.10787, section 5 "Buffet"; the numbers are those of the authors' program.
    """

    move_rate: float = 0.7
    gain_rate: float = 0.9
    loss_rate: float = 1.0
    reward_food: float = 0.75
    cost_crowd: float = 0.5
    cost_move: float = 1.0
    major_reward_fill: float = 2.0
    major_cost_imbalance: float = 1.0
    delta_t: float = 0.2
    horizon: int = 100
    tables: int = 2
    levels: int = 5

    @property
    def n_states(self) -> int:
        """Tables."""
        return self.tables

    @property
    def n_actions(self) -> int:
        """Tables."""
        return self.tables

    @property
    def n_major_states(self) -> int:
        """Joint fill levels."""
        return self.levels**self.tables

    @property
    def n_major_actions(self) -> int:
        """Tables."""
        return self.tables

    def start(self):
        """Everybody at the first table."""
        return jnp.zeros(self.tables).at[0].set(1.0)

    def major_start(self):
        """Any fill levels."""
        return jnp.full(self.n_major_states, 1.0 / self.n_major_states)

    def next_state(self, state, action, mean_field, major_state, major_action):
        """One arrives where one wants to be at a constant rate."""
        moved = self.move_rate * self.delta_t
        here = jnp.arange(self.tables)
        return (1 - moved) * (here == state) + moved * (here == action)

    def reward(self, state, action, mean_field, major_state, major_action):
        """Food pleases; a crowd and walking do not."""
        food = self._levels(major_state)[state]
        return (
            self.reward_food * food - self.cost_crowd * mean_field[state] - self.cost_move * (action != state)
        )

    def major_next_state(self, major_state, major_action, mean_field):
        """Each table loses food as guests stand at it; the chosen one may gain; the sum is clipped."""
        levels = self._levels(major_state)
        weights = self.levels ** jnp.arange(self.tables)
        loss, gain = mean_field * self.loss_rate * self.delta_t, self.gain_rate * self.delta_t
        chosen = jnp.arange(self.tables) == major_action
        following = jnp.zeros(self.n_major_states, mean_field.dtype)
        for change in itertools.product((0, 1), repeat=self.tables):
            lost = jnp.asarray(change)
            probability = jnp.prod(jnp.where(lost == 1, loss, 1 - loss))
            for gained, share in ((0, 1 - gain), (1, gain)):
                new = jnp.clip(levels + gained * chosen - lost, 0, self.levels - 1)
                following = following.at[jnp.sum(new * weights)].add(probability * share)
        return following

    def major_reward(self, major_state, major_action, mean_field):
        """Full tables please, uneven ones do not."""
        levels = self._levels(major_state)
        mean = jnp.mean(1.0 * levels)
        return self.major_reward_fill * mean - self.major_cost_imbalance * jnp.mean(jnp.abs(levels - mean))

    def _levels(self, major_state):
        return major_state // self.levels ** jnp.arange(self.tables) % self.levels
