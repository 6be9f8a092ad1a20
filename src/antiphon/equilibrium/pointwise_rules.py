"""What a person writes: functions of one state and one action of one player."""

from typing import Any, Protocol

from jaxtyping import Array, Float

from antiphon.equilibrium.game import Index, MajorMinorSizes, Sizes, Time


class PointwiseRules(Sizes, Protocol):
    """What a person writes for a plain game; usually a class under the decorator ``rules``.

    Optional: ``sees_actions = True`` where ``mean_field`` shall be the joint ``[S, A]`` and not its sum over
    actions; ``successors(state, action)`` where an action leads to a few of many states. It returns K states,
    ``next_state`` then the K probabilities of these and not of all states, and the kernel is never a table.
    """

    def start(self) -> Any:
        """Distribution of the states at time 0, [S]."""
        ...

    def next_state(self, state: Index, action: Index, mean_field: Float[Array, "S"], time: Time) -> Any:
        """Distribution of the next state, [S]."""
        ...

    def reward(self, state: Index, action: Index, mean_field: Float[Array, "S"], time: Time) -> Any:
        """What one player earns, a number."""
        ...


class MajorMinorRules(MajorMinorSizes, Protocol):
    """What a person writes for a game with a major player."""

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
