"""Running mean and variance of what a learner meets, merged batch by batch."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Shaped

# A feature that has not moved yet is not blown up when it first does.
_SMALLEST_DEVIATION = 1e-3


class Moments(NamedTuple):
    """Number, mean and variance of samples so far, each feature by itself.

    Attributes:
        seen: samples so far, [].
        mean: [*F].
        variance: biased, [*F].
    """

    seen: Float[Array, ""]
    mean: Float[Array, "*F"]
    variance: Float[Array, "*F"]

    @staticmethod
    def init(shape: tuple[int, ...] = ()) -> "Moments":
        """Nothing seen: mean 0 and variance 1, which leaves inputs as they are."""
        return Moments(jnp.zeros(()), jnp.zeros(shape), jnp.ones(shape))

    @property
    def deviation(self) -> Float[Array, "*F"]:
        """Standard deviation, kept away from zero."""
        return jnp.maximum(jnp.sqrt(self.variance), _SMALLEST_DEVIATION)

    def including(self, samples: Float[Array, "..."], mask: Shaped[Array, "*B"] | None = None) -> "Moments":
        """The moments of all that was seen before and of ``samples``.

        With batch moments (n, m, v), δ = m − mean and N = seen + n: mean' = mean + δ n/N and
        variance' = (seen · variance + n v + δ² seen n / N) / N.

        Args:
            samples: any number of leading axes before the features'.
            mask: 1 on samples that count; all unless given.

        Source: Chan, Golub and LeVeque 1979, the pairwise update of sample variances.
        """
        axes = tuple(range(samples.ndim - self.mean.ndim))
        shape = samples.shape[: len(axes)]
        weights = jnp.ones(shape) if mask is None else (mask > 0).astype(jnp.float32)
        added = jnp.sum(weights)
        safe = jnp.maximum(added, 1.0)
        spread_out = weights.reshape(shape + (1,) * self.mean.ndim)
        mean = jnp.sum(spread_out * samples, axes) / safe
        variance = jnp.sum(spread_out * (samples - mean) ** 2, axes) / safe
        total = self.seen + added
        share = added / jnp.maximum(total, 1.0)
        delta = mean - self.mean
        merged = self.variance + share * (variance - self.variance) + share * (1.0 - share) * delta**2
        return Moments(total, self.mean + share * delta, merged)

    def normalise(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """(x − mean) / deviation: affine, so that it folds into a network's first layer."""
        return (x - self.mean) / self.deviation

    def restore(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """The inverse of :meth:`normalise`."""
        return x * self.deviation + self.mean
