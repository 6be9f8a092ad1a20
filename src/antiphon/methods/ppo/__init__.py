"""Proximal policy optimisation on many environments at once."""

from antiphon.methods.ppo.actor_critic import (
    ActorCritic,
    BernoulliHead,
    CategoricalHead,
    Head,
    NormalHead,
    folded_layers,
)
from antiphon.methods.ppo.method import PPO
from antiphon.methods.ppo.state import Learner, PPOState
from antiphon.methods.ppo.world import VectorWorld, WorldStep

__all__ = [
    "PPO",
    "ActorCritic",
    "BernoulliHead",
    "CategoricalHead",
    "Head",
    "Learner",
    "NormalHead",
    "PPOState",
    "VectorWorld",
    "WorldStep",
    "folded_layers",
]
