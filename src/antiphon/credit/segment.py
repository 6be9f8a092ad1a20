"""A stretch of experience, time-major: what simulators, logs and token sequences all become."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PyTree

from antiphon.core.errors import UserError


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Segment:
    """T consecutive steps of B streams; step t is (observation, action) → (reward, discount, next_value).

    Termination and truncation differ. A *terminated* episode has no future: its discount is 0. A *truncated*
    one goes on unseen: its discount is γ, `cut` is 1, and `next_value` stands for what was not seen. The last
    step of a segment is always treated as cut. Build one with `create` or `from_steps`, which check shapes;
    the bare constructor does not, because JAX calls it with placeholders.

    Attributes:
        observation: what the policy saw, a pytree with leaves [T, *B, …].
        action: what it did, a pytree with leaves [T, *B, …].
        reward: r after the action, [T, *B].
        discount: γ·(1 − terminated), [T, *B].
        cut: 1 where nothing later may flow back across the step (truncation, automatic reset, packing
            boundary), else 0, [T, *B].
        mask: 1 for steps that count, 0 for padding and prompts, [T, *B].
        value: v(observation), [T, *B]; None where no critic was run.
        next_value: v of the observation that followed, before any reset, [T, *B]; None where no critic was
            run.
        log_prob: log-probability of the action under the policy that took it, [T, *B]; None where unknown.
    """

    observation: PyTree
    action: PyTree
    reward: Float[Array, "T *B"]
    discount: Float[Array, "T *B"]
    cut: Float[Array, "T *B"]
    mask: Float[Array, "T *B"]
    value: Float[Array, "T *B"] | None = None
    next_value: Float[Array, "T *B"] | None = None
    log_prob: Float[Array, "T *B"] | None = None

    @classmethod
    def create(
        cls,
        observation: PyTree,
        action: PyTree,
        reward: Float[Array, "T *B"],
        discount: Float[Array, "T *B"],
        *,
        cut: Float[Array, "T *B"] | Bool[Array, "T *B"] | None = None,
        mask: Float[Array, "T *B"] | Bool[Array, "T *B"] | None = None,
        value: Float[Array, "T *B"] | None = None,
        next_value: Float[Array, "T *B"] | None = None,
        log_prob: Float[Array, "T *B"] | None = None,
    ) -> "Segment":
        """A segment with checked shapes; no cut and a full mask unless given.

        Raises:
            UserError: reward without a time axis, a per-step field of another shape than reward, an
                observation or action leaf whose leading axes are not those of reward, or one of value and
                next_value alone.
        """
        shape = jnp.shape(reward)
        if not shape:
            raise UserError("field", "segment.reward is a scalar", "give it the shape [T, …], time first")
        segment = cls(
            observation=observation,
            action=action,
            reward=reward,
            discount=discount,
            cut=jnp.zeros(shape, jnp.float32) if cut is None else jnp.asarray(cut, jnp.float32),
            mask=jnp.ones(shape, jnp.float32) if mask is None else jnp.asarray(mask, jnp.float32),
            value=value,
            next_value=next_value,
            log_prob=log_prob,
        )
        _check(segment, shape)
        return segment

    @classmethod
    def from_steps(
        cls,
        observation: PyTree,
        action: PyTree,
        reward: Float[Array, "T *B"],
        *,
        terminated: Bool[Array, "T *B"],
        truncated: Bool[Array, "T *B"],
        gamma: float,
        mask: Float[Array, "T *B"] | Bool[Array, "T *B"] | None = None,
        value: Float[Array, "T *B"] | None = None,
        next_value: Float[Array, "T *B"] | None = None,
        log_prob: Float[Array, "T *B"] | None = None,
    ) -> "Segment":
        """A segment from the flags a simulator gives: discount = γ(1 − terminated), cut = truncated.

        Args:
            observation: leaves [T, *B, …].
            action: leaves [T, *B, …].
            reward: [T, *B].
            terminated: the episode truly ended after this step.
            truncated: the episode was stopped after this step although it would have gone on.
            gamma: discount per step, in [0, 1].
            mask: steps that count; all unless given.
            value: v(observation).
            next_value: v of the observation that followed, before any reset.
            log_prob: of the action under the policy that took it.

        Raises:
            UserError: as `create`, or gamma outside [0, 1].
        """
        if not 0 <= gamma <= 1:
            raise UserError("field", f"gamma is {gamma}", "give a discount from 0 to 1")
        return cls.create(
            observation,
            action,
            reward,
            gamma * (1.0 - jnp.asarray(terminated, jnp.float32)),
            cut=truncated,
            mask=mask,
            value=value,
            next_value=next_value,
            log_prob=log_prob,
        )


def _check(segment: Segment, shape: tuple[int, ...]) -> None:
    for name in ("discount", "cut", "mask", "value", "next_value", "log_prob"):
        field = getattr(segment, name)
        if field is not None and jnp.shape(field) != shape:
            raise UserError(
                "field",
                f"segment.{name} has shape {jnp.shape(field)} and segment.reward {shape}",
                "give both one number per step, [T, …] with time first",
            )
    for name in ("observation", "action"):
        for path, leaf in jax.tree_util.tree_flatten_with_path(getattr(segment, name))[0]:
            if jnp.shape(leaf)[: len(shape)] != shape:
                raise UserError(
                    "field",
                    f"segment.{name}{jax.tree_util.keystr(path)} has shape {jnp.shape(leaf)}, "
                    f"which does not begin with {shape}, the shape of segment.reward",
                    "put time first and the streams next",
                )
    if (segment.value is None) != (segment.next_value is None):
        raise UserError(
            "field",
            "segment.value and segment.next_value go together and one is missing",
            "evaluate the critic on the next observations too (before any reset)",
        )
