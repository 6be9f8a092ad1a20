"""Distributions a policy can output, as pytrees of their parameters.

The last axis is the event: the classes of a `Categorical`, the independent coordinates of the others, whose
log_prob, entropy and kl sum over it. Leading axes are a batch. A key comes first. What has no closed form is
not offered.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax.scipy.special import betaln, digamma
from jaxtyping import Array, Float, Int, Key

from antiphon.core import divergences, simplex
from antiphon.core.indexing import pick

_HALF_LOG_TWO_PI = 0.9189385332046727


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Categorical:
    """One of A outcomes, from logits or log-probabilities.

    Attributes:
        logits: unnormalised log-probabilities, [*B, A]; ``-inf`` excludes an outcome.
    """

    logits: Float[Array, "*B A"]

    def sample(self, key: Key[Array, ""]) -> Int[Array, "*B"]:
        """One outcome per batch element, as an index."""
        return jax.random.categorical(key, self.logits, axis=-1)

    def log_prob(self, outcome: Int[Array, "*B"]) -> Float[Array, "*B"]:
        """Log-probability of an outcome, in nats."""
        return pick(divergences.log_probs(self.logits), outcome)

    def mode(self) -> Int[Array, "*B"]:
        """The most probable outcome."""
        return jnp.argmax(self.logits, axis=-1)

    def entropy(self) -> Float[Array, "*B"]:
        """Shannon entropy in nats."""
        return simplex.entropy(self.logits)

    def kl(self, other: "Categorical") -> Float[Array, "*B"]:
        """KL(self‖other) in nats."""
        return divergences.forward_kl(self.logits, other.logits)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Bernoulli:
    """Independent coins, from the log-odds of heads.

    Attributes:
        logits: log p/(1−p) of each coin, [*B, A]; finite.
    """

    logits: Float[Array, "*B A"]

    def sample(self, key: Key[Array, ""]) -> Int[Array, "*B A"]:
        """One 0/1 per coin."""
        return jax.random.bernoulli(key, jax.nn.sigmoid(self.logits)).astype(jnp.int32)

    def log_prob(self, outcome: Int[Array, "*B A"]) -> Float[Array, "*B"]:
        """Joint log-probability of the coins."""
        return jnp.sum(-jax.nn.softplus(jnp.where(outcome > 0, -self.logits, self.logits)), axis=-1)

    def mode(self) -> Int[Array, "*B A"]:
        """The likelier side of every coin."""
        return (self.logits > 0).astype(jnp.int32)

    def entropy(self) -> Float[Array, "*B"]:
        """Joint entropy in nats: softplus(l) − l σ(l) per coin."""
        return jnp.sum(jax.nn.softplus(self.logits) - self.logits * jax.nn.sigmoid(self.logits), axis=-1)

    def kl(self, other: "Bernoulli") -> Float[Array, "*B"]:
        """KL(self‖other) in nats."""
        gap = self.logits - other.logits
        per_coin = jax.nn.sigmoid(self.logits) * gap - jax.nn.softplus(self.logits)
        return jnp.sum(per_coin + jax.nn.softplus(other.logits), axis=-1)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Normal:
    """Independent normals.

    Attributes:
        mean: [*B, A].
        scale: standard deviation, > 0, [*B, A].
    """

    mean: Float[Array, "*#B A"]
    scale: Float[Array, "*#B A"]

    def sample(self, key: Key[Array, ""]) -> Float[Array, "*B A"]:
        """A draw, differentiable in mean and scale."""
        shape = jnp.broadcast_shapes(self.mean.shape, self.scale.shape)
        return self.mean + self.scale * jax.random.normal(key, shape, self.mean.dtype)

    def log_prob(self, outcome: Float[Array, "*B A"]) -> Float[Array, "*B"]:
        """Joint log-density."""
        standard = (outcome - self.mean) / self.scale
        return jnp.sum(-0.5 * standard**2 - jnp.log(self.scale) - _HALF_LOG_TWO_PI, axis=-1)

    def mode(self) -> Float[Array, "*B A"]:
        """The mean."""
        return self.mean

    def entropy(self) -> Float[Array, "*B"]:
        """Joint differential entropy in nats: ½ + ½ log 2π + log scale per coordinate."""
        shape = jnp.broadcast_shapes(self.mean.shape, self.scale.shape)
        return jnp.sum(jnp.broadcast_to(0.5 + _HALF_LOG_TWO_PI + jnp.log(self.scale), shape), axis=-1)

    def kl(self, other: "Normal") -> Float[Array, "*B"]:
        """KL(self‖other) in nats."""
        ratio = self.scale / other.scale
        shift = (self.mean - other.mean) / other.scale
        return jnp.sum(0.5 * (ratio**2 + shift**2 - 1.0) - jnp.log(ratio), axis=-1)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class TanhNormal:
    """tanh of independent normals: actions in (−1, 1). No closed entropy.

    Attributes:
        mean: of the normal before tanh, [*B, A].
        scale: of the normal before tanh, > 0, [*B, A].
    """

    mean: Float[Array, "*#B A"]
    scale: Float[Array, "*#B A"]

    def sample(self, key: Key[Array, ""]) -> Float[Array, "*B A"]:
        """A draw, differentiable in mean and scale."""
        return self.sample_and_log_prob(key)[0]

    def sample_and_log_prob(self, key: Key[Array, ""]) -> tuple[Float[Array, "*B A"], Float[Array, "*B"]]:
        """A draw with its log-density, exact also where tanh saturates (no inverse is taken)."""
        before = Normal(self.mean, self.scale).sample(key)
        return jnp.tanh(before), self._log_prob_before(before)

    def log_prob(self, outcome: Float[Array, "*B A"]) -> Float[Array, "*B"]:
        """Joint log-density; outcomes at ±1 count as the nearest number inside."""
        bound = 1.0 - jnp.finfo(outcome.dtype).epsneg
        return self._log_prob_before(jnp.arctanh(jnp.clip(outcome, -bound, bound)))

    def mode(self) -> Float[Array, "*B A"]:
        """Tanh of the mean: the median, the usual deterministic action (the density may peak elsewhere)."""
        return jnp.tanh(self.mean)

    def kl(self, other: "TanhNormal") -> Float[Array, "*B"]:
        """KL(self‖other) in nats: that of the normals, since tanh is a bijection."""
        return Normal(self.mean, self.scale).kl(Normal(other.mean, other.scale))

    def _log_prob_before(self, before: Float[Array, "*B A"]) -> Float[Array, "*B"]:
        # log(1 − tanh²u) = 2(log 2 − u − softplus(−2u)), which does not cancel for large |u|.
        log_slope = 2.0 * (jnp.log(2.0) - before - jax.nn.softplus(-2.0 * before))
        return Normal(self.mean, self.scale).log_prob(before) - jnp.sum(log_slope, axis=-1)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Beta:
    """Independent beta distributions on (0, 1), for bounded actions without saturation.

    Attributes:
        alpha: first concentration, > 0, [*B, A].
        beta: second concentration, > 0, [*B, A].
    """

    alpha: Float[Array, "*#B A"]
    beta: Float[Array, "*#B A"]

    def sample(self, key: Key[Array, ""]) -> Float[Array, "*B A"]:
        """A draw inside (0, 1), differentiable in both concentrations."""
        draw = jax.random.beta(key, self.alpha, self.beta)
        # Rounding may land on 0 or 1, where the log-density is infinite.
        return jnp.clip(draw, jnp.finfo(draw.dtype).tiny, 1.0 - jnp.finfo(draw.dtype).epsneg)

    def log_prob(self, outcome: Float[Array, "*B A"]) -> Float[Array, "*B"]:
        """Joint log-density."""
        kernel = (self.alpha - 1) * jnp.log(outcome) + (self.beta - 1) * jnp.log1p(-outcome)
        return jnp.sum(kernel - betaln(self.alpha, self.beta), axis=-1)

    def mean(self) -> Float[Array, "*B A"]:
        """α / (α + β): the usual deterministic action (a mode exists only for α, β > 1)."""
        return self.alpha / (self.alpha + self.beta)

    def entropy(self) -> Float[Array, "*B"]:
        """Joint differential entropy in nats."""
        a, b = self.alpha, self.beta
        digammas = (a - 1) * digamma(a) + (b - 1) * digamma(b) - (a + b - 2) * digamma(a + b)
        return jnp.sum(betaln(a, b) - digammas, axis=-1)

    def kl(self, other: "Beta") -> Float[Array, "*B"]:
        """KL(self‖other) in nats."""
        a, b = self.alpha, self.beta
        gap_a, gap_b = a - other.alpha, b - other.beta
        digammas = gap_a * digamma(a) + gap_b * digamma(b) - (gap_a + gap_b) * digamma(a + b)
        return jnp.sum(betaln(other.alpha, other.beta) - betaln(a, b) + digammas, axis=-1)
