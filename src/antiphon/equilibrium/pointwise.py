"""From functions of one state and one action to the arrays of a game, checked while the game is built.

A person writes what one player sees; ``vmap`` makes the tables. What a beginner gets wrong (a row that does
not sum to one, a wrong shape, a reward that is not a number) is said with the state, the action and the time.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from antiphon.core.errors import UserError
from antiphon.equilibrium.game import Index, Time, major_minor_tables

_TIMES = 100  # Rules that read the time are asked at so many times at most, evenly spread.


class PointwiseRules(Protocol):
    """What a person writes for a plain game; usually a class under the decorator ``rules``.

    Two optional attributes: ``time_dependent = True`` where the functions read the time, and
    ``sees_actions = True`` where ``mean_field`` shall be the joint ``[S, A]`` and not its sum over actions.
    """

    @property
    def horizon(self) -> int:
        """Number of decisions."""
        ...

    @property
    def n_states(self) -> int:
        """Number of states."""
        ...

    @property
    def n_actions(self) -> int:
        """Number of actions."""
        ...

    def start(self) -> Any:
        """Distribution of the states at time 0, [S]."""
        ...

    def next_state(self, state: Index, action: Index, mean_field: Float[Array, "S"], time: Time) -> Any:
        """Distribution of the next state, [S]."""
        ...

    def reward(self, state: Index, action: Index, mean_field: Float[Array, "S"], time: Time) -> Any:
        """What one player earns, a number."""
        ...


class MajorMinorRules(Protocol):
    """What a person writes for a game with a major player."""

    @property
    def horizon(self) -> int:
        """Number of decisions."""
        ...

    @property
    def n_states(self) -> int:
        """Number of states of a minor player."""
        ...

    @property
    def n_actions(self) -> int:
        """Number of actions of a minor player."""
        ...

    @property
    def n_major_states(self) -> int:
        """Number of states of the major player."""
        ...

    @property
    def n_major_actions(self) -> int:
        """Number of actions of the major player."""
        ...

    def start(self) -> Any:
        """Mean field at time 0, [X]."""
        ...

    def major_start(self) -> Any:
        """Distribution of the major player's state at time 0, [X0]."""
        ...

    def next_state(
        self,
        state: Index,
        action: Index,
        mean_field: Float[Array, "X"],
        major_state: Index,
        major_action: Index,
    ) -> Any:
        """Distribution of a minor player's next state, [X]."""
        ...

    def reward(
        self,
        state: Index,
        action: Index,
        mean_field: Float[Array, "X"],
        major_state: Index,
        major_action: Index,
    ) -> Any:
        """What a minor player earns, a number."""
        ...

    def major_next_state(self, major_state: Index, major_action: Index, mean_field: Float[Array, "X"]) -> Any:
        """Distribution of the major player's next state, [X0]."""
        ...

    def major_reward(self, major_state: Index, major_action: Index, mean_field: Float[Array, "X"]) -> Any:
        """What the major player earns, a number."""
        ...


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class PointwiseGame:
    """A plain game from its rules; made by :func:`mean_field_game`, which checks them."""

    rules: PointwiseRules

    @property
    def horizon(self) -> int:
        """Number of decisions."""
        return self.rules.horizon

    @property
    def n_states(self) -> int:
        """Number of states."""
        return self.rules.n_states

    @property
    def n_actions(self) -> int:
        """Number of actions."""
        return self.rules.n_actions

    @property
    def populations(self) -> tuple[int, ...]:
        """One population."""
        return ()

    @property
    def time_dependent(self) -> bool:
        """As the rules say."""
        return bool(getattr(self.rules, "time_dependent", False))

    def init(self) -> Float[Array, "S"]:
        """Distribution of the states at time 0."""
        return _real(self.rules.start())

    def kernel(self, time: Time, crowd: Float[Array, "S A"]) -> Float[Array, "S A S"]:
        """P(s' | s, a, crowd)."""
        return self._table(self.rules.next_state, time, crowd)

    def reward(self, time: Time, crowd: Float[Array, "S A"]) -> Float[Array, "S A"]:
        """r(s, a, crowd)."""
        return self._table(self.rules.reward, time, crowd)

    def _table(self, function: Any, time: Time, crowd: Array) -> Array:
        seen = crowd if getattr(self.rules, "sees_actions", False) else jnp.sum(crowd, axis=-1)

        def at(state: Array, action: Array) -> Array:
            return jnp.asarray(function(state, action, seen, time), crowd.dtype)

        states, actions = jnp.arange(self.n_states), jnp.arange(self.n_actions)
        return jax.vmap(jax.vmap(at, (None, 0)), (0, None))(states, actions)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class PointwiseMajorMinorGame:
    """A major–minor game from its rules; made by :func:`major_minor_game`, which checks them."""

    rules: MajorMinorRules

    @property
    def horizon(self) -> int:
        """Number of decisions."""
        return self.rules.horizon

    @property
    def n_states(self) -> int:
        """Number of states of a minor player."""
        return self.rules.n_states

    @property
    def n_actions(self) -> int:
        """Number of actions of a minor player."""
        return self.rules.n_actions

    @property
    def n_major_states(self) -> int:
        """Number of states of the major player."""
        return self.rules.n_major_states

    @property
    def n_major_actions(self) -> int:
        """Number of actions of the major player."""
        return self.rules.n_major_actions

    def init(self) -> Float[Array, "X"]:
        """Mean field at time 0."""
        return _real(self.rules.start())

    def major_init(self) -> Float[Array, "X0"]:
        """Distribution of the major player's state at time 0."""
        return _real(self.rules.major_start())

    def kernel(
        self, mean_field: Float[Array, "X"], major_state: Index, major_action: Index
    ) -> Float[Array, "X U X"]:
        """P(x' | x, u, x0, u0, mean field)."""
        return self._table(self.rules.next_state, mean_field, major_state, major_action)

    def reward(
        self, mean_field: Float[Array, "X"], major_state: Index, major_action: Index
    ) -> Float[Array, "X U"]:
        """r(x, u, x0, u0, mean field)."""
        return self._table(self.rules.reward, mean_field, major_state, major_action)

    def major_kernel(
        self, mean_field: Float[Array, "X"], major_state: Index, major_action: Index
    ) -> Float[Array, "X0"]:
        """P0(x0' | x0, u0, mean field)."""
        following = self.rules.major_next_state(major_state, major_action, mean_field)
        return jnp.asarray(following, mean_field.dtype)

    def major_reward(
        self, mean_field: Float[Array, "X"], major_state: Index, major_action: Index
    ) -> Float[Array, ""]:
        """r0(x0, u0, mean field)."""
        paid = self.rules.major_reward(major_state, major_action, mean_field)
        return jnp.asarray(paid, mean_field.dtype)

    def _table(self, function: Any, mean_field: Array, major_state: Index, major_action: Index) -> Array:
        def at(state: Array, action: Array) -> Array:
            paid = function(state, action, mean_field, major_state, major_action)
            return jnp.asarray(paid, mean_field.dtype)

        states, actions = jnp.arange(self.n_states), jnp.arange(self.n_actions)
        return jax.vmap(jax.vmap(at, (None, 0)), (0, None))(states, actions)


