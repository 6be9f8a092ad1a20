"""A training that is watched: its clock stands still while the policy so far is judged."""

import time
from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from antiphon.methods.ppo import PPO
from antiphon.studies.platform_training import policy_of
from antiphon.worlds.platform.environment import PlatformEnvironment
from antiphon.worlds.platform.policy_file import PlatformPolicy
from antiphon.worlds.platform.protocol import Protocol, fly, pilot_of

FIGURES = ("PT5", "PT2", "PT1", "OT5", "OT1", "air_use")


class Curve(NamedTuple):
    """How a policy became better.

    Attributes:
        seconds: of training so far, at each point.
        steps: of all environments together.
        figures: ``FIGURES`` of the authors' protocol, 64 episodes, [K, 6].
    """

    seconds: Float[np.ndarray, " K"]
    steps: Float[np.ndarray, " K"]
    figures: Float[np.ndarray, "K 6"]

    def passes(self, level: float) -> tuple[float, float]:
        """Seconds and steps at the first point whose PT5 is at least this; inf where none is."""
        there = np.flatnonzero(self.figures[:, 0] >= level)
        if not len(there):
            return np.inf, np.inf
        return float(self.seconds[there[0]]), float(self.steps[there[0]])


class Learned(NamedTuple):
    """A policy, and how it came to be."""

    policy: PlatformPolicy
    curve: Curve


def learn(
    method: PPO, seed: int, seconds: float, watch: float, tell: Callable[[str], object] | None = None
) -> Learned:
    """Trains for a time, which counts from the end of the first iteration; that one holds the compilation.

    Args:
        method: PPO on a planar platform.
        seed: of networks, environments and actions.
        seconds: of training.
        watch: seconds between points of the curve.
        tell: told of each point.
    """
    world = method.world
    assert isinstance(world, PlatformEnvironment)
    judged = PlatformEnvironment(task=world.task, observation=world.observation)
    key_init, key = jax.random.split(jax.random.key(seed))
    state = jax.jit(method.init)(key_init)
    step = jax.jit(method.step, donate_argnums=0)
    spent, iterations, due = 0.0, 0, 0.0
    points: list[tuple[float, int, list[float]]] = []
    while spent < seconds:
        began = time.perf_counter()
        progress = np.float32(min(spent / seconds, 1.0))
        state, _ = jax.block_until_ready(step(state, progress, jax.random.fold_in(key, iterations)))
        iterations += 1
        if iterations > 1:
            spent += time.perf_counter() - began
        if spent >= due or spent >= seconds:
            policy = policy_of(method, state.learner, seed, iterations * method.samples)
            motions = fly(judged, pilot_of(policy, judged), Protocol(envs=64, seed=1000))
            near, turned = motions.position_error, np.degrees(motions.heading_error)
            figures = [
                *(float((near < c / 100).mean()) for c in (5, 2, 1)),
                *(float((turned < d).mean()) for d in (5, 1)),
                float(motions.air_use.mean()),
            ]
            points.append((spent, iterations * method.samples, figures))
            due = spent + watch
            if tell is not None:
                tell(
                    f"seed {seed}: {spent:.0f} s, {iterations * method.samples / 1e6:.1f} M steps, "
                    f"PT5 {figures[0]:.3f}, OT5 {figures[3]:.3f}"
                )
    times, steps, figures = zip(*points, strict=True)
    curve = Curve(np.array(times), np.array(steps, float), np.array(figures))
    return Learned(policy_of(method, state.learner, seed, iterations * method.samples), curve)
