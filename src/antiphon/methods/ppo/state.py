"""What PPO carries from one iteration to the next."""

from typing import NamedTuple

import optax
from jaxtyping import Array, Float, PyTree

from antiphon.methods.ppo.actor_critic import ActorCritic
from antiphon.methods.ppo.moments import Moments


class Learner(NamedTuple):
    """What learning changes, whatever the experience comes from.

    Attributes:
        params: actor, critic and head.
        optimiser: Adam's moments.
        rate: factor on the scheduled learning rate, moved by the KL target; 1 without one.
        observations: moments of every observation seen; the networks' inputs are normalised by them.
        values: moments of every value target seen; the critic answers in their units.
    """

    params: ActorCritic
    optimiser: optax.OptState
    rate: Float[Array, ""]
    observations: Moments
    values: Moments


class PPOState(NamedTuple):
    """A learner among its environments.

    Attributes:
        learner: what learns.
        world: state of the environments.
        observation: what they show now, [N, O].
    """

    learner: Learner
    world: PyTree
    observation: Float[Array, "N O"]
