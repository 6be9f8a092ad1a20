"""What a game of very many players is: arrays that a solver reads, and the rules that a person writes."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, NamedTuple, Protocol, TypeVar, dataclass_transform, overload

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from antiphon.equilibrium.kernel import Kernel

Anything = TypeVar("Anything")
Rules = TypeVar("Rules")

Time = int | Int[Array, ""]
Index = int | Int[Array, ""]


class Sizes(Protocol):
    """How large a game is."""

    @property
    def horizon(self) -> int:
        """T, the number of decisions."""
        ...

    @property
    def n_states(self) -> int:
        """S, or X in games with a major player: states of one of many players."""
        ...

    @property
    def n_actions(self) -> int:
        """A, or U: actions of one of many players."""
        ...


class MajorMinorSizes(Sizes, Protocol):
    """How large a game with a major player is."""

    @property
    def n_major_states(self) -> int:
        """X0."""
        ...

    @property
    def n_major_actions(self) -> int:
        """U0."""
        ...


class MeanFieldGame(Sizes, Protocol):
    """A finite-horizon game of a continuum of like players, as a pytree whose leaves are coefficients.

    The crowd at one time is a joint distribution ``[*P, S, A]`` over states and actions; ``*P`` is empty, or
    one axis of populations. A tabular policy is an array ``[T, *P, S, A]``.
    """

    @property
    def populations(self) -> tuple[int, ...]:
        """``()`` for one population, ``(P,)`` for several."""
        ...

    @property
    def time_dependent(self) -> bool:
        """Whether kernel or reward read the time; if not, tables are built once."""
        ...

    def init(self) -> Float[Array, "*P S"]:
        """Distribution of the states at time 0."""
        ...

    def kernel(self, time: Time, crowd: Float[Array, "*P S A"]) -> Kernel:
        """Where each state and action lead, given the crowd: P(s' | s, a, crowd)."""
        ...

    def reward(self, time: Time, crowd: Float[Array, "*P S A"]) -> Float[Array, "*P S A"]:
        """What each state and action earn at this time, given the crowd."""
        ...


class MajorMinorGame(MajorMinorSizes, Protocol):
    """A crowd of minor players and one major player whose state and action everybody sees.

    Given the major player's state x0 and action u0 the mean field moves deterministically; because these two
    are random, so is the mean field. Common noise is a major player with one action and no reward.

    Source: arXiv 2312.10787, section 2.
    """

    def init(self) -> Float[Array, "X"]:
        """Mean field at time 0."""
        ...

    def major_init(self) -> Float[Array, "X0"]:
        """Distribution of the major player's state at time 0."""
        ...

    def kernel(
        self, mean_field: Float[Array, "X"], major_state: Index, major_action: Index
    ) -> Float[Array, "X U X"]:
        """P(x' | x, u, x0, u0, mean field)."""
        ...

    def reward(
        self, mean_field: Float[Array, "X"], major_state: Index, major_action: Index
    ) -> Float[Array, "X U"]:
        """r(x, u, x0, u0, mean field)."""
        ...

    def major_kernel(
        self, mean_field: Float[Array, "X"], major_state: Index, major_action: Index
    ) -> Float[Array, "X0"]:
        """P0(x0' | x0, u0, mean field)."""
        ...

    def major_reward(
        self, mean_field: Float[Array, "X"], major_state: Index, major_action: Index
    ) -> Float[Array, ""]:
        """r0(x0, u0, mean field)."""
        ...


class MajorMinorTables(NamedTuple):
    """A major–minor game at one mean field, for all states and actions of the major player."""

    kernel: Float[Array, "X0 U0 X U X"]
    reward: Float[Array, "X0 U0 X U"]
    major_kernel: Float[Array, "X0 U0 X0"]
    major_reward: Float[Array, "X0 U0"]


def major_minor_tables(game: MajorMinorGame, mean_field: Float[Array, "X"]) -> MajorMinorTables:
    """Everything that a major–minor game says at one mean field."""

    def at(major_state: Index, major_action: Index) -> MajorMinorTables:
        return MajorMinorTables(
            game.kernel(mean_field, major_state, major_action),
            game.reward(mean_field, major_state, major_action),
            game.major_kernel(mean_field, major_state, major_action),
            game.major_reward(mean_field, major_state, major_action),
        )

    return at_all_pairs(at, game.n_major_states, game.n_major_actions)


def at_all_pairs(function: Callable[..., Anything], n_states: int, n_actions: int) -> Anything:
    """A function of a state and an action, at all of them: two leading axes ``[states, actions]``."""
    states, actions = jnp.arange(n_states), jnp.arange(n_actions)
    return jax.vmap(jax.vmap(function, (None, 0)), (0, None))(states, actions)


class Players(NamedTuple):
    """One thing for the minor players and one for the major player: policies, values, gaps."""

    minor: Any
    major: Any


@overload
def rules(kind: type[Rules]) -> type[Rules]: ...
@overload
def rules() -> Callable[[type[Rules]], type[Rules]]: ...
@dataclass_transform(frozen_default=True)
def rules(kind: Any = None) -> Any:
    """Class decorator: a frozen dataclass that is a pytree, so that a sweep is one ``vmap``.

    Fields annotated ``int``, ``bool``, ``str`` or as a tuple are sizes and switches, fixed at compilation;
    all other fields are leaves. Functions and plain class attributes stay what they are.
    """
    if kind is None:
        return rules
    made = dataclass(frozen=True)(kind)
    names = {field.name: _is_static(field.type) for field in fields(made)}
    return jax.tree_util.register_dataclass(
        made,
        data_fields=[name for name, static in names.items() if not static],
        meta_fields=[name for name, static in names.items() if static],
    )


def _is_static(annotation: Any) -> bool:
    text = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))
    return text in ("int", "bool", "str") or text.startswith("tuple")
