"""Populations on a square that chase one another in a circle: predator and prey."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from antiphon.core.errors import UserError
from antiphon.equilibrium import Neighbours, rules

_STEPS = np.array([(0, 0), (1, 0), (0, 1), (0, -1), (-1, 0)])

# Rows: who; columns: by whom it is attracted (+1) or repelled (−1).
_THREE = ((0, -1, 1), (1, 0, -1), (-1, 1, 0))
_FOUR = ((0, 1, 0, -1), (-1, 0, 1, 0), (0, -1, 0, 1), (1, 0, -1, 0))


@rules
class Chase:
    """P populations on the places of a square; made by :class:`PredatorPrey`.

    r_p(s) = −congestion · log(μ_p(s) + 10⁻²⁵) + Σ_q attraction[p, q] μ_q(s).
    """

    states: Int[Array, "S A K"]
    probabilities: Float[Array, "S A K"]
    attraction: Float[Array, "P P"]
    congestion: Float[Array, ""]
    mean_field: Float[Array, "P S"]
    horizon: int

    n_actions = 5
    time_dependent = False

    @property
    def n_states(self) -> int:
        """Places."""
        return self.mean_field.shape[-1]

    @property
    def populations(self) -> tuple[int, ...]:
        """P."""
        return (self.mean_field.shape[-2],)

    def init(self) -> Float[Array, "P S"]:
        """Each population in its corner."""
        return self.mean_field

    def kernel(self, time, crowd: Float[Array, "P S A"]) -> Neighbours:
        """A step and a stumble; walls stop both. The same for all populations."""
        del time
        shape = (crowd.shape[0], *self.states.shape)
        return Neighbours(jnp.broadcast_to(self.states, shape), jnp.broadcast_to(self.probabilities, shape))

    def reward(self, time, crowd: Float[Array, "P S A"]) -> Float[Array, "P S A"]:
        """Away from one's own, near the prey, far from the predator."""
        del time
        mean_field = jnp.sum(crowd, axis=-1)
        paid = -self.congestion * jnp.log(mean_field + 1e-25) + self.attraction @ mean_field
        return jnp.broadcast_to(paid[..., None], crowd.shape)


@rules
class PredatorPrey:
    """Three or four populations that begin in the corners of a square.

    Each likes the density of one other population where it stands, dislikes that of the next, and its own.

    Attributes:
        kinds: populations, 3 or 4.
        size: places along a side.
        horizon: number of decisions.
        noise: chance to stumble to one of the four sides after a step.
        congestion: price of −log μ of one's own population.

    Source: arXiv 2103.00623, section 5.4; parameters of python_mfg_predator_prey and its named settings in
    OpenSpiel 2.0. Differs from that program: at time 0 it reads the initial distribution in another order
    than it was written, which adds a constant to values and nothing to exploitability.
    """

    kinds: int = 3
    size: int = 5
    horizon: int = 10
    noise: float = 0.8
    congestion: float = 1.0

    def build(self) -> Chase:
        """The game's arrays.

        Raises:
            UserError: other than three or four populations, or no place.
        """
        if self.kinds not in (3, 4):
            raise UserError("kinds", f"there are {self.kinds} populations", "use 3 or 4")
        if self.size < 2:
            raise UserError("size", f"size is {self.size}", "give at least 2")
        places = np.array([(x, y) for y in range(self.size) for x in range(self.size)])
        ahead = np.clip(places[:, None] + _STEPS, 0, self.size - 1)
        step = ahead[..., 0] + self.size * ahead[..., 1]
        corners = [0, self.size - 1, self.size * (self.size - 1), self.size**2 - 1]
        # The peer's three begin at (0, 0), (4, 0), (0, 4), its four go round: (0, 0), (0, 4), (4, 4), (4, 0).
        begins = corners[:3] if self.kinds == 3 else [corners[i] for i in (0, 2, 3, 1)]
        chances = jnp.stack([1.0 - jnp.asarray(self.noise, float)] + [jnp.asarray(self.noise, float) / 4] * 4)
        return Chase(
            states=jnp.asarray(step[step]),
            probabilities=jnp.broadcast_to(chances, (*step.shape, 5)),
            attraction=jnp.asarray(_THREE if self.kinds == 3 else _FOUR, float),
            congestion=jnp.asarray(self.congestion, float),
            mean_field=jnp.eye(self.size**2)[jnp.array(begins)],
            horizon=self.horizon,
        )
