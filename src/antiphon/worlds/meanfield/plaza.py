"""A square that everybody crosses to the better of two corners, and a crowd that is in its own way."""

import jax.numpy as jnp

from antiphon.equilibrium import rules


@rules
class Plaza:
    """Cells of a square of ``width`` by ``width``; all start in a corner. One stays or steps to a neighbour.

    The crowd acts on both halves of the game. A step into a cell succeeds with probability
    1 / (1 + congestion · μ(cell)), else one stays; of the successful steps a share ``slip`` goes astray. A
    cell pays −distance / width to the nearer of two corners, the farther of which (diagonally opposite) is
    better by ``bonus``, and −price · μ(cell).

    Actions: 0 stay, 1 east, 2 west, 3 north, 4 south.

    Source: ours, after the crowd modelling of arXiv 2007.03458, section 4, whose dynamics do not see the
    crowd.
    """

    congestion: float = 4.0
    price: float = 2.0
    bonus: float = 0.5
    slip: float = 0.1
    width: int = 5
    horizon: int = 12

    n_actions = 5

    @property
    def n_states(self) -> int:
        """Cells."""
        return self.width**2

    def start(self):
        """All in the first corner."""
        return jnp.zeros(self.n_states).at[0].set(1.0)

    def next_state(self, state, action, mean_field, time):
        """A step that a full cell refuses, and that may go astray."""
        neighbours = self._neighbours(state)
        wanted = neighbours[action]
        entered = 1.0 / (1.0 + self.congestion * mean_field[wanted])
        entered = jnp.where(wanted == state, 0.0, entered)
        stayed = jnp.zeros(self.n_states, mean_field.dtype).at[state].set(1.0 - entered)
        astray = entered * jnp.asarray(self.slip, mean_field.dtype)
        return stayed.at[wanted].add(entered - astray).at[neighbours[1:]].add(astray / 4)

    def reward(self, state, action, mean_field, time):
        """Near a corner, alone."""
        across, up = state % self.width, state // self.width
        last = self.width - 1
        near = (last - across) + up
        far = (last - across) + (last - up)
        place = jnp.maximum(-near / self.width, self.bonus - far / self.width)
        return place - self.price * mean_field[state]

    def _neighbours(self, state):
        """Where each action leads when nobody is in the way."""
        last = self.width - 1
        across = jnp.clip(state % self.width + jnp.array([0, 1, -1, 0, 0]), 0, last)
        up = jnp.clip(state // self.width + jnp.array([0, 0, 0, 1, -1]), 0, last)
        return across + self.width * up
