"""Returns and advantages, all on one affine recurrence.

Time is in the names, as in rlax: at step t the policy is in state t−1 with value ``v_tm1``, acts, and
receives ``r_t``, ``discount_t`` (= γ·(1 − terminated)) and a state with value ``v_t``. Every array is [T,
*B], time first. Where ``cut_t`` is 1, and always at the last step, an estimate bootstraps from ``v_t`` and
takes nothing from later steps. Nothing here stops gradients; objectives do.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from antiphon.core.errors import UserError
from antiphon.credit.recurrence import Backend, reverse_affine

Scalar = float | Float[Array, ""]


class VTrace(NamedTuple):
    """V-trace estimates.

    Attributes:
        targets: value targets v_s, [T, *B].
        advantages: policy-gradient advantages ρ_s (r_s + γ v_{s+1} − V(x_s)), [T, *B].
    """

    targets: Float[Array, "T *B"]
    advantages: Float[Array, "T *B"]


def discounted_returns(
    r_t: Float[Array, "T *B"],
    discount_t: Float[Array, "T *B"],
    v_t: Float[Array, "T *B"] | None = None,
    cut_t: Float[Array, "T *B"] | None = None,
    backend: Backend = "auto",
) -> Float[Array, "T *B"]:
    """Discounted return G_t = r_t + γ_t G_{t+1}, bootstrapped from v_t at cuts and at the end.

    Without ``v_t`` the unseen future counts as nothing.
    """
    v_t = jnp.zeros_like(r_t) if v_t is None else v_t
    return lambda_returns(r_t, discount_t, v_t, 1.0, cut_t, backend)


def lambda_returns(
    r_t: Float[Array, "T *B"],
    discount_t: Float[Array, "T *B"],
    v_t: Float[Array, "T *B"],
    lambda_: Scalar,
    cut_t: Float[Array, "T *B"] | None = None,
    backend: Backend = "auto",
) -> Float[Array, "T *B"]:
    """λ-return G_t = r_t + γ_t [(1 − λ) v_t + λ G_{t+1}]; one step at λ = 0, the whole return at λ = 1.

    Source: Sutton and Barto 2018, section 12.1.
    """
    trace_t = lambda_ * _passes(r_t, cut_t)
    return reverse_affine(discount_t * trace_t, r_t + discount_t * (1.0 - trace_t) * v_t, backend=backend)


def n_step_returns(
    r_t: Float[Array, "T *B"],
    discount_t: Float[Array, "T *B"],
    v_t: Float[Array, "T *B"],
    n: int,
    cut_t: Float[Array, "T *B"] | None = None,
) -> Float[Array, "T *B"]:
    """n-step return r_t + γ_t r_{t+1} + … + γ_t⋯γ_{t+n−1} v_{t+n−1}, shorter at a cut or at the end.

    Raises:
        UserError: n < 1.

    Source: Sutton and Barto 2018, eq. 7.1.
    """
    if n < 1:
        raise UserError("field", f"n is {n}", "give a number of steps n >= 1")
    passes_t = _passes(r_t, cut_t)

    def longer_by_one(shorter_t: Array, _: None) -> tuple[Array, None]:
        following_t = jnp.concatenate([shorter_t[1:], v_t[-1:]])
        return r_t + discount_t * jnp.where(passes_t > 0, following_t, v_t), None

    return jax.lax.scan(longer_by_one, r_t + discount_t * v_t, None, length=min(n, r_t.shape[0]) - 1)[0]


def gae(
    r_t: Float[Array, "T *B"],
    discount_t: Float[Array, "T *B"],
    v_tm1: Float[Array, "T *B"],
    v_t: Float[Array, "T *B"],
    lambda_: Scalar,
    cut_t: Float[Array, "T *B"] | None = None,
    backend: Backend = "auto",
) -> Float[Array, "T *B"]:
    """Generalised advantage A_t = δ_t + γ_t λ A_{t+1}, with δ_t = r_t + γ_t v_t − v_tm1.

    Source: arXiv 1506.02438, eq. 16.
    """
    delta_t = r_t + discount_t * v_t - v_tm1
    return reverse_affine(discount_t * lambda_ * _passes(r_t, cut_t), delta_t, backend=backend)


def vtrace(
    r_t: Float[Array, "T *B"],
    discount_t: Float[Array, "T *B"],
    v_tm1: Float[Array, "T *B"],
    v_t: Float[Array, "T *B"],
    rho_tm1: Float[Array, "T *B"],
    lambda_: Scalar = 1.0,
    clip_rho: Scalar = 1.0,
    clip_c: Scalar = 1.0,
    clip_advantage_rho: Scalar = 1.0,
    cut_t: Float[Array, "T *B"] | None = None,
    backend: Backend = "auto",
) -> VTrace:
    """Off-policy value targets and advantages with truncated importance ratios.

    With ρ_t = min(ρ̄, π/μ) and c_t = λ min(c̄, π/μ) the target is v_tm1 + e_t, where
    e_t = ρ_t (r_t + γ_t v_t − v_tm1) + γ_t c_t e_{t+1}; the advantage is ρ_t (r_t + γ_t (v_t + e_{t+1}) −
    v_tm1).

    Args:
        r_t: rewards.
        discount_t: γ·(1 − terminated).
        v_tm1: values of the states acted in.
        v_t: values of the states that followed.
        rho_tm1: importance ratios π(a)/μ(a) of the actions taken.
        lambda_: extra decay of the trace, in [0, 1].
        clip_rho: ρ̄, which decides whose value is learned.
        clip_c: c̄, which decides how far corrections reach.
        clip_advantage_rho: ρ̄ of the advantage.
        cut_t: 1 where nothing later may flow back.
        backend: of the recurrence.

    Source: IMPALA, arXiv 1802.01561, eq. 1 and section 4.2.
    """
    passes_t = _passes(r_t, cut_t)
    delta_t = jnp.minimum(clip_rho, rho_tm1) * (r_t + discount_t * v_t - v_tm1)
    trace_t = discount_t * lambda_ * jnp.minimum(clip_c, rho_tm1) * passes_t
    errors_t = reverse_affine(trace_t, delta_t, backend=backend)
    following_t = v_t + passes_t * jnp.concatenate([errors_t[1:], jnp.zeros_like(errors_t[:1])])
    advantages_t = jnp.minimum(clip_advantage_rho, rho_tm1) * (r_t + discount_t * following_t - v_tm1)
    return VTrace(v_tm1 + errors_t, advantages_t)


def _passes(r_t: Float[Array, "T *B"], cut_t: Float[Array, "T *B"] | None) -> Float[Array, "T *B"]:
    """1 where an estimate may use the next step: not at a cut, never at the last step."""
    passes_t = jnp.ones_like(r_t) if cut_t is None else 1.0 - cut_t
    return jnp.asarray(passes_t).at[-1].set(0.0)
