"""KL-regularised REINFORCE on sequences of tokens, as MusicRL trains (arXiv 2402.04229).

The objective, with s_t the prompt and the tokens before t, and π₀ the anchor:

    J = (1 − α) E_π[R] − α E_π[Σ_t KL_t],    KL_t = KL(π(·|s_t) ‖ π₀(·|s_t))

where E_π[Σ_t KL_t] is the KL divergence of whole sequences. θ enters the second term twice: through the
distributions at the visited states, and through which states are visited. Both appear in the true gradient:

    ∇ E_π[Σ_t KL_t] = E_π[ Σ_t ∇KL_t + Σ_t ∇log π(a_t|s_t) Σ_{k>t} KL_k ]

Arrays are batch first, [B, T] and [B, T, V]. `mask` is 1 on the steps the policy chose (the end token
included) and 0 on prompt and padding. Logits are those sampled from: divide by the sampling temperature
first, anchor and policy alike.
"""

from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Shaped

from antiphon.core import divergences
from antiphon.core.errors import UserError
from antiphon.core.indexing import pick
from antiphon.core.simplex import entropy

KLCredit = Literal["full", "pathwise"]


def exact_kl_per_step(
    logits: Float[Array, "*B V"], logits_anchor: Float[Array, "*B V"]
) -> Float[Array, "*B"]:
    """KL_t over the whole vocabulary, Σ_a π(a|s_t) log(π(a|s_t) / π₀(a|s_t)), in nats.

    Differs from the paper: its printed formula sums the log-ratio over actions without the weight π(a|s_t),
    which is not a divergence; the weight is restored here.
    """
    return divergences.forward_kl(logits, logits_anchor)


def sampled_kl_per_step(
    log_prob: Float[Array, "*B"], log_prob_anchor: Float[Array, "*B"]
) -> Float[Array, "*B"]:
    """Estimate of KL_t from the token taken, log π(a_t|s_t) − log π₀(a_t|s_t): unbiased, of either sign.

    Use it as credit or to report. Its derivative is not an estimate of ∇KL_t (its expectation is zero).
    """
    return log_prob - log_prob_anchor


def low_variance_kl_per_step(
    log_prob: Float[Array, "*B"], log_prob_anchor: Float[Array, "*B"]
) -> Float[Array, "*B"]:
    """Estimate of KL_t from the token taken, e^r − 1 − r, r = log π₀ − log π: unbiased, never negative.

    Unbiased where π₀ excludes nothing that π allows and the reverse. Use it as credit or to report; the
    expectation of its derivative is ∇KL(π₀‖π), not ∇KL(π‖π₀).

    Source: Schulman 2020, "Approximating KL divergence" (k3).
    """
    log_ratio = log_prob_anchor - log_prob
    return jnp.expm1(log_ratio) - log_ratio


def kl_to_go(kl: Float[Array, "B T"], mask: Shaped[Array, "B T"]) -> Float[Array, "B T"]:
    """KL still to come after the action of each step, Σ_{k>t} KL_k over steps that count."""
    kl = jnp.where(mask > 0, kl, 0.0)
    return jnp.cumsum(kl[:, ::-1], axis=1)[:, ::-1] - kl


