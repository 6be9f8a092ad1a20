"""A policy that finds out what is broken, as the robot runs it: NumPy alone, its memory in the flight."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from antiphon.core.errors import UserError
from antiphon.worlds.platform.flight import AdaptiveMemory
from antiphon.worlds.platform.nominal_plant import NominalPlant
from antiphon.worlds.platform.observation import observe
from antiphon.worlds.platform.policy_file import VALVES, PlatformPolicy
from antiphon.worlds.platform.state import PlatformState
from antiphon.worlds.platform.tasks import Target, Task


@dataclass(frozen=True, eq=False)
class AdaptiveDecision:
    """A policy that finds out, from how its velocity changes, what its valves give and what pushes it.

    Attributes:
        policy: of the adaptive observation.
        task: what it is to do.
        plant: what its valves give as built.
        dead_valves: that it is told of; the others it has to find out.

    Raises:
        UserError: the policy is of another observation.
    """

    policy: PlatformPolicy
    task: Task
    plant: NominalPlant
    dead_valves: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.policy.metadata.observation != "adaptive":
            raise UserError(
                "policy",
                f"the policy sees the {self.policy.metadata.observation} observation, and finds nothing out",
                "use policy_decision, which takes any policy",
            )

    def __call__(self, state: PlatformState, target: Target) -> Bool[np.ndarray, " 8"]:
        """A decision as at the beginning, when nothing has been found out."""
        return self.act(None, state, target, 0.0)[0]

    def act(
        self, memory: AdaptiveMemory | None, state: PlatformState, target: Target, now: float
    ) -> tuple[Bool[np.ndarray, " 8"], AdaptiveMemory]:
        """Valves in the platform's order, and what to remember.

        Args:
            memory: of the last decision; None at the beginning.
            state: as estimated now.
            target: to be met.
            now: s. After a silence of two periods nothing is learnt from what happened during it.
        """
        finds = self.policy.valve_filter
        if memory is None:
            recollection, since = finds.begin(1.0 - np.isin(np.arange(VALVES), self.dead_valves)), 1.0
        else:
            recollection, since = memory.recollection, now - memory.decided
            if not 0 < since < 2 / self.policy.metadata.rate_hz:
                gap = recollection.seen._replace(heading=np.full((), np.nan))
                recollection, since = recollection._replace(seen=gap), 1.0
        recollection = finds.see(recollection, self.plant.effects, self.plant.split_thrust, state, since)
        seen = observe("adaptive", self.task, state, target, recollection.belief)
        valves = self.policy(seen)[np.argsort(self.policy.metadata.valve_map)]
        opened = recollection._replace(valves=np.asarray(valves, float))
        return valves, AdaptiveMemory(opened, now)