def mean_field_game(rules: PointwiseRules) -> PointwiseGame:
    """A plain mean field game from its rules.

    Raises:
        UserError: a distribution that is none, a wrong shape, or a reward that is not finite; the sentence
            names the state, the action and the time.
    """
    game = PointwiseGame(rules)
    _check_pytree(rules)
    _check_start("start", rules.start, game.n_states)
    _check_shapes(rules.next_state, rules.reward, ("state", "action"), game.n_states, _some(game), (0,))
    uniform = jnp.full((game.n_states, game.n_actions), 1.0 / (game.n_states * game.n_actions))
    # Where the whole crowd stands in one place, wrong rules show soonest.
    crowds = [uniform] + [jnp.zeros_like(uniform).at[s].set(1.0 / game.n_actions) for s in (0, -1)]
    kernel, reward = jax.jit(game.kernel), jax.jit(game.reward)
    count = min(game.horizon, _TIMES) if game.time_dependent else 1
    for time in np.unique(np.linspace(0, game.horizon - 1, count).astype(int)):
        for crowd in crowds:
            _check_rows("next_state", np.asarray(kernel(time, crowd)), ("state", "action"), time)
        # A reward may be infinite where nobody is (a logarithm of the crowd): only the even crowd is asked.
        _check_finite("reward", np.asarray(reward(time, uniform)), ("state", "action"), time)
    return game


