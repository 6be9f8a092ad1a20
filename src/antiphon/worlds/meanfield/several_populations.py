"""Several games side by side whose crowds see each other."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from antiphon.core.errors import UserError
from antiphon.equilibrium import MeanFieldGame, Neighbours
from antiphon.equilibrium.kernel import Kernel
from antiphon.worlds.meanfield.kernel_table import kernel_table

Coupling = Callable[[Array, Float[Array, "P S A"]], Float[Array, "P S A"]]
"""``coupling(time, crowds)``: what each state and action of each population earn from all crowds."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class SeveralPopulations:
    """P populations, each in its own game, and a reward that sees all crowds; made by a function below.

    Attributes:
        games: one for each population, of like sizes.
        coupling: reward beyond that of the single games.
    """

    games: tuple[MeanFieldGame, ...]
    coupling: Coupling = field(metadata={"static": True})

    @property
    def horizon(self) -> int:
        """Number of decisions."""
        return self.games[0].horizon

    @property
    def n_states(self) -> int:
        """States of each population."""
        return self.games[0].n_states

    @property
    def n_actions(self) -> int:
        """Actions of each population."""
        return self.games[0].n_actions

    @property
    def populations(self) -> tuple[int, ...]:
        """P."""
        return (len(self.games),)

    @property
    def time_dependent(self) -> bool:
        """The coupling may read the time."""
        return True

    def init(self) -> Float[Array, "P S"]:
        """Where each population begins."""
        return jnp.stack([game.init() for game in self.games])

    def kernel(self, time, crowd: Float[Array, "P S A"]) -> Kernel:
        """Each population moves by its own rules and sees its own crowd."""
        kernels = [game.kernel(time, own) for game, own in zip(self.games, crowd, strict=True)]
        sparse = [kernel for kernel in kernels if isinstance(kernel, Neighbours)]
        if len(sparse) == len(kernels) and len({kernel.states.shape for kernel in sparse}) == 1:
            return jax.tree.map(lambda *leaves: jnp.stack(leaves), *sparse)
        return jnp.stack([kernel_table(kernel, jnp.sum(crowd[0], -1)) for kernel in kernels])

    def reward(self, time, crowd: Float[Array, "P S A"]) -> Float[Array, "P S A"]:
        """What each earns in its own game, and from all crowds."""
        own = [game.reward(time, one) for game, one in zip(self.games, crowd, strict=True)]
        return jnp.stack(own) + self.coupling(time, crowd)


def several_populations(games: Sequence[MeanFieldGame], coupling: Coupling) -> SeveralPopulations:
    """Games of one size played side by side.

    Exploitability is summed over populations: a deviation is one player's of one population, and the game is
    at equilibrium when none of them gains.

    Args:
        games: one for each population; each sees only its own crowd.
        coupling: what is earned beyond that, ``(time, crowds [P, S, A]) -> [P, S, A]``, or a shape that
            broadcasts to it; a function of the module, so that compilation knows it again.

    Raises:
        UserError: no games, or games of different sizes.
    """
    sizes = [(game.horizon, game.n_states, game.n_actions) for game in games]
    if len(set(sizes)) != 1:
        raise UserError(
            "populations",
            f"the games have horizons, states and actions {sizes}",
            "give at least one game, all of one size",
        )
    return SeveralPopulations(tuple(games), coupling)
