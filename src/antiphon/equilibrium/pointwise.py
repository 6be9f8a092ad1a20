"""From functions of one state and one action to the arrays of a game, checked while the game is built.

A person writes what one player sees; ``vmap`` makes the tables.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from antiphon.equilibrium.dependence import reads
from antiphon.equilibrium.game import Index, Time, at_all_pairs, major_minor_tables
from antiphon.equilibrium.kernel import Kernel, Neighbours
from antiphon.equilibrium.pointwise_checks import (
    check_finite,
    check_pytree,
    check_rows,
    check_shapes,
    check_start,
    check_successors,
)
from antiphon.equilibrium.pointwise_rules import MajorMinorRules, PointwiseRules
from antiphon.equilibrium.pointwise_signatures import (
    MAJOR_MINOR_FUNCTIONS,
    MAJOR_SIZES,
    PLAIN_FUNCTIONS,
    SIZES,
    check_signatures,
)

_TIMES = 100  # Rules that read the time are asked at so many times at most, evenly spread.


def _of_rules(name: str, about: str) -> Any:
    """A size that is the rules' own."""
    return property(lambda game: getattr(game.rules, name), doc=about)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class PointwiseGame:
    """A plain game from its rules; made by :func:`mean_field_game`, which checks them."""

    rules: PointwiseRules

    horizon = _of_rules("horizon", "Number of decisions.")
    n_states = _of_rules("n_states", "Number of states.")
    n_actions = _of_rules("n_actions", "Number of actions.")

    @property
    def populations(self) -> tuple[int, ...]:
        """One population."""
        return ()

    @property
    def time_dependent(self) -> bool:
        """Whether the rules read the time, as their traced program shows."""
        crowd = jax.ShapeDtypeStruct((self.n_states, self.n_actions), jnp.result_type(float))
        time = jax.ShapeDtypeStruct((), jnp.int32)
        kernel, _ = reads(lambda t, c: jax.tree.leaves(self.kernel(t, c)), time, crowd)
        reward, _ = reads(self.reward, time, crowd)
        return kernel or reward

    def init(self) -> Float[Array, "S"]:
        """Distribution of the states at time 0."""
        return _real(self.rules.start())

    def kernel(self, time: Time, crowd: Float[Array, "S A"]) -> Kernel:
        """P(s' | s, a, crowd)."""
        successors = getattr(self.rules, "successors", None)
        if successors is None:
            return self._table(self.rules.next_state, time, crowd)
        states = at_all_pairs(
            lambda s, a: jnp.asarray(successors(s, a), jnp.int32), self.n_states, self.n_actions
        )
        return Neighbours(states, self._table(self.rules.next_state, time, crowd))

    def reward(self, time: Time, crowd: Float[Array, "S A"]) -> Float[Array, "S A"]:
        """r(s, a, crowd)."""
        return self._table(self.rules.reward, time, crowd)

    def seen(self, crowd: Float[Array, "S A"]) -> Array:
        """What the rules call the mean field."""
        return crowd if getattr(self.rules, "sees_actions", False) else jnp.sum(crowd, axis=-1)

    def _table(self, function: Any, time: Time, crowd: Array) -> Array:
        seen = self.seen(crowd)

        def at(state: Array, action: Array) -> Array:
            return jnp.asarray(function(state, action, seen, time), crowd.dtype)

        return at_all_pairs(at, self.n_states, self.n_actions)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class PointwiseMajorMinorGame:
    """A major–minor game from its rules; made by :func:`major_minor_game`, which checks them."""

    rules: MajorMinorRules

    horizon = _of_rules("horizon", "Number of decisions.")
    n_states = _of_rules("n_states", "Number of states of a minor player.")
    n_actions = _of_rules("n_actions", "Number of actions of a minor player.")
    n_major_states = _of_rules("n_major_states", "Number of states of the major player.")
    n_major_actions = _of_rules("n_major_actions", "Number of actions of the major player.")

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

        return at_all_pairs(at, self.n_states, self.n_actions)


def mean_field_game(rules: PointwiseRules) -> PointwiseGame:
    """A plain mean field game from its rules.

    Raises:
        UserError: a function that is missing, has other arguments or cannot be traced, a distribution that
            is none, a wrong shape, or a reward that is not finite; the sentence names the state, the action
            and the time.
    """
    game = PointwiseGame(rules)
    check_pytree(rules)
    check_signatures(rules, SIZES, PLAIN_FUNCTIONS)
    check_start("start", rules.start, game.n_states)
    names, size = ("state", "action"), game.n_states
    uniform = jnp.full((game.n_states, game.n_actions), 1.0 / (game.n_states * game.n_actions))
    if hasattr(rules, "successors"):
        states = np.asarray(
            jax.jit(lambda r: at_all_pairs(r.successors, game.n_states, game.n_actions))(rules)
        )
        check_successors(states, game.n_states)
        size = states.shape[-1]
    check_shapes(rules.next_state, rules.reward, names, size, game.seen(uniform), (0,))
    # Where the whole crowd stands in one place, wrong rules show soonest.
    crowds = [uniform] + [jnp.zeros_like(uniform).at[s].set(1.0 / game.n_actions) for s in (0, -1)]
    kernel, reward = jax.jit(game.kernel), jax.jit(game.reward)
    count = min(game.horizon, _TIMES) if game.time_dependent else 1
    for time in np.unique(np.linspace(0, game.horizon - 1, count).astype(int)):
        for crowd in crowds:
            found = kernel(time, crowd)
            rows = found.probabilities if isinstance(found, Neighbours) else found
            check_rows("next_state", np.asarray(rows), names, time)
        # A reward may be infinite where nobody is (a logarithm of the crowd): only the even crowd is asked.
        check_finite("reward", np.asarray(reward(time, uniform)), names, time)
    return game


def major_minor_game(rules: MajorMinorRules) -> PointwiseMajorMinorGame:
    """A major–minor mean field game from its rules.

    Raises:
        UserError: as :func:`mean_field_game`, with the major player's state and action.
    """
    game = PointwiseMajorMinorGame(rules)
    check_pytree(rules)
    check_signatures(rules, MAJOR_SIZES, MAJOR_MINOR_FUNCTIONS)
    check_start("start", rules.start, game.n_states)
    check_start("major_start", rules.major_start, game.n_major_states)
    mean_field = jnp.full(game.n_states, 1.0 / game.n_states)
    minor = ("state", "action", "major state", "major action")
    check_shapes(rules.next_state, rules.reward, minor, game.n_states, mean_field, (0, 0))
    check_shapes(
        rules.major_next_state, rules.major_reward, minor[2:], game.n_major_states, mean_field, (), "major_"
    )
    order = (*minor[2:], *minor[:2])
    tables = jax.jit(lambda mean_field: major_minor_tables(game, mean_field))
    for crowd in (mean_field, *jnp.eye(game.n_states)[jnp.array([0, -1])]):
        found = [np.asarray(table) for table in tables(crowd)]
        check_rows("next_state", found[0], order, None)
        check_finite("reward", found[1], order, None)
        check_rows("major_next_state", found[2], minor[2:], None)
        check_finite("major_reward", found[3], minor[2:], None)
    return game


def _real(value: Any) -> Array:
    value = jnp.asarray(value)
    return value if jnp.issubdtype(value.dtype, jnp.floating) else value.astype(jnp.result_type(float))
