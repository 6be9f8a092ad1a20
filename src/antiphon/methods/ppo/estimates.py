"""From a segment to what PPO's losses need: normalised inputs, advantages and targets."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from antiphon.core.errors import UserError
from antiphon.credit.returns import gae
from antiphon.credit.segment import Segment
from antiphon.methods.ppo.actor_critic import rescale_value
from antiphon.methods.ppo.state import Learner


class Minibatch(NamedTuple):
    """Steps to learn from, [M, …]."""

    observation: Array
    action: Array
    log_prob: Array
    advantage: Array
    target: Array
    value: Array
    mask: Array


def estimates(
    learner: Learner, segment: Segment, lambda_: float | Float[Array, ""]
) -> tuple[Minibatch, Learner]:
    """Advantages and targets, normalised, and the learner that has taken note of the segment.

    The observations' moments change only after the networks' inputs are fixed by the old ones; the
    critic changes units with the values' moments.

    Args:
        learner: the one whose policy collected the segment.
        segment: [T, N], with values and log-probabilities.
        lambda_: of the advantage estimator.

    Raises:
        UserError: the segment has no values or log-probabilities.

    Source: arXiv 1506.02438, eq. 16; arXiv 1602.07714, section 2.2.
    """
    value, next_value = segment.value, segment.next_value
    if value is None or next_value is None or segment.log_prob is None:
        raise UserError(
            "field", "the segment has no values or log-probabilities", "collect it with PPO.collect"
        )
    advantage = gae(segment.reward, segment.discount, value, next_value, lambda_, segment.cut)
    target = advantage + value
    counts = segment.mask > 0
    mean, spread = jnp.mean(advantage, where=counts), jnp.std(advantage, where=counts)
    values = learner.values.including(target, segment.mask)
    observations = learner.observations.including(segment.observation, segment.mask)
    critic = rescale_value(learner.params.critic, learner.values, values)
    data = Minibatch(
        # By the moments the acting policy used: its log-probabilities belong to these inputs.
        observation=learner.observations.normalise(segment.observation),
        action=segment.action,
        log_prob=segment.log_prob,
        advantage=(advantage - mean) / (spread + 1e-8),
        target=values.normalise(target),
        value=values.normalise(value),
        mask=segment.mask,
    )
    params = learner.params._replace(critic=critic)
    return data, learner._replace(params=params, observations=observations, values=values)
