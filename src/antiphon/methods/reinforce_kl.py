"""KL-regularised REINFORCE on whole completions, the algorithm of MusicRL, for any sequence model.

    J = (1 − α) E_π[reward] − α E_π[Σ_t KL(π(·|s_t) ‖ anchor(·|s_t))]

The reward comes once, at the end of the completion. The paper's baseline is a value network that starts from
the same checkpoint as the policy; leaving one out among completions of the same prompt needs no training and
is better in runs of a few hundred steps, so it is the default.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree, Shaped

from antiphon.core import trees
from antiphon.core.errors import UserError
from antiphon.methods.microbatches import mean_over_microbatches
from antiphon.methods.trained_part import for_trained_part
from antiphon.nets.sequence_model import Context, SequenceModel, ValueModel
from antiphon.objectives.policy_gradient import (
    KLCredit,
    exact_kl_per_step,
    kl_to_go,
    leave_one_out,
    reinforce_kl_loss,
    reward_to_go,
    value_loss,
)

RewardParts = Callable[[PyTree, Context, Int[Array, "B T"]], dict[str, Float[Array, "B"]]]
"""``(reward_params, context, tokens) -> {name: [B]}``. Parameters come apart so that they are arguments of
the compiled step, not constants inside it."""

Chosen = Callable[[Context, Int[Array, "B T"]], Shaped[Array, "B T"]]
"""``(context, tokens) -> [B, T]``: 1 on tokens the policy chose (the end token included), 0 on the rest."""

Baseline = Literal["leave_one_out", "value", "none"]


class ReinforceState(NamedTuple):
    """What a step changes, and what it needs.

    Attributes:
        params: of the policy.
        anchor: of the policy it is pulled towards.
        reward_params: what the judges need; never trained here.
        optimiser: of the policy.
        value: weights of the value network, or ``()`` without one.
        value_optimiser: its optimiser's state, or ``()``.
    """

    params: PyTree
    anchor: PyTree
    reward_params: PyTree
    optimiser: optax.OptState
    value: PyTree
    value_optimiser: optax.OptState


class Rollout(NamedTuple):
    """Completions with what they earned; the G completions of one prompt stand together.

    Attributes:
        tokens: ``[M · G, T]``.
        context: of every completion, leaves ``[M · G, …]``.
        mask: 1 on tokens the policy chose, ``[M · G, T]``.
        reward: the weighted sum that is trained on, ``[M · G]``.
        parts: every reward by name, ``[M · G]`` each.
    """

    tokens: Array
    context: Context
    mask: Array
    reward: Array
    parts: dict[str, Array]


class Gradient(NamedTuple):
    """Estimates of −∇J and of the gradient of the value network's loss (``()`` without one)."""

    policy: PyTree
    value: PyTree


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class ReinforceKL:
    """The method. Floats are leaves of its pytree, so a sweep over them is a ``vmap``.

    Attributes:
        model: the policy.
        rewards: named rewards of a batch of completions; all are logged.
        weights: ``(name, weight)`` of the rewards that are trained on, combined linearly.
        alpha: weight of the KL against the reward, in [0, 1].
        learning_rate: of the policy, reached after ten steps of warm-up.
        group: completions per prompt, G.
        microbatch: completions per gradient pass at most (but whole groups); logits of policy and anchor
            exist for so many at a time.
        temperature: sampling temperature. The policy whose gradient is taken is the tempered one, as is the
            anchor.
        clip: bound on the gradient's norm, of policy and value network each.
        baseline: "leave_one_out" (needs ``group`` of at least 2), "value" (needs ``value_model``) or "none".
        kl_credit: "full" (unbiased) or "pathwise" (the paper's formula), see
            :func:`~antiphon.objectives.policy_gradient.reinforce_kl_loss`.
        value_model: predicts the final reward from a partial completion.
        value_learning_rate: of the value network.
        chosen: which tokens the policy chose; ``None`` for completions of one length.

    Raises:
        UserError: a combination that cannot work.

    Source: MusicRL, arXiv 2402.04229, section 3.3.
    Differs from the paper: the weight π(a|s) inside the KL is restored; leave-one-out baseline by default;
    the sampling temperature is part of the policy.
    """

    model: SequenceModel = field(metadata={"static": True})
    rewards: RewardParts = field(metadata={"static": True})
    weights: tuple[tuple[str, float], ...] = field(metadata={"static": True})
    alpha: float = 0.01
    learning_rate: float = 5e-5
    group: int = field(default=6, metadata={"static": True})
    microbatch: int = field(default=16, metadata={"static": True})
    temperature: float = 0.99
    clip: float = 1.0
    baseline: Baseline = field(default="leave_one_out", metadata={"static": True})
    kl_credit: KLCredit = field(default="full", metadata={"static": True})
    value_model: ValueModel | None = field(default=None, metadata={"static": True})
    value_learning_rate: float = 2e-4
    chosen: Chosen | None = field(default=None, metadata={"static": True})

    def __post_init__(self) -> None:
        # In a sweep the floats are traced or stacked, and nothing can be said of them here.
        if isinstance(self.alpha, int | float) and not 0 <= self.alpha <= 1:
            raise UserError(
                "config", f"alpha is {self.alpha}, outside [0, 1]", "give a KL weight from 0 to 1"
            )
        if self.baseline not in ("leave_one_out", "value", "none"):
            raise UserError(
                "config", f"there is no baseline {self.baseline!r}", "choose leave_one_out, value or none"
            )
        if self.group < 1 or self.microbatch < 1:
            raise UserError(
                "config", f"group={self.group} and microbatch={self.microbatch}", "give at least 1 of each"
            )
        if self.baseline == "leave_one_out" and self.group < 2:
            raise UserError(
                "config", "leave-one-out with one completion per prompt", "set group to at least 2"
            )
        if (self.baseline == "value") != (self.value_model is not None):
            raise UserError(
                "config",
                f"baseline {self.baseline!r} with value_model={self.value_model!r}",
                'give a value_model with baseline "value", and only with it',
            )
        if not self.weights:
            raise UserError("config", "no reward to train on", "name at least one reward in weights")

    def optimiser(self) -> optax.GradientTransformation:
        """Of the policy: Adam behind a norm clip, with warm-up: Adam's first steps are else the largest."""
        return for_trained_part(self.model, self._adam(self.learning_rate))

    def _adam(self, learning_rate: float) -> optax.GradientTransformation:
        warm = optax.linear_schedule(0.1 * learning_rate, learning_rate, 10)
        return optax.chain(optax.clip_by_global_norm(self.clip), optax.adam(warm, b1=0.9, b2=0.95))

    def init(self, params: PyTree, reward_params: PyTree, value: PyTree = ()) -> ReinforceState:
        """Start from ``params``, which is also the anchor.

        Args:
            params: of the policy.
            reward_params: handed to ``rewards``.
            value: weights of the value network, with baseline "value".

        Raises:
            UserError: baseline "value" without weights.
        """
        value_state = ()
        if self.baseline == "value":
            if not jax.tree.leaves(value):
                raise UserError(
                    "config", "no weights of the value network were given", "start them from the policy's"
                )
            value_state = self._adam(self.value_learning_rate).init(value)
        state = self.optimiser().init(params)
        anchor = jax.tree.map(jnp.array, params)  # its own buffers, so that the state can be donated
        return ReinforceState(params, anchor, reward_params, state, value, value_state)

    def step(
        self, state: ReinforceState, context: Context, key: PRNGKeyArray
    ) -> tuple[ReinforceState, dict[str, Float[Array, ""]]]:
        """Sample ``group`` completions for each of M prompts, score them, and take one step up J.

        Metrics: ``reward`` (the weighted sum) and ``reward_<name>`` of every part; ``kl`` (nats per
        completion), ``entropy`` and ``log_prob`` (nats per token) of the policy that sampled; ``spread``
        (deviation of the reward inside a group); ``length`` (tokens of a completion); ``gradient_norm``
        (before clipping); ``value_loss`` with a value network.
        """
        rollout = self.rollout(state, context, key)
        gradient, metrics = self.gradient(state, rollout)
        updates, optimiser = self.optimiser().update(gradient.policy, state.optimiser, state.params)
        new = state._replace(params=optax.apply_updates(state.params, updates), optimiser=optimiser)
        if self.baseline == "value":
            updates, optimiser = self._adam(self.value_learning_rate).update(
                gradient.value, state.value_optimiser
            )
            new = new._replace(value=optax.apply_updates(state.value, updates), value_optimiser=optimiser)
        return new, metrics

    def rollout(self, state: ReinforceState, context: Context, key: PRNGKeyArray) -> Rollout:
        """Sample ``group`` completions of each prompt and score them.

        Raises:
            UserError: ``weights`` names a reward that ``rewards`` does not give.
        """
        wide = jax.tree.map(lambda leaf: jnp.repeat(leaf, self.group, axis=0), context)
        tokens = self.model.sample(state.params, key, wide, temperature=self.temperature)
        parts = self.rewards(state.reward_params, wide, tokens)
        unknown = [name for name, _ in self.weights if name not in parts]
        if unknown:
            raise UserError(
                "config", f"there is no reward {unknown[0]!r}", f"choose among {', '.join(sorted(parts))}"
            )
        total = jnp.zeros(tokens.shape[0])
        for name, weight in self.weights:
            total = total + weight * parts[name]
        mask = jnp.ones(tokens.shape) if self.chosen is None else self.chosen(wide, tokens)
        return Rollout(tokens, wide, mask, total, parts)

    def gradient(
        self, state: ReinforceState, rollout: Rollout
    ) -> tuple[Gradient, dict[str, Float[Array, ""]]]:
        """Gradient estimates of one batch of completions, and the metrics of :meth:`step`.

        In expectation over roll-outs of the current policy, ``policy`` is −∇J (for "full" KL credit).
        """
        pieces = self._pieces(rollout.reward.shape[0] // self.group)
        gradient, metrics = mean_over_microbatches(
            functools.partial(self._gradient_of_piece, state), rollout, pieces
        )
        groups = rollout.reward.reshape(-1, self.group)
        metrics |= {
            "reward": jnp.mean(rollout.reward),
            "spread": jnp.mean(jnp.std(groups, axis=1)),
            "length": jnp.mean(jnp.sum(rollout.mask, axis=1)),
            "gradient_norm": trees.norm(gradient.policy),
        }
        return gradient, metrics | {f"reward_{name}": jnp.mean(part) for name, part in rollout.parts.items()}

    def _pieces(self, prompts: int) -> int:
        """Into how many microbatches of whole, equally many groups the prompts are cut."""
        most = min(max(1, self.microbatch // self.group), prompts)
        return next(prompts // groups for groups in range(most, 0, -1) if prompts % groups == 0)

    def _gradient_of_piece(
        self, state: ReinforceState, piece: Rollout
    ) -> tuple[Gradient, dict[str, Float[Array, ""]]]:
        returns = reward_to_go(piece.reward, piece.mask)
        value_gradient, value_metrics, advantage = (), {}, returns
        if self.baseline == "leave_one_out":
            ahead = leave_one_out(piece.reward.reshape(-1, self.group)).reshape(-1)
            advantage = reward_to_go(ahead, piece.mask)
        elif self.value_model is not None:
            (loss, values), value_gradient = jax.value_and_grad(_value_loss, argnums=1, has_aux=True)(
                self.value_model, state.value, piece, returns
            )
            advantage, value_metrics = returns - values, {"value_loss": loss}
        (_, metrics), gradient = jax.value_and_grad(self._policy_loss, has_aux=True)(
            state.params, state.anchor, piece, advantage
        )
        return Gradient(gradient, value_gradient), metrics | value_metrics

    def _policy_loss(
        self, params: PyTree, anchor_params: PyTree, piece: Rollout, advantage: Float[Array, "B T"]
    ) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
        def tempered(params: PyTree) -> Float[Array, "B T V"]:
            return self.model.logits(params, piece.tokens, piece.context) / self.temperature

        logits, anchor = tempered(params), jax.lax.stop_gradient(tempered(anchor_params))
        expected = None
        if self.kl_credit == "full" and self.group > 1:
            # The KL that the prompt's other completions still have to come does not depend on this action.
            kl = exact_kl_per_step(jax.lax.stop_gradient(logits), anchor)
            ahead = kl_to_go(kl, piece.mask).reshape(-1, self.group, kl.shape[-1])
            others = (jnp.sum(ahead, axis=1, keepdims=True) - ahead) / (self.group - 1)
            expected = others.reshape(kl.shape)
        return reinforce_kl_loss(
            logits, anchor, piece.tokens, advantage, self.alpha, piece.mask, self.kl_credit, expected
        )


def _value_loss(
    model: ValueModel, value: PyTree, piece: Rollout, returns: Float[Array, "B T"]
) -> tuple[Float[Array, ""], Float[Array, "B T"]]:
    values = model.values(value, piece.tokens, piece.context)
    return value_loss(values, returns, piece.mask), jax.lax.stop_gradient(values)
