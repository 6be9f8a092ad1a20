"""Major–minor games on a partition of the simplex: one backward sweep for both players.

Given the major player's state and action the next mean field is known, so the M × M transition of the mean
field is a look-up and the cost of a step is X·U·X0·U0·M·(X + X0), not its product with M.
"""

from dataclasses import dataclass
from typing import Protocol

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from antiphon.core.errors import UserError
from antiphon.equilibrium.game import MajorMinorGame, Players, major_minor_tables
from antiphon.equilibrium.problem import Gap, best_value, mean_value
from antiphon.equilibrium.rollouts import rollout
from antiphon.equilibrium.simplex_grid import Projection, SimplexGrid, simplex_grid

Entropy = Float[Array, ""] | float | None


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class PartitionProblem:
    """A major–minor game whose mean field lives on a grid; made by :func:`partition`.

    A policy is ``Players(minor [T, X, X0, M, U], major [T, X0, M, U0])``: both players see the major state
    and the mean field.

    Attributes:
        game: the game that is approximated; roll-outs go back to it.
        grid: the mean fields.
        kernel: P, [X, X0, U0, X', M, U].
        reward: r, [X, X0, U0, M, U].
        major_kernel: P0, [X0, U0, M, X0'].
        major_reward: r0, [X0, M, U0].
    """

    game: MajorMinorGame
    grid: SimplexGrid
    kernel: Float[Array, "X X0 U0 X M U"]
    reward: Float[Array, "X X0 U0 M U"]
    major_kernel: Float[Array, "X0 U0 M X0"]
    major_reward: Float[Array, "X0 M U0"]

    def uniform(self) -> Players:
        """The policies that choose all actions alike."""
        game, points = self.game, self.grid.points
        minor = (game.horizon, game.n_states, game.n_major_states, len(points), game.n_actions)
        major = (game.horizon, game.n_major_states, len(points), game.n_major_actions)
        return Players(
            jnp.full(minor, 1.0 / game.n_actions, points.dtype),
            jnp.full(major, 1.0 / game.n_major_actions, points.dtype),
        )

    def prepared(self) -> "PartitionProblem":
        """Itself: all its tables are made when it is."""
        return self

    def facing(self, policy: Players) -> "AmongPlayers":
        """What a player faces while all others keep to the policies."""
        return AmongPlayers(self, policy)

    def best_response_values(self, policy: Players, tau: Entropy = None) -> Players:
        """Q* of a minor player and of the major player, each against the policies of all others."""
        return self.facing(policy).best_response_values(tau)

    def policy_values(self, policy: Players, tau: Entropy = None) -> Players:
        """Q of both players under the policies."""
        return self.sweep(policy, ("own",), tau)[0]

    def visits(self, policy: Players, crowd: Players) -> Players:
        """Not defined: the paper averages action probabilities point by point."""
        return self.facing(crowd).visits(policy)

    def measure(self, policy: Players, tau: Entropy = None) -> Gap:
        """Exploitability and value of both players at the initial mean field."""
        best, own = self.sweep(policy, ("best", "own"), tau)
        at_start = jax.tree.map(lambda leaf: leaf[0], {"best": best, "own": own, "policy": policy})
        return self.gap_at_start(**at_start, tau=tau)

    def gap_at_start(self, best: Players, own: Players, policy: Players, tau: Entropy) -> Gap:
        """Exploitability and value from Q*, Q and policy of time 0."""
        values = Players(*(mean_value(q, pi, tau) for q, pi in zip(own, policy, strict=True)))
        answers = Players(*(best_value(q, tau) for q in best))
        value = self.at_start(values)
        return Gap(jax.tree.map(jnp.subtract, self.at_start(answers), value), value)

    def true_value(self, policy: Players, key: Key[Array, ""], paths: int = 256) -> Players:
        """Mean over ``paths`` roll-outs of the continuous mean field, of which the grid knows nothing."""
        rollouts = rollout(self, policy, key, paths)
        return Players(*(jnp.mean(value) for value in rollouts.value))

    def at_start(self, values: Players) -> Players:
        """Values ``Players([X, X0, M], [X0, M])`` of time 0, averaged over the initial states."""
        mean_field = self.game.init().astype(self.grid.points.dtype)
        index, weight = self.grid.locate(mean_field)
        major = self.game.major_init().astype(mean_field.dtype)
        return Players(
            mean_field @ (values.minor[..., index] @ weight) @ major,
            (values.major[..., index] @ weight) @ major,
        )

    def next_mean_field(self, minor: Float[Array, "X X0 M U"]) -> Float[Array, "X0 U0 M X"]:
        """T(x0, u0, μ): the next mean field from each grid point under the minor policy of one time.

        μ'(x') = Σ_{x,u} μ(x) π(u | x, x0, μ) P(x' | x, u, x0, u0, μ).
        """
        mass = self.grid.points.T[:, None, :, None] * minor
        # Sums over few states and actions, written out: each is one pass over long rows.
        moved = sum(
            mass[x, :, None, None, :, u] * self.kernel[x, ..., u]
            for x in range(self.game.n_states)
            for u in range(self.game.n_actions)
        )
        return jnp.moveaxis(jnp.asarray(moved), 2, -1)

    def sweep(
        self, policy: Players, kinds: tuple[str, ...], tau: Entropy = None, bonus: Players | None = None
    ) -> tuple[Players, ...]:
        """Q of the asked kinds ("best": max over own actions, "own": the policy itself), in one pass."""

        def step(value: Array, at: tuple[Players, Players | None]) -> tuple[Array, tuple[Players, ...]]:
            now, paid = at
            return self.step_back(value, now, kinds, tau, paid)

        return jax.lax.scan(step, self.nothing_ahead(len(kinds)), (policy, bonus), reverse=True)[1]

    def nothing_ahead(self, kinds: int) -> Float[Array, "M X0 C"]:
        """The values after the last step, all 0: C = kinds · (X + 1)."""
        shape = (len(self.grid.points), self.game.n_major_states, (self.game.n_states + 1) * kinds)
        return jnp.zeros(shape, self.grid.points.dtype)

    def step_back(
        self,
        value: Float[Array, "M X0 C"],
        now: Players,
        kinds: tuple[str, ...],
        tau: Entropy = None,
        bonus: Players | None = None,
        discount: float | Float[Array, ""] = 1.0,
    ) -> tuple[Float[Array, "M X0 C"], tuple[Players, ...]]:
        """One step of backward induction: the values before it, and Q of each kind.

        Args:
            value: afterwards; for each kind the minor states and then the major player.
            now: the policies of this step, minor [X, X0, M, U] and major [X0, M, U0].
            kinds: "best" or "own" of each.
            tau: price of entropy.
            bonus: what is paid besides, shaped like ``now``.
            discount: of the values afterwards.
        """
        minor, major = now
        n_states = self.game.n_states
        channels = n_states + 1
        index, weight = self.grid.locate(self.next_mean_field(minor))
        ahead = jnp.zeros((), value.dtype)
        for corner in range(index.shape[-1]):
            read = jnp.einsum("zamc,zamcv->zamv", self.major_kernel, value[index[..., corner]])
            ahead = ahead + weight[..., corner, None] * read
        # A discount of 1 changes no bit.
        ahead = discount * ahead
        found, closed = [], []
        for place, kind in enumerate(kinds):
            part = ahead[..., place * channels : (place + 1) * channels]
            # Everybody sees one sample of u0, so the expectation over u0 is outside of the product.
            paid = self.reward + sum(self.kernel[:, :, :, y] * part[..., y, None] for y in range(n_states))
            q = jnp.asarray(sum(major[..., u0, None] * paid[:, :, u0] for u0 in range(major.shape[-1])))
            q0 = self.major_reward + jnp.moveaxis(part[..., n_states], 1, 2)
            if bonus is not None:
                q, q0 = q + bonus.minor, q0 + bonus.major
            found.append(Players(q, q0))
            if kind == "best":
                closing = (best_value(q, tau), best_value(q0, tau))
            else:
                closing = (mean_value(q, minor, tau), mean_value(q0, major, tau))
            closed += [jnp.moveaxis(closing[0], 0, -1), closing[1][..., None]]
        return jnp.moveaxis(jnp.concatenate(closed, -1), 0, 1), tuple(found)