def major_minor_game(rules: MajorMinorRules) -> PointwiseMajorMinorGame:
    """A major–minor mean field game from its rules.

    Raises:
        UserError: as :func:`mean_field_game`, with the major player's state and action.
    """
    game = PointwiseMajorMinorGame(rules)
    _check_pytree(rules)
    _check_start("start", rules.start, game.n_states)
    _check_start("major_start", rules.major_start, game.n_major_states)
    mean_field = jnp.full(game.n_states, 1.0 / game.n_states)
    minor = ("state", "action", "major state", "major action")
    _check_shapes(rules.next_state, rules.reward, minor, game.n_states, mean_field, (0, 0))
    _check_shapes(
        rules.major_next_state, rules.major_reward, minor[2:], game.n_major_states, mean_field, (), "major_"
    )
    order = (*minor[2:], *minor[:2])
    tables = jax.jit(lambda mean_field: major_minor_tables(game, mean_field))
    for crowd in (mean_field, *jnp.eye(game.n_states)[jnp.array([0, -1])]):
        found = [np.asarray(table) for table in tables(crowd)]
        _check_rows("next_state", found[0], order, None)
        _check_finite("reward", found[1], order, None)
        _check_rows("major_next_state", found[2], minor[2:], None)
        _check_finite("major_reward", found[3], minor[2:], None)
    return game


def _check_pytree(rules: Any) -> None:
    if jax.tree_util.all_leaves([rules]):
        raise UserError(
            "rules",
            f"{type(rules).__name__} is not a pytree, so it cannot be compiled",
            "put the decorator @rules of antiphon.equilibrium above the class",
        )


def _some(game: PointwiseGame) -> Array:
    shape = (
        (game.n_states, game.n_actions) if getattr(game.rules, "sees_actions", False) else (game.n_states,)
    )
    return jnp.full(shape, 1.0 / np.prod(shape))


def _real(value: Any) -> Array:
    value = jnp.asarray(value)
    return value if jnp.issubdtype(value.dtype, jnp.floating) else value.astype(jnp.result_type(float))


def _check_start(name: str, function: Any, size: int) -> None:
    found = np.asarray(function(), float)
    if found.shape != (size,):
        raise UserError(
            "shape",
            f"{name}() has shape {list(found.shape)}",
            f"return one probability for each of {size} states",
        )
    if not np.isclose(found.sum(), 1.0, atol=1e-5) or (found < 0).any():
        raise UserError(
            "distribution", f"{name}() is {found.tolist()}, which sums to {found.sum():.6g}",
            "return probabilities ≥ 0 that sum to 1",
        )  # fmt: skip


def _check_shapes(
    transition: Any,
    reward: Any,
    names: tuple[str, ...],
    size: int,
    mean_field: Array,
    rest: tuple,
    prefix: str = "",
) -> None:
    zeros = (0, 0, mean_field, *rest)
    where = ", ".join(f"{name} 0" for name in names) + ", time 0"
    found = jax.eval_shape(lambda: jnp.asarray(transition(*zeros)))
    if found.shape != (size,):
        raise UserError(
            "shape", f"{prefix}next_state has shape {list(found.shape)} at {where}",
            f"return one probability for each of {size} states",
        )  # fmt: skip
    paid = jax.eval_shape(lambda: jnp.asarray(reward(*zeros)))
    if paid.shape != ():
        raise UserError(
            "shape", f"{prefix}reward has shape {list(paid.shape)} at {where}", "return one number"
        )


def _check_rows(name: str, kernel: np.ndarray, names: tuple[str, ...], time: int | None) -> None:
    sums = kernel.sum(-1)
    wrong = ~(np.abs(sums - 1.0) < 1e-4) | (kernel < -1e-6).any(-1)
    if wrong.any():
        at = tuple(int(i) for i in np.argwhere(wrong)[0])
        row = ", ".join(f"{p:.6g}" for p in kernel[at])
        raise UserError(
            "distribution", f"{name} is [{row}] at {_place(names, at, time)}, which sums to {sums[at]:.6g}",
            "return probabilities ≥ 0 that sum to 1",
        )  # fmt: skip


def _check_finite(name: str, reward: np.ndarray, names: tuple[str, ...], time: int | None) -> None:
    if not np.isfinite(reward).all():
        at = tuple(int(i) for i in np.argwhere(~np.isfinite(reward))[0])
        raise UserError(
            "number", f"{name} is {reward[at]} at {_place(names, at, time)}", "return a finite number"
        )


def _place(names: tuple[str, ...], at: tuple[int, ...], time: int | None) -> str:
    words = [f"{name} {index}" for name, index in zip(names, at, strict=True)]
    # The rules of major–minor games do not read the time; their first step is as good as any.
    return ", ".join([*words, f"time {0 if time is None else time}"])
