"""What a policy is pulled towards: losses as pure functions of logits, actions and credit."""

from antiphon.objectives.policy_gradient import (
    exact_kl_per_step,
    leave_one_out,
    low_variance_kl_per_step,
    reinforce_kl_loss,
    reward_to_go,
    sampled_kl_per_step,
    value_loss,
)

__all__ = [
    "exact_kl_per_step",
    "leave_one_out",
    "low_variance_kl_per_step",
    "reinforce_kl_loss",
    "reward_to_go",
    "sampled_kl_per_step",
    "value_loss",
]
