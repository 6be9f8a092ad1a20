"""Go left or right, and do not be where everybody is: the smallest game with a mixed equilibrium."""

import jax.numpy as jnp

from antiphon.equilibrium import rules


@rules
class LeftRight:
    """From the centre one goes left or right; the crowd on the right is twice as unpleasant.

    States: 0 centre, 1 left, 2 right. Actions: 0 left, 1 right. Rewards are earned at the second step.
    Equilibrium: μ_1 = (0, 2/3, 1/3), value −2/3.

    Source: arXiv 2206.08781, the environment "left_right" of MFGLib (its T = 1 is horizon 2).
    """

    left_cost: float = 1.0
    right_cost: float = 2.0
    horizon: int = 2

    n_states = 3
    n_actions = 2

    def start(self):
        """Everybody in the centre."""
        return jnp.array([1.0, 0.0, 0.0])

    def next_state(self, state, action, mean_field, time):
        """One goes where one wants to go."""
        return jnp.arange(3) == action + 1

    def reward(self, state, action, mean_field, time):
        """The crowd where one stands costs."""
        costs = jnp.stack([jnp.zeros(()), jnp.asarray(self.left_cost), jnp.asarray(self.right_cost)])
        return -costs[state] * mean_field[state]
