"""A planar task learnt by PPO within a time or a number of steps, as a policy that a robot can run.

The settings are those of the measured runs: 2048 environments, 32 steps an iteration, two hidden layers of 64
units. Time counts from the end of the first iteration, which holds the compilation.
"""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Literal, cast

import jax
import numpy as np

from antiphon.core.errors import UserError
from antiphon.methods.ppo import PPO, Learner, folded_layers
from antiphon.train.checkpoint import CheckpointFolder
from antiphon.train.errors import Interrupted
from antiphon.train.files import read_json
from antiphon.train.fit import fit
from antiphon.train.hooks import FitInfo, Stop
from antiphon.train.run_directory import RunDirectory
from antiphon.worlds.platform.environment import PlatformEnvironment
from antiphon.worlds.platform.nominal_plant import plant_figures
from antiphon.worlds.platform.policy_file import SPATIAL_VALVES, PlatformPolicy, PolicyMetadata
from antiphon.worlds.platform.spatial import spatial_figures
from antiphon.worlds.platform.spatial_environment import SpatialEnvironment

# In place of a number of iterations where only time ends a training.
_NO_END = 10**9
_SAVE_INTERVAL = 15.0  # seconds between policies kept on the way
_CHECKPOINT_EVERY = 50  # iterations: about a quarter of a minute
_NAME = "platform"


@dataclass(frozen=True)
class Budget:
    """When a training ends: at the first of the two. Learning rate and entropy fall until then.

    Attributes:
        seconds: after the first iteration; None for no limit.
        steps: of all environments together; None for no limit.

    Raises:
        UserError: no limit at all, or one that is not positive.
    """

    seconds: float | None = 60.0
    steps: int | None = None

    def __post_init__(self) -> None:
        if self.seconds is None and self.steps is None:
            raise UserError("usage", "the training would never end", "give seconds, steps or both")
        for name, value in (("seconds", self.seconds), ("steps", self.steps)):
            if value is not None and not value > 0:
                raise UserError("usage", f"a training of {value} {name}", "give a positive number")


@dataclass(frozen=True)
class Standing:
    """How far a training has come.

    Attributes:
        share: of its budget, in [0, 1].
        steps: control steps of all environments together.
        seconds: since the first iteration ended.
        metrics: means over the newest iteration.
    """

    share: float
    steps: int
    seconds: float
    metrics: dict[str, float]


@dataclass(frozen=True)
class Trained:
    """What came out.

    Attributes:
        policy: the network, its normaliser folded in.
        steps: control steps of all environments together.
        seconds: from the end of the first iteration to the end.
        steps_per_second: since the first iteration of this session.
        compile_seconds: of the first iteration, less the usual length of one.
        finished: False where Ctrl-C came first.
        metrics: means over the last iteration.
    """

    policy: PlatformPolicy
    steps: int
    seconds: float
    steps_per_second: float
    compile_seconds: float
    finished: bool
    metrics: dict[str, float] = field(default_factory=dict)


