"""Rock, paper, scissors against a whole crowd: a cyclic game, on which undamped methods turn in circles."""

import jax.numpy as jnp

from antiphon.equilibrium import rules


@rules
class RockPaperScissors:
    """One shows a hand and meets the crowd's; wins count twice a loss, and more for paper and scissors.

    States: 0 before, 1 rock, 2 paper, 3 scissors. Actions: which to show. With ``horizon`` 2 the equilibrium
    is μ_1 = (26, 20, 31)/77 with value 6/11.

    Source: arXiv 2206.08781, the environment "rock_paper_scissors" of MFGLib (its T = 1 is horizon 2).
    """

    stakes: tuple[float, ...] = (1.0, 2.0, 3.0)
    horizon: int = 2

    n_states = 4
    n_actions = 3

    def start(self):
        """Nobody has shown a hand."""
        return jnp.array([1.0, 0.0, 0.0, 0.0])

    def next_state(self, state, action, mean_field, time):
        """One shows what one chose."""
        return jnp.arange(4) == action + 1

    def reward(self, state, action, mean_field, time):
        """Twice the share that one beats, less the share that one loses to."""
        hand = state - 1
        beaten, beating = 1 + (hand + 2) % 3, 1 + (hand + 1) % 3
        stake = jnp.asarray(self.stakes)[hand]
        return jnp.where(state == 0, 0.0, stake * (2 * mean_field[beaten] - mean_field[beating]))
