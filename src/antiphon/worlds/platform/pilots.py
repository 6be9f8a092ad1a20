"""Who flies, by name: a classical controller, a policy file, a folder of a training, a bundled policy."""

from pathlib import Path

from antiphon.core.errors import UserError
from antiphon.worlds.platform.controllers.controller import Controller
from antiphon.worlds.platform.controllers.named import CONTROLLERS, find_controller
from antiphon.worlds.platform.environment import PlatformEnvironment
from antiphon.worlds.platform.policy_search import bundled_policies, find_policy
from antiphon.worlds.platform.protocol import PolicyPilot, pilot_of
from antiphon.worlds.platform.tasks import Task, find_task, nearest


def find_pilot(name: str, task: str = "") -> tuple[Task, Controller]:
    """What is to be done, and who does it.

    Args:
        name: of a controller, a file, a folder or a bundled policy.
        task: by default what the policy was trained for, and go-to-pose for controllers.

    Raises:
        UserError: nobody of that name, an unknown task, or a policy that does not fit platform or task.
    """
    if name in CONTROLLERS:
        asked = find_task(task or "go-to-pose")
        return asked, find_controller(name, asked)
    known = [*CONTROLLERS, *bundled_policies()]
    if not Path(name).exists() and name not in known:
        raise UserError(
            "file",
            f"there is no policy and no controller {name!r}",
            f"{nearest(name, known)}; or give a policy file, or the folder of a training",
        )
    policy = find_policy(name)
    asked = find_task(task or policy.metadata.task)
    world = PlatformEnvironment(task=asked, observation=policy.metadata.observation)
    return asked, pilot_of(policy, world)


def can_be_told(pilot: Controller) -> bool:
    """Whether it can make use of being told which valves are dead."""
    return not isinstance(pilot, PolicyPilot) or pilot.observation == "adaptive"