def train_policy(
    method: PPO,
    seed: int = 0,
    budget: Budget = Budget(),
    *,
    watch: Callable[[Standing], object] | None = None,
    keep: Callable[[PlatformPolicy], object] | None = None,
    run: RunDirectory | None = None,
) -> Trained:
    """Trains until the budget is spent or SIGINT arrives.

    With steps alone, same seed and machine give the same bits. With seconds the clock drives the schedule,
    so that a slow machine anneals too.

    Args:
        method: PPO on a `PlatformEnvironment` or a `SpatialEnvironment`.
        seed: of networks, environments and actions.
        budget: when to end.
        watch: told after every iteration.
        keep: given the policy every quarter of a minute, so that a power cut costs no more.
        run: where checkpoints and numbers go; a training that was interrupted goes on from the newest one,
            bit for bit where steps alone drive it, and with the seconds that were left otherwise.

    Raises:
        UserError: the method's world is no platform.
        RunError: a metric is not finite.
    """
    if not isinstance(method.world, PlatformEnvironment | SpatialEnvironment):
        raise UserError(
            "config",
            "the world to train in is no platform",
            "give a PlatformEnvironment or a SpatialEnvironment",
        )
    iterations = _NO_END if budget.steps is None else -(-budget.steps // method.samples)
    key_init, key_fit = jax.random.split(jax.random.key(seed))
    clock = _Clock(time.monotonic(), budget, method.samples, iterations, *_done_before(run))

    def after(info: FitInfo) -> Stop | None:
        clock.note(info)
        if watch is not None:
            watch(clock.standing(info.step))
        if keep is not None and clock.is_save_due():
            keep(policy_of(method, info.state.learner, seed, info.step * method.samples))
        return Stop("time is up") if clock.share(info.step) >= 1.0 and info.step < iterations else None

    finished = True
    try:
        state = fit(
            method.step, jax.jit(method.init)(key_init), steps=iterations, key=key_fit, chunk=1,
            hooks=(after,), batches=lambda step: np.float32(clock.share(step)), name=_NAME,
            progress="quiet", run=run, checkpoint_every=_CHECKPOINT_EVERY,
        )  # fmt: skip
    except Interrupted as stopped:
        state, finished = stopped.state, False
    done = clock.standing(clock.iteration)
    policy = policy_of(method, state.learner, seed, done.steps)
    iterations, seconds = clock.after_the_first()
    rate = iterations * method.samples / seconds if seconds > 0 else 0.0
    usual = seconds / iterations if iterations > 0 else 0.0
    return Trained(
        policy=policy, steps=done.steps, seconds=done.seconds, steps_per_second=rate,
        compile_seconds=max(clock.first_seconds - usual, 0.0), finished=finished, metrics=done.metrics,
    )  # fmt: skip


def policy_of(
    method: PPO, learner: Learner, seed: int | None = None, steps: int | None = None
) -> PlatformPolicy:
    """The deterministic policy of a learner, with what a robot must know of it."""
    world = method.world
    layers = tuple(
        (np.asarray(weight, np.float32), np.asarray(bias, np.float32))
        for weight, bias in folded_layers(learner.params.actor, learner.observations)
    )
    trained_by = f"antiphon platform train: PPO, {method.envs} environments"
    if steps is not None:
        trained_by += f", {steps} control steps"
    if isinstance(world, SpatialEnvironment):
        metadata = PolicyMetadata(
            task=world.task.name, observation="spatial", valves=SPATIAL_VALVES,
            valve_map=tuple(range(SPATIAL_VALVES)), plant=spatial_figures(world.params),
            trained_by=trained_by, seed=seed,
        )  # fmt: skip
    else:
        assert isinstance(world, PlatformEnvironment)
        metadata = PolicyMetadata(
            task=world.task.name,
            observation=cast(Literal["body", "adaptive", "drift"], world.observation),
            plant=plant_figures(world.params),
            valve_filter=asdict(world.valve_filter) if world.observation == "adaptive" else {},
            trained_by=trained_by,
            seed=seed,
        )
    return PlatformPolicy(layers, metadata)


def _done_before(run: RunDirectory | None) -> tuple[int, float]:
    """Iterations and seconds of the sessions before this one."""
    if run is None:
        return 0, 0.0
    folder = CheckpointFolder(run.checkpoints / _NAME)
    steps = folder.steps()
    if not steps:
        return 0, 0.0
    manifest = read_json(folder.path / f"step-{steps[-1]:09d}.json")
    return steps[-1], float(manifest["metadata"]["seconds"])


class _Clock:
    """Times of one training; time starts when the first iteration, which holds the compilation, is over.

    In a session that goes on, the time of the sessions before counts, and so does this one's compilation.
    """

    def __init__(
        self, began: float, budget: Budget, samples: int, iterations: int, done: int, seconds: float
    ) -> None:
        self._began, self._budget, self._samples, self._iterations = began, budget, samples, iterations
        self._start: float | None = began - seconds if done else None
        self._saved = self._now = began
        self._first: tuple[int, float] | None = None
        self.first_seconds = 0.0
        self.iteration = done
        self._metrics: dict[str, float] = {}
        self._seconds = seconds

    def note(self, info: FitInfo) -> None:
        """An iteration is over."""
        now = time.monotonic()
        if self._start is None:
            self._start = now
        if self._first is None:
            self._first = info.step, now
            self.first_seconds = now - self._began
        self._now = now
        self._seconds = now - self._start
        self.iteration = info.step
        self._metrics = {name: float(values[-1]) for name, values in info.metrics.items()}

    def after_the_first(self) -> tuple[int, float]:
        """Iterations of this session after its first, and the seconds they took."""
        if self._first is None:
            return 0, 0.0
        return self.iteration - self._first[0], self._now - self._first[1]

    def share(self, iteration: int) -> float:
        """Of the budget, before an iteration."""
        share = 0.0 if self._budget.steps is None else iteration / self._iterations
        if self._budget.seconds is not None and self._start is not None:
            share = max(share, (time.monotonic() - self._start) / self._budget.seconds)
        return min(share, 1.0)

    def standing(self, iteration: int) -> Standing:
        """As `watch` is told."""
        return Standing(self.share(iteration), iteration * self._samples, self._seconds, self._metrics)

    def is_save_due(self) -> bool:
        """Whether the last policy is old enough to be replaced."""
        now = time.monotonic()
        if now - self._saved < _SAVE_INTERVAL:
            return False
        self._saved = now
        return True
