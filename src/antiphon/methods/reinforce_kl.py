"""KL-regularised REINFORCE on whole completions, the algorithm of MusicRL (arXiv 2402.04229), for any sequence model.

    J = (1 - alpha) E_pi[reward] - alpha E_pi[sum_t KL(pi(.|s_t) || anchor(.|s_t))]

The reward comes once, at the end of the completion. The paper's baseline is a value network that starts from the same checkpoint as the policy; leaving one out among
completions of the same prompt needs no training and is better in runs of a few hundred steps, so it is the default.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from antiphon.core.errors import UserError
from antiphon.nets.sequence_model import Context, SequenceModel, ValueModel
from antiphon.objectives.policy_gradient import (
    exact_kl_per_step,
    kl_to_go,
    leave_one_out,
    reinforce_kl_loss,
    value_loss,
)

RewardParts = Callable[[PyTree, Context, Int[Array, "B T"]], dict[str, Float[Array, " B"]]]
"""``(reward_params, context, tokens) -> {name: [B]}``. Parameters come apart so that they are arguments of the compiled step, not constants inside it."""


class ReinforceState(NamedTuple):
    """``params`` the policy, ``anchor`` the policy it is pulled towards, ``reward_params`` what the judges need (never trained here); ``value`` and its optimiser are ``()`` without a value network."""

    params: PyTree
    anchor: PyTree
    reward_params: PyTree
    optimiser: optax.OptState
    value: PyTree
    value_optimiser: optax.OptState


@dataclass(frozen=True)
class ReinforceKL:
    """The method.

    Attributes:
      model: the policy.
      rewards: named rewards of a batch of completions; all are logged.
      weights: ``(name, weight)`` of the rewards that are trained on, combined linearly.
      alpha: weight of the KL against the reward, in [0, 1].
      group: completions per prompt.
      microbatch: completions per gradient pass; logits of policy and anchor exist for so many at a time.
      temperature: sampling temperature. The policy whose gradient is taken is the tempered one, as is the anchor.
      baseline: "leave_one_out" (needs ``group`` of at least 2), "value" (needs ``value_model``) or "none".
      kl_credit: "full" (unbiased) or "pathwise" (the paper's formula), see :func:`~antiphon.objectives.policy_gradient.reinforce_kl_loss`.
      value_model: predicts the final reward from a partial completion.

    Differs from the paper: the weight pi(a|s) inside the KL is restored; leave-one-out baseline by default; the sampling temperature is part of the policy.
    """

    model: SequenceModel
    rewards: RewardParts
    weights: tuple[tuple[str, float], ...]
    alpha: float = 0.01
    learning_rate: float = 5e-5
    group: int = 6
    microbatch: int = 16
    temperature: float = 0.99
    clip: float = 1.0
    baseline: Literal["leave_one_out", "value", "none"] = "leave_one_out"
    kl_credit: Literal["full", "pathwise"] = "full"
    value_model: ValueModel | None = None
    value_learning_rate: float = 2e-4

    def __post_init__(self):
        """Refuse combinations that cannot work."""
        if not 0 <= self.alpha <= 1:
            raise UserError("config", f"alpha is {self.alpha}, outside [0, 1]", "give a KL weight from 0 to 1")
        if self.baseline == "leave_one_out" and self.group < 2:
            raise UserError("config", "leave-one-out with one completion per prompt", "set group to at least 2")
        if self.baseline == "value" and self.value_model is None:
            raise UserError("config", "a value baseline without a value network", "give value_model")
        if not self.weights:
            raise UserError("config", "no reward to train on", "name at least one reward in weights")

    def optimiser(self, learning_rate: float) -> optax.GradientTransformation:
        """Adam behind a norm clip, ten steps of warm-up (Adam's first steps are otherwise the largest)."""
        warm = optax.linear_schedule(0.1 * learning_rate, learning_rate, 10)
        return optax.chain(optax.clip_by_global_norm(self.clip), optax.adam(warm, b1=0.9, b2=0.95))

    def init(self, params: PyTree, reward_params: PyTree, value: PyTree = ()) -> ReinforceState:
        """Start from ``params``, which is also the anchor."""
        value_state = self.optimiser(self.value_learning_rate).init(value) if self.baseline == "value" else ()
        state = self.optimiser(self.learning_rate).init(params)
        anchor = jax.tree.map(jnp.array, params)  # its own buffers, so that the state can be donated
        return ReinforceState(params, anchor, reward_params, state, value, value_state)

    def step(self, state: ReinforceState, context: Context, key: PRNGKeyArray) -> tuple[ReinforceState, dict[str, Array]]:
        """Sample ``group`` completions for each of M prompts, score them, and take one step up J.

        Metrics: ``reward`` (combined), ``reward_<name>`` of every part, ``kl`` (nats per completion), ``entropy`` (nats per token), ``spread`` (deviation inside a group).
        """
        wide = jax.tree.map(lambda leaf: jnp.repeat(leaf, self.group, axis=0), context)
        tokens = self.model.sample(state.params, key, wide, temperature=self.temperature)
        parts = self.rewards(state.reward_params, wide, tokens)
        total = sum(weight * parts[name] for name, weight in self.weights)
        count = total.shape[0]
        grouped = total.reshape(-1, self.group)
        values = jnp.zeros(tokens.shape)
        if self.baseline == "leave_one_out":
            advantage = jnp.broadcast_to(leave_one_out(grouped).reshape(-1, 1), tokens.shape)
        elif self.baseline == "value" and self.value_model is not None:
            values = jax.lax.stop_gradient(self._values(state.value, tokens, wide))
            advantage = total[:, None] - values
        else:
            advantage = jnp.broadcast_to(total[:, None], tokens.shape)

        gradient, metrics = self._policy_gradient(state, tokens, wide, advantage)
        updates, optimiser = self.optimiser(self.learning_rate).update(gradient, state.optimiser, state.params)
        new = state._replace(params=optax.apply_updates(state.params, updates), optimiser=optimiser)
        if self.baseline == "value":
            new, metrics["value_loss"] = self._fit_value(new, tokens, wide, total)
        spread = jnp.mean(jnp.std(grouped, axis=1))
        metrics |= {"reward": jnp.mean(total), "spread": spread, "completions": jnp.asarray(count, jnp.float32)}
        return new, metrics | {f"reward_{name}": jnp.mean(part) for name, part in parts.items()}

    def _policy_gradient(self, state, tokens, context, advantage):
        """Mean gradient and metrics over microbatches that hold whole groups."""
        groups = max(1, self.microbatch // self.group)
        size = min(groups * self.group, tokens.shape[0])
        if tokens.shape[0] % size:
            size = self.group
        pieces = jax.tree.map(lambda leaf: leaf.reshape(-1, size, *leaf.shape[1:]), (tokens, context, advantage))
        mask = jnp.ones((size, tokens.shape[1]))

        def loss_of(params, piece):
            tokens, context, advantage = piece
            logits = self.model.logits(params, tokens, context) / self.temperature
            anchor = jax.lax.stop_gradient(self.model.logits(state.anchor, tokens, context)) / self.temperature
            baseline = None
            if self.kl_credit == "full" and self.group > 1:
                # The KL the other completions of the prompt still have to come does not depend on this action.
                ahead = kl_to_go(exact_kl_per_step(jax.lax.stop_gradient(logits), anchor), mask)
                ahead = ahead.reshape(-1, self.group, ahead.shape[-1])
                others = (jnp.sum(ahead, 1, keepdims=True) - ahead) / (self.group - 1)
                baseline = others.reshape(mask.shape)
            return reinforce_kl_loss(
                logits, anchor, tokens, advantage, self.alpha, mask, self.kl_credit, baseline
            )

        def of_piece(piece):
            (_, metrics), gradient = jax.value_and_grad(loss_of, has_aux=True)(state.params, piece)
            return gradient, metrics

        shapes = jax.eval_shape(of_piece, jax.tree.map(lambda leaf: leaf[0], pieces))
        zero = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
        summed, _ = jax.lax.scan(lambda total, p: (jax.tree.map(jnp.add, total, of_piece(p)), None), zero, pieces)
        return jax.tree.map(lambda leaf: leaf * (size / tokens.shape[0]), summed)

    def _values(self, value, tokens, context):
        if self.value_model is None:
            raise UserError("config", "no value network", "give value_model")
        return self.value_model.values(value, tokens, context)

    def _fit_value(self, state, tokens, context, total):
        targets = jnp.broadcast_to(total[:, None], tokens.shape)
        loss, gradient = jax.value_and_grad(
            lambda value: value_loss(self._values(value, tokens, context), targets, jnp.ones(tokens.shape))
        )(state.value)
        updates, optimiser = self.optimiser(self.value_learning_rate).update(
            gradient, state.value_optimiser, state.value
        )
        return state._replace(value=optax.apply_updates(state.value, updates), value_optimiser=optimiser), loss

