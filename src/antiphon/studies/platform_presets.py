"""The settings with which each task of the platform is learnt: those of the bundled policies."""

import dataclasses

from antiphon.core.errors import UserError
from antiphon.methods.ppo import PPO
from antiphon.worlds.platform.curriculum import Curricula, Curriculum
from antiphon.worlds.platform.disturbances import Disturbances, find_disturbances
from antiphon.worlds.platform.environment import PlatformEnvironment, drift_environment
from antiphon.worlds.platform.reward import Reward
from antiphon.worlds.platform.spatial_environment import SpatialEnvironment
from antiphon.worlds.platform.tasks import SPATIAL_TASKS, Spawn, Task, find_spatial_task, find_task

ENERGY = 0.2
"""Cost of the mean of the valves: twice the world's own. Measured: half the air, 4 points of OT1 less."""
# Once a velocity is held no valve need open; at 0.2 half of them or more stay open for the last millimetre a
# second. Two things to hold earn more than one, and would pay for more air.
_VELOCITY_ENERGY = {"track-xy-velocity": 0.5, "track-xyo-velocity": 1.0, "track-velocity-heading": 0.7}
# Of every step in which the dock is touched from outside its cone: less than being there earns, or whoever is
# still clumsy flees. With an end and a fine of 20 policies creep up at 1 cm/s; at 2 a step they stay away, as
# they do at the full price of leaving the cone far out.
_TOUCH = 0.3
# Of an end without having passed, where every step costs 0.6 and facing away up to _FACING more. It must
# exceed what all steps to come cost, 60 at a discount of 0.985, or who cannot pass yet seeks the end instead.
_LOSS, _FACING = 60.0, 0.3
ROBUST = "robust"
"""The disturbances that a policy is trained under which is to find out what is broken."""
SURENESS = -2e-3
"""Weight of the entropy at the end. At 0, one deterministic episode in a thousand never leaves its start."""

# Control steps of one environment until the disturbances have their full strength: flying comes first.
_ROBUST_CURRICULUM = Curriculum(begin=1000, end=5000, shape="linear")


def platform_method(
    task: str,
    *,
    robust: bool = False,
    energy: float | None = None,
    disturb: tuple[str, ...] = (),
    observation: str | None = None,
    envs: int = 2048,
) -> PPO:
    """PPO on the world in which a task is learnt.

    Args:
        task: of the plane or of space.
        robust: see what is found out about valves and pushes, and train under dead valves, uneven floors and
            noise that grow (``ROBUST``).
        energy: cost of open valves; the task's own if None, or 0.03 a valve with the drift observation.
        disturb: names of disturbances to train under, all at once.
        observation: "body", "adaptive" or "drift"; "body" unless robust.
        envs: environments side by side.

    Raises:
        UserError: an unknown task, disturbance or observation, or settings that do not go together.
    """
    if task in [one.name for one in SPATIAL_TASKS]:
        return _spatial_method(find_spatial_task(task), robust, energy, disturb, observation, envs)
    chosen = find_task(task)
    if robust and observation not in (None, "adaptive"):
        raise UserError(
            "usage",
            f"a robust policy sees the adaptive observation, not {observation}",
            "leave --observation away",
        )
    observation = observation or ("adaptive" if robust else "body")
    names = (*disturb, ROBUST) if robust else disturb
    if observation == "drift":
        world = drift_environment(chosen.name)
    else:
        world = PlatformEnvironment(
            task=chosen, reward=task_reward(chosen), observation=observation, spawn=training_spawn(chosen),
            forgiving=chosen.passage == "dock",
        )  # fmt: skip
    world = dataclasses.replace(
        world,
        disturbances=find_disturbances("+".join(names)) if names else Disturbances(),
        curricula=Curricula(disturbances=_ROBUST_CURRICULUM) if robust else Curricula(),
    )
    if energy is not None:
        world = dataclasses.replace(world, reward=dataclasses.replace(world.reward, energy=energy))
    return PPO(world=world, envs=envs, final_entropy=SURENESS)


def task_reward(task: Task) -> Reward:
    """The weights with which a task is learnt."""
    if task.passage == "dock":
        return Reward(energy=ENERGY, failure=_TOUCH, cone=0.1)
    if task.passage is not None:
        return Reward(energy=ENERGY, failure=_LOSS, heading=_FACING)
    return Reward(energy=_VELOCITY_ENERGY.get(task.name, ENERGY))


def training_spawn(task: Task) -> Spawn | None:
    """Where training episodes begin, if not where the task says.

    Docking begins inside the dock too: who only starts outside learns that docks are hit, and stays away.
    """
    if task.passage == "dock":
        return dataclasses.replace(task.spawn, distance=(0.0, task.spawn.distance[1]))
    return None


def _spatial_method(
    task: Task,
    robust: bool,
    energy: float | None,
    disturb: tuple[str, ...],
    observation: str | None,
    envs: int,
) -> PPO:
    if robust or observation is not None:
        raise UserError(
            "usage",
            "policies of the platform in space have one observation and find nothing out",
            "leave --robust and --observation away",
        )
    world = SpatialEnvironment(
        task=task,
        reward=Reward(energy=ENERGY if energy is None else energy),
        disturbances=find_disturbances("+".join(disturb)) if disturb else Disturbances(),
    )
    return PPO(world=world, envs=envs, final_entropy=SURENESS)
