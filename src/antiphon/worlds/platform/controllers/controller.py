"""What a controller is: valves from a pose, its velocity and a target, with memory if it needs any."""

from typing import Any, Protocol

from jaxtyping import Array, Bool

from antiphon.worlds.platform.parameters import PlatformParams
from antiphon.worlds.platform.plant import PlatformState
from antiphon.worlds.platform.tasks import Target


class Controller(Protocol):
    """Opens valves; a pytree whose methods can be traced, for any number of platforms at once.

    ``params`` is the plant as the controller believes it to be. A valve that it knows to be dead has 0 in
    ``params.mask``, which may be ``[8]`` or ``[N, 8]``.
    """

    def start(self, params: PlatformParams, envs: int) -> Any:
        """Memory at the beginning of ``envs`` episodes: gains, integrals, plans."""
        ...

    def act(
        self, params: PlatformParams, memory: Any, state: PlatformState, target: Target
    ) -> tuple[Bool[Array, "N 8"], Any]:
        """Valves for the next control period, and the memory to hand in then."""
        ...
