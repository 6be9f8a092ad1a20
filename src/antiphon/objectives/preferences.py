"""Losses on pairs of answers: of judges that are to say who is preferred, and of policies without a judge.

``preferred`` is the probability that the first answer is preferred, 1 or 0 where one person chose. A
log-ratio is that of a whole completion, log π(y|x) − log μ(y|x), with μ the reference.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Shaped

from antiphon.core.divergences import log_probs
from antiphon.core.indexing import pick


def comparison_loss(log_odds: Float[Array, " B"], preferred: Float[Array, " B"]) -> Float[Array, ""]:
    """Cross-entropy of who is preferred, −(1/B) Σ_b [p log σ(z) + (1 − p) log σ(−z)], in nats.

    With z = r(x, y) − r(x, y') this is the likelihood of Bradley and Terry.

    Args:
        log_odds: z, that the first is preferred.
        preferred: p.
    """
    nats = preferred * jax.nn.softplus(-log_odds) + (1.0 - preferred) * jax.nn.softplus(log_odds)
    return jnp.mean(nats)


def log_ratios(
    logits: Float[Array, "B T V"],
    logits_anchor: Float[Array, "B T V"],
    tokens: Int[Array, "B T"],
    mask: Shaped[Array, "B T"],
) -> Float[Array, " B"]:
    """The sum of log π − log μ over whole completions; no gradient flows into the reference."""
    chosen = mask > 0
    # Replaced before use: zeroing afterwards would leave 0 · NaN from padding in the gradient.
    own, other = (jnp.where(chosen[..., None], scores, 0.0) for scores in (logits, logits_anchor))
    apart = pick(log_probs(own), tokens) - jax.lax.stop_gradient(pick(log_probs(other), tokens))
    return jnp.sum(jnp.where(chosen, apart, 0.0), axis=1)


def dpo_loss(
    first: Float[Array, " B"],
    second: Float[Array, " B"],
    preferred: Float[Array, " B"],
    tau: float | Float[Array, ""],
) -> Float[Array, ""]:
    """Cross-entropy of who is preferred, with the policy itself as reward: z = τ (log-ratio − log-ratio').

    Where preferences are σ(r − r') and pairs cover everything, its minimum is π ∝ μ exp(r / τ).

    Args:
        first: log-ratios of the first answers.
        second: log-ratios of the second.
        preferred: p; a share other than 0 and 1 smooths the labels.
        tau: what the paper calls β.

    Source: DPO, arXiv 2305.18290, eq. 7.
    """
    return comparison_loss(tau * (first - second), preferred)


def ipo_loss(
    first: Float[Array, " B"],
    second: Float[Array, " B"],
    preferred: Float[Array, " B"],
    tau: float | Float[Array, ""],
) -> Float[Array, ""]:
    """Squared distance of log-ratios, (1/B) Σ_b [log-ratio − log-ratio' − (p − ½) / τ]².

    With pairs from ρ×ρ of full support its minimum is π ∝ μ exp(P(y ≻ ρ) / τ), whatever the preferences. With
    p of 0 or 1 it is the paper's loss; other p change it by a constant.

    Args:
        first: log-ratios of the first answers.
        second: log-ratios of the second.
        preferred: p.
        tau: strength of the pull towards the reference.

    Source: IPO, arXiv 2310.12036, eq. 17.
    """
    return jnp.mean((first - second - (preferred - 0.5) / tau) ** 2)
