"""Divergences between two categorical distributions, over the last axis of their logits.

Every function takes logits or log-probabilities (normalising is idempotent), accumulates in at least float32
whatever the inputs are, and accepts ``-inf`` logits: an outcome with probability zero under the first
argument contributes exactly nothing, to the value and to the gradient. Where absolute continuity fails, the
Kullback–Leibler divergences are ``inf``, as they should be. All values are in nats and non-negative up to
rounding.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from antiphon.core.errors import UserError

# Above this log-ratio exp(d) - 1 and exp(d) agree in float64, and expm1 would soon overflow in float32.
_LARGE_LOG_RATIO = 30.0


def log_probs(logits: Float[Array, "*B A"]) -> Float[Array, "*B A"]:
    """Normalised log-probabilities in at least float32: ``logits - logsumexp(logits)``."""
    return jax.nn.log_softmax(logits.astype(jnp.promote_types(logits.dtype, jnp.float32)), axis=-1)


def forward_kl(logits_p: Float[Array, "*B A"], logits_q: Float[Array, "*B A"]) -> Float[Array, "*B"]:
    """Kullback–Leibler divergence KL(P‖Q) = Σ_a p(a) log(p(a) / q(a)).

    Args:
        logits_p: first distribution (the teacher in distillation, the policy in a KL-regularised objective).
        logits_q: second distribution (the student; the anchor).

    Returns:
        Nats; ``inf`` where q excludes an outcome that p allows.
    """
    log_p, log_q = log_probs(logits_p), log_probs(logits_q)
    p = jnp.exp(log_p)
    # The subtraction is linear, so a masked NaN of (-inf) - (-inf) never reaches a gradient.
    return jnp.sum(p * jnp.where(p > 0, log_p - log_q, 0.0), axis=-1)


def reverse_kl(logits_p: Float[Array, "*B A"], logits_q: Float[Array, "*B A"]) -> Float[Array, "*B"]:
    """Kullback–Leibler divergence with the arguments exchanged, KL(Q‖P); shapes as in `forward_kl`."""
    return forward_kl(logits_q, logits_p)


def total_variation(logits_p: Float[Array, "*B A"], logits_q: Float[Array, "*B A"]) -> Float[Array, "*B"]:
    """Total variation ½ Σ_a |p(a) − q(a)|, in [0, 1]."""
    return 0.5 * jnp.sum(jnp.abs(jnp.exp(log_probs(logits_p)) - jnp.exp(log_probs(logits_q))), axis=-1)


def jsd(
    logits_p: Float[Array, "*B A"], logits_q: Float[Array, "*B A"], beta: float | Float[Array, ""]
) -> Float[Array, "*B"]:
    """Generalised Jensen–Shannon divergence β KL(P‖M) + (1−β) KL(Q‖M) with M = βP + (1−β)Q.

    Bounded by ln 2, and zero at both ends β = 0 and β = 1: near the ends it behaves like β KL(P‖Q) and
    (1−β) KL(Q‖P). Use `normalised_jsd` where the size of the loss should not depend on β.

    Args:
        logits_p: P, the teacher.
        logits_q: Q, the student.
        beta: mixture weight in [0, 1]; may be traced.

    Raises:
        UserError: a Python number outside [0, 1].

    Source: GKD, arXiv 2306.13649, eq. 1.
    """
    return beta * (1 - beta) * normalised_jsd(logits_p, logits_q, beta)


def normalised_jsd(
    logits_p: Float[Array, "*B A"], logits_q: Float[Array, "*B A"], beta: float | Float[Array, ""]
) -> Float[Array, "*B"]:
    """JSD(β) / (β(1−β)) = KL(P‖M)/(1−β) + KL(Q‖M)/β with M = βP + (1−β)Q, continuous on the closed interval.

    It equals KL(P‖Q) at β = 0 and KL(Q‖P) at β = 1, without a jump and without dividing a rounding error by
    β, so β sweeps from forward to reverse KL at one scale.

    Args:
        logits_p: P, the teacher.
        logits_q: Q, the student.
        beta: mixture weight in [0, 1]; may be traced.

    Raises:
        UserError: a Python number outside [0, 1].

    Differs from the paper: arXiv 2306.13649 trains with `jsd`, which vanishes at both ends.
    """
    _check_unit_interval("beta", beta)
    log_p, log_q = log_probs(logits_p), log_probs(logits_q)
    return _mixture_kl_rate(log_p, log_q, 1 - beta) + _mixture_kl_rate(log_q, log_p, beta)


def skew_kl(
    logits_p: Float[Array, "*B A"], logits_q: Float[Array, "*B A"], alpha: float | Float[Array, ""]
) -> Float[Array, "*B"]:
    """Skew divergence KL(P ‖ αP + (1−α)Q): forward KL at α = 0, nothing at α = 1, finite for α > 0.

    Args:
        logits_p: P, the teacher; exchange the arguments for the skew reverse KL.
        logits_q: Q, the student.
        alpha: share of P in the mixture, in [0, 1]; may be traced.

    Raises:
        UserError: a Python number outside [0, 1].

    Source: DistiLLM, arXiv 2402.03898, section 3.1.
    """
    _check_unit_interval("alpha", alpha)
    return (1 - alpha) * _mixture_kl_rate(log_probs(logits_p), log_probs(logits_q), 1 - alpha)


def _mixture_kl_rate(
    log_p: Float[Array, "*B A"], log_q: Float[Array, "*B A"], weight: float | Float[Array, ""]
) -> Float[Array, "*B"]:
    """KL(P ‖ (1−w)P + wQ) / w, which tends to 0 as w → 0 and is KL(P‖Q) at w = 1.

    With d = log q − log p it is −Σ_a p(a) log(1 + w(e^d − 1)) / w. For small w the logarithm goes through
    log1p, whose relative accuracy survives the division by w; for w ≥ ½ or a large d it is a log-sum-exp,
    which cannot overflow and does not lose e^d when it is tiny.
    """
    weight = jnp.asarray(weight, log_p.dtype)
    safe_weight = jnp.where(weight > 0, weight, 1.0)
    p = jnp.exp(log_p)
    log_ratio = jnp.where(p > 0, log_q - log_p, 0.0)
    near = (weight < 0.5) & (log_ratio < _LARGE_LOG_RATIO)
    # Double `where`: the branch not taken must have finite gradients as well.
    by_log1p = jnp.log1p(jnp.minimum(weight, 0.5) * jnp.expm1(jnp.where(near, log_ratio, 0.0)))
    by_log_sum = jnp.logaddexp(jnp.log1p(-weight), jnp.log(safe_weight) + jnp.where(near, 0.0, log_ratio))
    log_mixture_ratio = jnp.where(near, by_log1p, by_log_sum)
    rate = -jnp.sum(p * jnp.where(p > 0, log_mixture_ratio, 0.0), axis=-1) / safe_weight
    return jnp.where(weight > 0, rate, 0.0)


def _check_unit_interval(name: str, value: float | Float[Array, ""]) -> None:
    if isinstance(value, int | float) and not 0 <= value <= 1:
        raise UserError(
            "field", f"{name} is {value}, outside [0, 1]", f"give a mixture weight {name} from 0 to 1"
        )