class Sweeping(Protocol):
    """A game on a grid that is solved backwards."""

    def sweep(
        self, policy: Players, kinds: tuple[str, ...], tau: Entropy = None, bonus: Players | None = None
    ) -> tuple[Players, ...]:
        """Q of the asked kinds, "best" or "own"."""
        ...


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class AmongPlayers:
    """What a minor player and the major player face while all others keep to their policies.

    Attributes:
        problem: the game on its grid, with or without an end.
        others: the policies.
    """

    problem: Sweeping
    others: Players

    @property
    def seen(self) -> Players:
        """Not defined, as :meth:`visits`."""
        return self.visits(self.others)

    def best_response_values(self, tau: Entropy = None, bonus: Players | None = None) -> Players:
        """Q* of both."""
        return self.problem.sweep(self.others, ("best",), tau, bonus)[0]

    def visits(self, policy: Players) -> Players:
        """Not defined: the paper averages action probabilities point by point."""
        del policy
        raise UserError(
            "averaging", "on a partition of the simplex decisions are not weighted by visits",
            "use fictitious play with averaging='plain'",
        )  # fmt: skip


def partition(
    game: MajorMinorGame,
    cells: int = 50,
    projection: Projection = "barycentric",
    dtype: jnp.dtype | None = None,
) -> PartitionProblem:
    """A major–minor game on a grid of mean fields.

    Args:
        game: the game.
        cells: M, cells along one coordinate of the simplex.
        projection: "nearest" is the paper's; "barycentric" is accurate on much coarser grids.
        dtype: float32 or float64 (which needs ``jax_enable_x64``); by default jax's own.

    Raises:
        UserError: a grid that cannot be.

    Source: arXiv 2312.10787, section 4.
    """
    grid = simplex_grid(game.n_states, cells, projection, dtype)
    tables = jax.jit(jax.vmap(major_minor_tables, (None, 0)))(game, grid.points)
    return PartitionProblem(
        game,
        grid,
        jnp.transpose(tables.kernel, (3, 1, 2, 5, 0, 4)),
        jnp.transpose(tables.reward, (3, 1, 2, 0, 4)),
        jnp.transpose(tables.major_kernel, (1, 2, 0, 3)),
        jnp.transpose(tables.major_reward, (1, 0, 2)),
    )