def reinforce_kl_loss(
    logits: Float[Array, "B T V"],
    logits_anchor: Float[Array, "B T V"],
    actions: Int[Array, "B T"],
    advantage: Float[Array, "B T"],
    alpha: float | Float[Array, ""],
    mask: Shaped[Array, "B T"],
    kl_credit: KLCredit = "full",
    kl_baseline: Float[Array, "B T"] | None = None,
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """Loss whose gradient, on actions sampled from the policy itself, estimates −∇J.

    −(1/B) Σ_b Σ_t mask [ log π(a_t|s_t) · credit_t − α KL_t ], with credit_t = (1 − α) advantage_t and, for
    ``kl_credit="full"``, − α (Σ_{k>t} KL_k − kl_baseline_t). No gradient flows through credit or the anchor.

    Args:
        logits: of the policy at every step.
        logits_anchor: of the anchor at the same steps.
        actions: tokens taken, sampled from `logits`.
        advantage: return to go (`reward_to_go`), less any baseline that does not depend on a_t.
        alpha: weight of the KL against the reward, in [0, 1]; may be traced.
        mask: 1 on steps the policy chose.
        kl_credit: "full" is unbiased for ∇J. "pathwise" leaves out the second KL term, as the paper prints
            it: the expected gradient is that of (1 − α) E_π[R] − α Σ_t E_{s_t ~ π̄}[KL_t] with π̄ the current
            policy held fixed, so an action is not blamed for leading to states where policy and anchor
            differ.
        kl_baseline: prediction of the KL to come that does not depend on a_t, for less variance; "full" only.

    Returns:
        The loss, and metrics: ``kl`` (nats per sequence), ``entropy`` (nats per step) and ``log_prob`` (of
        the tokens taken, per step).

    Raises:
        UserError: alpha a Python number outside [0, 1], kl_credit of another name, or kl_baseline with
            "pathwise".

    Source: MusicRL, arXiv 2402.04229, the fine-tuning objective.
    Differs from the paper: the weight π(a|s_t) inside the KL, and "full" credit by default.
    """
    if isinstance(alpha, int | float) and not 0 <= alpha <= 1:
        raise UserError("field", f"alpha is {alpha}, outside [0, 1]", "give a KL weight from 0 to 1")
    if kl_credit not in ("full", "pathwise"):
        raise UserError("field", f"kl_credit is {kl_credit!r}", 'choose "full" or "pathwise"')
    if kl_credit == "pathwise" and kl_baseline is not None:
        raise UserError(
            "field", "kl_baseline has no use with pathwise KL credit", 'leave it out or choose "full"'
        )

    chosen = mask > 0
    # Replaced before use: zeroing the losses afterwards would leave 0 · NaN from padding in the gradient.
    logits = jnp.where(chosen[..., None], logits, 0.0)
    logits_anchor = jax.lax.stop_gradient(jnp.where(chosen[..., None], logits_anchor, 0.0))
    log_prob = pick(divergences.log_probs(logits), actions)
    log_prob = jnp.where(chosen, log_prob, 0.0)
    kl = jnp.where(chosen, exact_kl_per_step(logits, logits_anchor), 0.0)

    credit = (1 - alpha) * jnp.where(chosen, advantage, 0.0)
    if kl_credit == "full":
        expected = 0.0 if kl_baseline is None else jnp.where(chosen, kl_baseline, 0.0)
        credit = credit - alpha * (kl_to_go(kl, mask) - expected)
    objective = jnp.mean(jnp.sum(log_prob * jax.lax.stop_gradient(credit) - alpha * kl, axis=1))

    steps = jnp.maximum(jnp.sum(chosen), 1)
    metrics = {
        "kl": jnp.mean(jnp.sum(kl, axis=1)),
        "entropy": jnp.sum(jnp.where(chosen, entropy(logits), 0.0)) / steps,
        "log_prob": jnp.sum(log_prob) / steps,
    }
    return -objective, jax.lax.stop_gradient(metrics)


def leave_one_out(rewards: Float[Array, "N G"]) -> Float[Array, "N G"]:
    """Advantage of each of G completions over the mean of the others, r_i − (1/(G−1)) Σ_{j≠i} r_j.

    The baseline does not depend on completion i, so the gradient stays unbiased; each row sums to zero.

    Raises:
        UserError: fewer than two completions per prompt.

    Source: Kool et al. 2019, "Buy 4 REINFORCE samples, get a baseline for free!"; arXiv 2402.14740 for
    language models.
    """
    group = rewards.shape[-1]
    if group < 2:
        raise UserError(
            "field", f"{group} completion per prompt", "sample at least two completions of each prompt"
        )
    return (rewards - jnp.mean(rewards, axis=-1, keepdims=True)) * (group / (group - 1))


def reward_to_go(
    terminal_reward: Float[Array, "B"], mask: Shaped[Array, "B T"], discount: float | Float[Array, ""] = 1.0
) -> Float[Array, "B T"]:
    """Return of every step of a completion paid once, after its last step: γ^(steps to come) · reward.

    Args:
        terminal_reward: reward of each whole completion.
        mask: 1 on steps the policy chose; steps with 0 get 0 and do not count as steps to come.
        discount: γ per step that counts; MusicRL has none.
    """
    chosen = (mask > 0).astype(terminal_reward.dtype)
    to_come = jnp.cumsum(chosen[:, ::-1], axis=1)[:, ::-1] - chosen
    return chosen * terminal_reward[:, None] * jnp.asarray(discount, terminal_reward.dtype) ** to_come


def value_loss(
    values: Float[Array, "B T"], targets: Float[Array, "B T"], mask: Shaped[Array, "B T"]
) -> Float[Array, ""]:
    """Mean squared error of a value network, over steps that count; no gradient flows into the targets.

    Differs from the paper: arXiv 2402.04229 sums over the steps of a completion; the mean keeps one learning
    rate for completions of any length.
    """
    chosen = mask > 0
    error = jnp.where(chosen, values - jax.lax.stop_gradient(targets), 0.0)
    return jnp.sum(error**2) / jnp.maximum(jnp.sum(chosen), 1)
