"""PPO on a Gymnasium vector environment: the roll-out happens on the host, the update is the same program.

method = outside_method(env)                       # settings: dataclasses.replace(method, horizon=64, …)
learner = learn_outside(method, env, iterations=100, key=jax.random.key(0))
action = act(method, learner, observation)
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from jaxtyping import Array, Float, Key, PyTree

from antiphon.core.errors import UserError
from antiphon.credit.segment import Segment
from antiphon.methods.ppo.actor_critic import BernoulliHead, CategoricalHead, Head, NormalHead
from antiphon.methods.ppo.method import PPO
from antiphon.methods.ppo.state import Learner


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class OutsideWorld:
    """The sizes of a world whose steps happen elsewhere; see :class:`~antiphon.methods.ppo.VectorWorld`.

    Attributes:
        observation_size: numbers in a flat observation.
        action_size: numbers in an action, or kinds of it where an action is one of several.
    """

    observation_size: int = field(metadata={"static": True})
    action_size: int = field(metadata={"static": True})

    def reset(self, key: Key[Array, ""], envs: int, /) -> tuple[PyTree, Float[Array, "N O"]]:
        """Raises ``UserError``: the environment resets itself."""
        raise UserError("usage", "this world is stepped outside of PPO", "use learn_outside, not PPO.step")

    def step(self, state: PyTree, action: Array, key: Key[Array, ""], /) -> tuple[PyTree, Any]:
        """Raises ``UserError``: the environment steps itself."""
        raise UserError("usage", "this world is stepped outside of PPO", "use learn_outside, not PPO.step")


def outside_method(env: VectorEnv) -> PPO:
    """PPO for the spaces of a vector environment, with settings for a few environments.

    ``MultiBinary`` and pairs of choices become coins, ``Discrete`` one of several, ``Box`` a Gaussian whose
    actions are clipped to the box when they are sent.

    Args:
        env: with flat observations.

    Raises:
        UserError: spaces that no head of PPO serves, or an environment that does not reset itself.
    """
    seen, action = env.single_observation_space, env.single_action_space
    if not isinstance(seen, spaces.Box) or len(seen.shape) != 1:
        raise UserError(
            "config",
            f"observations are {seen}",
            "flatten them first, with gymnasium.wrappers.FlattenObservation",
        )
    if _mode(env) is AutoresetMode.DISABLED:
        raise UserError(
            "config",
            "the environment never begins anew",
            "build it with autoreset_mode NEXT_STEP or SAME_STEP",
        )
    head, size = _head(action)
    minibatches = max(count for count in (1, 2, 4, 8) if env.num_envs % count == 0)
    return PPO(
        world=OutsideWorld(seen.shape[0], size), head=head, envs=env.num_envs, horizon=128, epochs=4,
        minibatches=minibatches, learning_rate=1e-3, gamma=0.99, entropy=3e-3,
    )  # fmt: skip


@dataclass(frozen=True)
class Progress:
    """How far a learning has come.

    Attributes:
        iteration: finished ones.
        steps: of all environments together.
        episodes: that ended in this iteration.
        episode_return: mean undiscounted return of these; NaN where none ended.
        metrics: of :meth:`PPO.improve`.
        learner: so far.
    """

    iteration: int
    steps: int
    episodes: int
    episode_return: float
    metrics: dict[str, float]
    learner: Learner


def learn_outside(
    method: PPO,
    env: VectorEnv,
    *,
    iterations: int,
    key: Key[Array, ""],
    learner: Learner | None = None,
    watch: Callable[[Progress], bool | None] | None = None,
) -> Learner:
    """Collects and improves, again and again.

    Learning rate and entropy fall over the iterations, as in :meth:`PPO.step`. Truncated episodes are
    bootstrapped from their last observation, with either way in which Gymnasium begins anew.

    Args:
        method: from :func:`outside_method`, with whatever settings replaced.
        env: stepped, and reset once at the beginning; its seed is drawn from the key.
        iterations: of ``method.horizon`` steps each.
        key: of networks, actions and the environment.
        learner: to go on with; a fresh one unless given.
        watch: told after each iteration; True ends the learning.

    Raises:
        UserError: the method is for another number of environments.
    """
    if method.envs != env.num_envs:
        raise UserError(
            "config", f"PPO for {method.envs} environments and {env.num_envs} of them",
            "replace envs in the method, or begin with outside_method(env)",
        )  # fmt: skip
    key_init, key_env, key = jax.random.split(key, 3)
    newest = method.init_learner(key_init) if learner is None else learner
    observation, _ = env.reset(seed=int(jax.random.randint(key_env, (), 0, 2**31 - 1)))
    running = _Running(
        np.asarray(observation, np.float32), np.zeros(env.num_envs, bool), np.zeros(env.num_envs)
    )
    for iteration in range(iterations):
        key_collect, key_improve, key = jax.random.split(key, 3)
        segment, returns = _collect(method, newest, env, running, key_collect)
        progress = jnp.asarray(iteration / iterations, jnp.float32)
        newest, metrics = _improve(method, newest, segment, progress, key_improve)
        if watch is not None:
            mean = float(np.mean(returns)) if returns else float("nan")
            told = {name: float(value) for name, value in metrics.items()}
            now = Progress(iteration + 1, (iteration + 1) * method.samples, len(returns), mean, told, newest)
            if watch(now):
                break
    return newest


def act(method: PPO, learner: Learner, observation: Float[np.ndarray, "N O"]) -> np.ndarray:
    """The likeliest actions, as the environment takes them; clip continuous ones to its box."""
    return np.asarray(_mode_of(method, learner, jnp.asarray(observation, jnp.float32)))


@dataclass
class _Running:
    """Where the environments stand between two roll-outs."""

    observation: np.ndarray
    over: np.ndarray  # whose next step is the reset itself, and no experience
    earned: np.ndarray


def _collect(
    method: PPO, learner: Learner, env: VectorEnv, running: _Running, key: Key[Array, ""]
) -> tuple[Segment, list[float]]:
    later = _mode(env) is AutoresetMode.NEXT_STEP
    rows: list[tuple[np.ndarray, ...]] = []
    returns: list[float] = []
    for key_step in jax.random.split(key, method.horizon):
        sampled, log_prob = _sampled(method, learner, running.observation, key_step)
        action = np.asarray(sampled)
        counts = ~running.over
        seen, reward, terminated, truncated, info = env.step(_sent(env, action))
        done = terminated | truncated
        final = np.array(seen, np.float32)
        if not later and done.any():
            for index in np.flatnonzero(done):
                final[index] = info["final_obs"][index]
        rows.append(
            (running.observation, action, np.asarray(log_prob), np.asarray(reward, np.float32),
             terminated, done, final, counts)
        )  # fmt: skip
        running.earned = running.earned + np.where(counts, reward, 0.0)
        ended = done & counts
        returns += running.earned[ended].tolist()
        running.earned = np.where(ended, 0.0, running.earned)
        running.observation = np.array(seen, np.float32)
        running.over = done if later else np.zeros_like(done)
    observation, action, log_prob, reward, terminated, done, final, counts = (
        jnp.asarray(np.stack(column)) for column in zip(*rows, strict=True)
    )
    value, next_value = _values(method, learner, observation, final)
    mask = counts.astype(jnp.float32)
    segment = Segment(
        observation=observation, action=action, reward=reward,
        discount=method.gamma * (1.0 - terminated.astype(jnp.float32)),
        # A step that only begins anew belongs to no episode.
        cut=(done | ~counts).astype(jnp.float32),
        mask=mask, value=value, next_value=next_value, log_prob=log_prob,
    )  # fmt: skip
    return segment, returns


@jax.jit
def _sampled(method: PPO, learner: Learner, observation: Array, key: Array) -> tuple[Array, Array]:
    policy = method.distribution(learner, observation)
    action = policy.sample(key)
    return action, policy.log_prob(action)


@jax.jit
def _values(method: PPO, learner: Learner, observation: Array, final: Array) -> tuple[Array, Array]:
    return method.value(learner, observation), method.value(learner, final)


@jax.jit
def _improve(
    method: PPO, learner: Learner, segment: Segment, progress: Array, key: Array
) -> tuple[Learner, dict[str, Array]]:
    return method.improve(learner, segment, progress, key)


@jax.jit
def _mode_of(method: PPO, learner: Learner, observation: Array) -> Array:
    return method.distribution(learner, observation).mode()


def _sent(env: VectorEnv, action: np.ndarray) -> np.ndarray:
    space = env.single_action_space
    if isinstance(space, spaces.Box):
        return np.clip(action, space.low, space.high).astype(space.dtype)
    return action.astype(space.dtype or np.int64)


def _head(action: gymnasium.Space) -> tuple[Head, int]:
    match action:
        case spaces.MultiBinary() if len(action.shape) == 1:
            return BernoulliHead(), action.shape[0]
        case spaces.MultiDiscrete() if action.nvec.ndim == 1 and (action.nvec == 2).all():
            return BernoulliHead(), len(action.nvec)
        case spaces.Discrete() if action.start == 0:
            return CategoricalHead(), int(action.n)
        case spaces.Box() if len(action.shape) == 1:
            return NormalHead(), action.shape[0]
        case _:
            raise UserError(
                "config", f"no head of PPO serves actions of {action}",
                "give MultiBinary, MultiDiscrete of twos, Discrete from 0, or a flat Box",
            )  # fmt: skip


def _mode(env: VectorEnv) -> AutoresetMode:
    """How the environment begins anew: as it says, or in the step after, which is Gymnasium's default."""
    told = env.metadata.get("autoreset_mode", AutoresetMode.NEXT_STEP)
    return told if isinstance(told, AutoresetMode) else AutoresetMode(told)
