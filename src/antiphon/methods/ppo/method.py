"""Proximal policy optimisation as one jitted program: the roll-out, the estimates and the update.

    step = collect (T steps of N environments) + improve (epochs of minibatches on what was collected)

Nothing in it looks at the host, so several seeds are a ``vmap`` of :meth:`PPO.init` and :meth:`PPO.step`, and
:func:`antiphon.train.fit.fit` loops, saves and resumes it. Experience from elsewhere (a Gymnasium environment
on the host, a robot's log) enters at :meth:`PPO.improve`.
"""

from dataclasses import dataclass, field
from typing import Any, cast

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Key, PyTree

from antiphon.core import trees
from antiphon.core.errors import UserError
from antiphon.credit.segment import Segment
from antiphon.methods.ppo.actor_critic import ActorCritic, BernoulliHead, Head, forward
from antiphon.methods.ppo.estimates import Minibatch, estimates
from antiphon.methods.ppo.moments import Moments
from antiphon.methods.ppo.state import Learner, PPOState
from antiphon.methods.ppo.world import VectorWorld
from antiphon.objectives.clipped_surrogate import clipped_surrogate_loss, clipped_value_loss

# One iteration moves the learning rate by at most this factor, within these multiples of the scheduled one.
_ADAPTATION, _LEAST_RATE, _MOST_RATE = 1.3, 0.05, 20.0


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class PPO:
    """The method. Floats are leaves of its pytree, so a sweep over them is a ``vmap``.

    Attributes:
        world: where experience comes from, itself a pytree: its figures may be swept too.
        head: Bernoulli coins, one of several, or a Gaussian.
        envs: N, environments.
        horizon: T, steps of each in an iteration; N · T samples an iteration.
        epochs: passes over them.
        minibatches: updates in a pass; each holds whole trajectories of ``envs / minibatches`` environments.
        learning_rate: of Adam, at the start.
        final_rate: the learning rate at the end, as a share; linear in between.
        kl_target: with a number, the learning rate also grows while the last pass moved the policy by less
            than half of it (in nats), and shrinks while by more than twice; None leaves it to the schedule.
        gamma: discount of a step.
        lambda_: of the advantage estimator.
        clip: ε of the surrogate.
        value_clip: the same for the critic, in deviations of the value; None for plain squared errors.
        value_cost: weight of the critic's loss.
        entropy: weight of the entropy at the start.
        final_entropy: at the end, linear in between. Below zero it makes the policy that learns as sure of
            itself as the deterministic one that is used in its place, so that states in which the latter
            would be stuck are met while there is something to learn from them.
        max_norm: bound on the gradient's norm.
        width: units of a hidden layer.
        depth: hidden layers of actor and critic each.

    Raises:
        UserError: sizes that do not divide, or numbers outside their range.

    Source: arXiv 1707.06347; implementation matters after arXiv 2005.12729 and 2006.05990; the learning rate
    that follows a KL target after arXiv 1707.02286, section 3, and RSL-RL.
    Differs from the paper: values are normalised by running moments, with the critic's last layer rescaled so
    that its answers stay (PopArt); minibatches are drawn by environment, not by step.
    """

    world: VectorWorld
    head: Head = field(default_factory=BernoulliHead, metadata={"static": True})
    envs: int = field(default=2048, metadata={"static": True})
    horizon: int = field(default=32, metadata={"static": True})
    epochs: int = field(default=2, metadata={"static": True})
    minibatches: int = field(default=16, metadata={"static": True})
    learning_rate: float = 3e-3
    final_rate: float = 0.0
    kl_target: float | None = None
    gamma: float = 0.985
    lambda_: float = 0.95
    clip: float = 0.2
    value_clip: float | None = None
    value_cost: float = 0.5
    entropy: float = 3e-3
    final_entropy: float = 0.0
    max_norm: float = 1.0
    width: int = field(default=64, metadata={"static": True})
    depth: int = field(default=2, metadata={"static": True})

    def __post_init__(self) -> None:
        for name in ("envs", "horizon", "epochs", "minibatches", "width", "depth"):
            if getattr(self, name) < 1:
                raise UserError("config", f"PPO with {name}={getattr(self, name)}", "give at least 1")
        if self.envs % self.minibatches:
            raise UserError(
                "config",
                f"{self.envs} environments do not divide into {self.minibatches} minibatches",
                "make envs a multiple of minibatches",
            )
        for name, low, high in (("gamma", 0, 1), ("lambda_", 0, 1), ("final_rate", 0, 1), ("clip", 0, 1)):
            value = getattr(self, name)
            # In a sweep the floats are traced or stacked, and nothing can be said of them here.
            if isinstance(value, int | float) and not low <= value <= high:
                raise UserError("config", f"PPO with {name}={value}", f"give a number from {low} to {high}")

    @property
    def samples(self) -> int:
        """Environment steps of one iteration."""
        return self.envs * self.horizon

    # --- beginning ------------------------------------------------------------------------------------------

    def init_learner(self, key: Key[Array, ""]) -> Learner:
        """Random networks that have seen nothing."""
        size = self.world.observation_size
        params = ActorCritic.init(key, self.head, size, self.world.action_size, self.width, self.depth)
        return Learner(
            params,
            _adam().init(cast(optax.Params, params)),
            jnp.ones(()),
            Moments.init((size,)),
            Moments.init(),
        )

    def init(self, key: Key[Array, ""]) -> PPOState:
        """A fresh learner among fresh environments."""
        key_learner, key_world = jax.random.split(key)
        world, observation = self.world.reset(key_world, self.envs)
        return PPOState(self.init_learner(key_learner), world, observation)

    # --- acting ---------------------------------------------------------------------------------------------

    def distribution(self, learner: Learner, observation: Float[Array, "*B O"]) -> Any:
        """The policy: a distribution over actions, with ``sample``, ``mode`` and ``log_prob``."""
        outputs = forward(learner.params.actor, learner.observations.normalise(observation))
        return self.head.distribution(outputs, learner.params.head)

    def value(self, learner: Learner, observation: Float[Array, "*B O"]) -> Float[Array, "*B"]:
        """The critic's answer, in units of reward."""
        normalised = forward(learner.params.critic, learner.observations.normalise(observation))
        return learner.values.restore(normalised[..., 0])

    def collect(
        self, state: PPOState, key: Key[Array, ""]
    ) -> tuple[PPOState, Segment, dict[str, Float[Array, ""]]]:
        """``horizon`` steps of every environment under the policy.

        Returns:
            The state (the learner unchanged), the segment [T, N] with values and log-probabilities, and the
            means of ``reward``, ``terminated`` and everything the world measures.
        """
        learner = state.learner

        def act(carry: tuple[PyTree, Array], key: Array) -> tuple[tuple[PyTree, Array], tuple[Any, ...]]:
            world, observation = carry
            key_action, key_world = jax.random.split(key)
            policy = self.distribution(learner, observation)
            action = policy.sample(key_action)
            world, step = self.world.step(world, action, key_world)
            measured = {name: jnp.mean(value) for name, value in step.metrics.items()}
            kept = (
                observation, action, policy.log_prob(action), step.reward, step.terminated, step.truncated,
                step.final_observation,
            )  # fmt: skip
            return (world, step.observation), (kept, measured)

        keys = jax.random.split(key, self.horizon)
        (world, observation), (kept, measured) = jax.lax.scan(act, (state.world, state.observation), keys)
        seen, action, log_prob, reward, terminated, truncated, final = kept
        segment = Segment(
            observation=seen,
            action=action,
            reward=reward,
            discount=self.gamma * (1.0 - terminated.astype(jnp.float32)),
            # After either ending the next row belongs to another episode.
            cut=(terminated | truncated).astype(jnp.float32),
            mask=jnp.ones_like(reward),
            value=self.value(learner, seen),
            # The observation before any reset: a cut episode is worth what would have followed.
            next_value=self.value(learner, final),
            log_prob=log_prob,
        )
        metrics = {name: jnp.mean(values) for name, values in measured.items()}
        metrics |= {"reward": jnp.mean(reward), "terminated": jnp.mean(terminated.astype(jnp.float32))}
        return PPOState(learner, world, observation), segment, metrics

    # --- learning -------------------------------------------------------------------------------------------

    def step(
        self, state: PPOState, progress: Float[Array, ""] | None, key: Key[Array, ""]
    ) -> tuple[PPOState, dict[str, Float[Array, ""]]]:
        """One iteration: collect and improve.

        Args:
            state: learner and environments.
            progress: share of the training that is done, in [0, 1]; learning rate and entropy fall with it.
                None keeps them. As the batch of a fit: ``batches=lambda i: np.float32(i / iterations)``.
            key: of this iteration.

        Metrics: those of :meth:`collect` and :meth:`improve`.
        """
        key_collect, key_improve = jax.random.split(key)
        state, segment, measured = self.collect(state, key_collect)
        learner, metrics = self.improve(state.learner, segment, progress, key_improve)
        return state._replace(learner=learner), measured | metrics

    def improve(
        self, learner: Learner, segment: Segment, progress: Float[Array, ""] | None, key: Key[Array, ""]
    ) -> tuple[Learner, dict[str, Float[Array, ""]]]:
        """``epochs`` passes over a segment [T, N] that this learner's policy collected.

        Metrics: ``kl`` (nats, last pass), ``clipped`` (share of samples), ``entropy`` (nats a step),
        ``value_error`` (unexplained share of the variance of the targets, before the update),
        ``gradient_norm`` (before clipping) and ``learning_rate``.
        """
        done = jnp.zeros(()) if progress is None else jnp.asarray(progress, jnp.float32)
        rate = self.learning_rate * (1.0 - (1.0 - self.final_rate) * done) * learner.rate
        entropy = self.entropy + (self.final_entropy - self.entropy) * done
        data, learner = estimates(learner, segment, self.lambda_)
        target_spread = jnp.maximum(jnp.var(data.target, where=data.mask > 0), 1e-12)
        unexplained = jnp.var(data.target - data.value, where=data.mask > 0) / target_spread

        def update(carry: tuple[ActorCritic, optax.OptState], chosen: Array) -> Any:
            params, optimiser = carry
            part = jax.tree.map(
                lambda leaf: leaf[:, chosen].reshape(-1, *leaf.shape[2:]), data
            )  # [T, N / minibatches, …] as one list of steps
            (_, metrics), gradient = jax.value_and_grad(self._loss, has_aux=True)(params, part, entropy)
            norm = trees.norm(gradient)
            gradient = trees.scale(gradient, jnp.minimum(1.0, self.max_norm / jnp.maximum(norm, 1e-12)))
            updates, optimiser = _adam().update(gradient, optimiser)
            moves = trees.scale(updates, -rate)
            params = jax.tree.map(jnp.add, params, moves)
            return (params, optimiser), metrics | {"gradient_norm": norm}

        orders = jax.vmap(lambda k: jax.random.permutation(k, segment.reward.shape[1]))(
            jax.random.split(key, self.epochs)
        )
        chosen = orders.reshape(self.epochs * self.minibatches, -1)
        (params, optimiser), history = jax.lax.scan(update, (learner.params, learner.optimiser), chosen)
        last = {name: values[-self.minibatches :] for name, values in history.items()}
        metrics = {name: jnp.mean(values) for name, values in last.items()}
        metrics |= {"value_error": unexplained, "learning_rate": rate}
        return (
            learner._replace(params=params, optimiser=optimiser, rate=self._adapted(learner, metrics["kl"])),
            metrics,
        )

    def _loss(
        self, params: ActorCritic, part: Minibatch, entropy: Float[Array, ""]
    ) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
        policy = self.head.distribution(forward(params.actor, part.observation), params.head)
        surrogate, metrics = clipped_surrogate_loss(
            policy.log_prob(part.action), part.log_prob, part.advantage, self.clip, part.mask
        )
        value = forward(params.critic, part.observation)[..., 0]
        error = clipped_value_loss(value, part.value, part.target, self.value_clip, part.mask)
        disorder = jnp.mean(policy.entropy(), where=part.mask > 0)
        loss = surrogate + self.value_cost * error - entropy * disorder
        return loss, metrics | {"entropy": disorder}

    def _adapted(self, learner: Learner, kl: Float[Array, ""]) -> Float[Array, ""]:
        """The factor on the learning rate after a pass that moved the policy by ``kl``."""
        if self.kl_target is None:
            return learner.rate
        slower, faster = kl > 2.0 * self.kl_target, kl < 0.5 * self.kl_target
        factor = jnp.where(slower, 1.0 / _ADAPTATION, jnp.where(faster, _ADAPTATION, 1.0))
        return jnp.clip(learner.rate * factor, _LEAST_RATE, _MOST_RATE)


def _adam() -> optax.GradientTransformation:
    """Adam without its learning rate, which is traced; an ε large enough for gradients of mean losses."""
    return optax.scale_by_adam(eps=1e-5)
