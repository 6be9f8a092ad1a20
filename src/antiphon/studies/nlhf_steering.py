"""What both studies of Nash learning with networks share: names, and a pull steered to a divergence."""

from dataclasses import replace
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from antiphon.methods.nash_md import NashMD
from antiphon.methods.reinforce_kl import ReinforceKL

RLHF = "RLHF"

_AT_ONCE, _FLOOR = 0.5, 0.05


def name_of(beta: float) -> str:
    """What the tables call Nash-MD with this share of the reference."""
    return {0.0: "self-play", 1.0: "best response"}.get(beta, f"Nash-MD {beta:g}")


class Pull(NamedTuple):
    """The pull τ towards the reference, in parts.

    It follows the logarithm of the ratio of two divergences, at once in part and in part summed up. Summed up
    alone it swings, since a policy needs dozens of updates to follow a pull.

    Attributes:
        log_tau: log τ as it has been summed up, ``[]``.
        at_once: what is added for the next update only, ``[]``.
    """

    log_tau: Float[Array, ""]
    at_once: Float[Array, ""]

    @property
    def tau(self) -> Float[Array, ""]:
        """τ of the next update."""
        return jnp.exp(self.log_tau + self.at_once)

    def after(
        self,
        kl: Float[Array, ""],
        aim: float | Float[Array, ""],
        summed: float,
        following: Bool[Array, ""],
    ) -> "Pull":
        """The pull after an update.

        Args:
            kl: divergence from the reference in the update, nats per completion.
            aim: what it should be.
            summed: share of the error that stays.
            following: whether it moves at all.
        """
        over = jnp.clip(jnp.log((kl + _FLOOR) / (aim + _FLOOR)), -1.0, 1.0)
        over = jnp.where(following, over, 0.0)
        return Pull(self.log_tau + summed * over, _AT_ONCE * over)


def pull_of(log_tau: Float[Array, ""]) -> Pull:
    """A pull that is followed from now on."""
    return Pull(log_tau, jnp.asarray(0.0))


def with_pull(
    method: NashMD | ReinforceKL, tau: Float[Array, ""], rate: Float[Array, ""]
) -> NashMD | ReinforceKL:
    """The method with this pull and this learning rate."""
    if isinstance(method, NashMD):
        return replace(method, tau=tau, learning_rate=rate)
    # J / (1 − α) pays the reward in full and the KL with τ = α / (1 − α).
    return replace(method, alpha=tau / (1.0 + tau), learning_rate=rate)
