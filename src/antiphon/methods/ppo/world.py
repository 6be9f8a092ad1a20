"""What PPO asks of a world: many environments that step together and reset themselves."""

from typing import Any, Protocol

from jaxtyping import Array, Bool, Float, Key, PyTree


class WorldStep(Protocol):
    """What N environments answer to one action each.

    An episode that ends at this step starts again within it: ``observation`` is then the first one of the
    next episode and ``final_observation`` the last one of this. Elsewhere the two are equal.
    """

    @property
    def observation(self) -> Float[Array, "N O"]:
        """What the policy sees next."""
        ...

    @property
    def final_observation(self) -> Float[Array, "N O"]:
        """What followed the action, before any reset: the critic's view of an episode that was cut."""
        ...

    @property
    def reward(self) -> Float[Array, "N"]:
        """Earned by the action."""
        ...

    @property
    def terminated(self) -> Bool[Array, "N"]:
        """The episode truly ended: there is no future."""
        ...

    @property
    def truncated(self) -> Bool[Array, "N"]:
        """The episode was stopped although it would have gone on: its future is bootstrapped."""
        ...

    @property
    def metrics(self) -> dict[str, Float[Array, "N"]]:
        """Numbers to watch, each averaged over a roll-out."""
        ...


class VectorWorld(Protocol):
    """N environments at once, as pure functions; worlds implement it without knowing of PPO.

    A world is a pytree: a registered dataclass, if only one without fields.
    """

    @property
    def observation_size(self) -> int:
        """O."""
        ...

    @property
    def action_size(self) -> int:
        """Numbers in an action, or kinds of it where an action is one of several."""
        ...

    def reset(self, key: Key[Array, ""], envs: int, /) -> tuple[PyTree, Float[Array, "N O"]]:
        """A state of ``envs`` fresh environments, and what they show."""
        ...

    def step(self, state: PyTree, action: Array, key: Key[Array, ""], /) -> tuple[PyTree, Any]:
        """The next state and a :class:`WorldStep`."""
        ...
