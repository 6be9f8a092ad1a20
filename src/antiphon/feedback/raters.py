"""Populations of raters: votes from signals that are measured in the texts, whose mean is known exactly.

    P(y ≻ y'|x) = (1/K) Σ_k σ( s [ √(1 − d) w_k·(φ(y) − φ(y')) + √d g(y, y') ] )

φ are signals such as length or overlap with the source, w_k what a rater cares for. Raters of this kind
hardly ever disagree in circles by themselves, so a ring g with a dial d is built in: of the kinds of things a
text may tell, each is preferred to the next. At d = 0 it is a mixture of scorers.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from antiphon.core.errors import UserError


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Raters:
    """A population. Simulated: say so wherever its votes are kept.

    Attributes:
        weights: w, ``[K, F]``.
        sharpness: s, log-odds of a difference of one.
        dial: d, share of the ring, in [0, 1].
    """

    weights: Float[Array, "K F"]
    sharpness: float | Float[Array, ""] = 1.5
    dial: float | Float[Array, ""] = 0.0

    def log_odds(
        self, first: Float[Array, "*B F"], second: Float[Array, "*B F"], ring: Float[Array, "*B"]
    ) -> Float[Array, "*B K"]:
        """Of each rater, that the first is preferred.

        Args:
            first: signals of the first texts.
            second: signals of the second.
            ring: g(y, y').
        """
        quality = (first - second) @ self.weights.T
        return self.sharpness * (
            jnp.sqrt(1.0 - self.dial) * quality + jnp.sqrt(1.0 * self.dial) * ring[..., None]
        )

    def preference(
        self, first: Float[Array, "*B F"], second: Float[Array, "*B F"], ring: Float[Array, "*B"]
    ) -> Float[Array, "*B"]:
        """P, the share of votes that the first gets."""
        return jnp.mean(jax.nn.sigmoid(self.log_odds(first, second, ring)), axis=-1)


def draw_raters(
    key: PRNGKeyArray,
    count: int,
    likes: Float[Array, " F"],
    spread: float,
    covariance: Float[Array, "F F"],
    sharpness: float = 1.5,
    dial: float | Float[Array, ""] = 0.0,
) -> Raters:
    """Raters who care for about the same things, each in their own measure.

    Args:
        key: of the draw.
        count: K.
        likes: mean weights.
        spread: deviation of a rater's weights about them.
        covariance: of φ(y) − φ(y') over pairs of texts; every rater's judgement of them gets unit deviation.
        sharpness: s.
        dial: d.

    Raises:
        UserError: no rater, or a dial outside [0, 1].
    """
    if count < 1 or (isinstance(dial, int | float) and not 0 <= dial <= 1):
        raise UserError(
            "field", f"{count} raters at dial {dial}", "take at least one, and a dial from 0 to 1"
        )
    weights = likes + spread * jax.random.normal(key, (count, likes.shape[0]))
    deviation = jnp.sqrt(jnp.einsum("kf,fg,kg->k", weights, covariance, weights))
    return Raters(weights / jnp.maximum(deviation, 1e-6)[:, None], sharpness, dial)


def ring(first: Float[Array, "*B R"], second: Float[Array, "*B R"]) -> Float[Array, "*B"]:
    """Σ_i a_i b_{i+1} − a_{i+1} b_i: what tells of the i-th kind beats what tells of the next, all around.

    Antisymmetric, and zero where either tells of all kinds alike.
    """
    following = jnp.roll(second, -1, axis=-1), jnp.roll(first, -1, axis=-1)
    return jnp.sum(first * following[0] - following[1] * second, axis=-1)
