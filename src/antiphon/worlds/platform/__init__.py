"""The platform world: a floating robot pushed by valves, from simulation to the robot itself.

Names are imported when first used, so that a robot's computer can run a policy without jax.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from antiphon.worlds.platform.disturbances import Disturbances, find_disturbances
    from antiphon.worlds.platform.environment import PlatformEnvironment, Step
    from antiphon.worlds.platform.estimator import PoseFilter
    from antiphon.worlds.platform.parameters import PlatformParams, planar
    from antiphon.worlds.platform.spatial_environment import SpatialEnvironment
    from antiphon.worlds.platform.state import PlatformState, Wrench
    from antiphon.worlds.platform.tasks import Target, Task, find_task

_HOMES = {
    "Disturbances": "disturbances", "PlatformEnvironment": "environment", "PlatformParams": "parameters",
    "PlatformState": "state", "PoseFilter": "estimator", "SpatialEnvironment": "spatial_environment",
    "Step": "environment", "Target": "tasks", "Task": "tasks", "Wrench": "state",
    "find_disturbances": "disturbances", "find_task": "tasks", "planar": "parameters",
}  # fmt: skip

__all__ = [
    "Disturbances", "PlatformEnvironment", "PlatformParams", "PlatformState", "PoseFilter",
    "SpatialEnvironment", "Step", "Target", "Task", "Wrench", "find_disturbances", "find_task", "planar",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
