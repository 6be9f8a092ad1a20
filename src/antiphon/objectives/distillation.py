"""What a student is pulled towards: the teacher's distribution over the next token, on given prefixes.

Source: GKD, arXiv 2306.13649, section 3. P is the teacher, Q the student throughout; no gradient flows into
the teacher.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Shaped

from antiphon.core import divergences
from antiphon.core.errors import UserError

Kind = Literal["forward_kl", "reverse_kl", "jsd", "normalised_jsd", "total_variation", "skew_kl"]
Reduction = Literal["sequence", "token"]

_KINDS = ("forward_kl", "reverse_kl", "jsd", "normalised_jsd", "total_variation", "skew_kl")


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class TokenDivergence:
    """How far the student's next token is from the teacher's, in nats.

    Attributes:
        kind: ``"forward_kl"`` KL(P‖Q); ``"reverse_kl"`` KL(Q‖P); ``"jsd"`` the paper's generalised
            Jensen–Shannon divergence (eq. 1), which vanishes at β = 0 and 1; ``"normalised_jsd"`` the same
            over β(1 − β), which goes from forward to reverse KL without a jump; ``"total_variation"``;
            ``"skew_kl"`` KL(P‖βP + (1 − β)Q).
        beta: weight in [0, 1] of the kinds that have one; the others ignore it.
        temperature: of both distributions in the loss, > 0. Sampling has its own.

    Raises:
        UserError: a kind that does not exist, or a number out of range.
    """

    kind: Kind = field(default="forward_kl", metadata={"static": True})
    beta: float | Float[Array, ""] = 0.5
    temperature: float | Float[Array, ""] = 1.0

    def __post_init__(self) -> None:
        if self.kind not in _KINDS:
            raise UserError(
                "field", f"there is no divergence {self.kind!r}", f"choose one of: {', '.join(_KINDS)}"
            )
        if isinstance(self.beta, int | float) and not 0 <= self.beta <= 1:
            raise UserError("field", f"beta is {self.beta}, outside [0, 1]", "give a weight from 0 to 1")
        if isinstance(self.temperature, int | float) and self.temperature <= 0:
            raise UserError("field", f"temperature is {self.temperature}", "give a temperature > 0")

    def __call__(self, teacher: Float[Array, "*B V"], student: Float[Array, "*B V"]) -> Float[Array, "*B"]:
        """Divergence of two sets of logits, over the last axis, accumulated in float32."""
        teacher = jax.lax.stop_gradient(teacher).astype(jnp.float32) / self.temperature
        student = student.astype(jnp.float32) / self.temperature
        match self.kind:
            case "forward_kl":
                return divergences.forward_kl(teacher, student)
            case "reverse_kl":
                return divergences.reverse_kl(teacher, student)
            case "jsd":
                return divergences.jsd(teacher, student, self.beta)
            case "normalised_jsd":
                return divergences.normalised_jsd(teacher, student, self.beta)
            case "total_variation":
                return divergences.total_variation(teacher, student)
            case "skew_kl":
                return divergences.skew_kl(teacher, student, self.beta)


def reduce_tokens(
    per_token: Float[Array, "B T"], mask: Shaped[Array, "B T"], reduction: Reduction = "sequence"
) -> Float[Array, ""]:
    """One number from a divergence at every token.

    ``"sequence"`` is the paper's: the mean over a completion's own length, D(y|x) = (1/L_y) Σ_n D_n, then
    over completions. ``"token"`` weighs every token alike, so that long completions count for more.
    Completions without a token that counts are left out.

    Args:
        per_token: values.
        mask: 1 on tokens that count.
        reduction: which of the two.
    """
    return jnp.sum(jnp.where(mask > 0, per_token * token_weights(mask, reduction), 0.0))


def token_weights(mask: Shaped[Array, "B T"], reduction: Reduction = "sequence") -> Float[Array, "B T"]:
    """What each token counts in :func:`reduce_tokens`; they sum to one. A batch may so be summed in pieces.

    Args:
        mask: 1 on tokens that count.
        reduction: as there.
    """
    counts = (mask > 0).astype(jnp.float32)
    length = jnp.sum(counts, axis=1, keepdims=True)
    if reduction == "token":
        return counts / jnp.maximum(jnp.sum(length), 1)
    return counts / jnp.maximum(length, 1) / jnp.maximum(jnp.sum(length > 0), 1)


def with_tail(log_p: Float[Array, "*B V"], kept: Int[Array, "*B k"]) -> Float[Array, "*B k1"]:
    """Log-probabilities of ``k`` outcomes and of all others together, ``k + 1`` classes that sum to one.

    A divergence of two such distributions is a lower bound of the whole one (data processing), and never
    negative, as the truncated sum over the k outcomes alone can be.
    """
    chosen = jnp.take_along_axis(log_p, kept, axis=-1)
    mass = jnp.sum(jnp.exp(chosen), axis=-1, keepdims=True)
    # 1 − mass in float32 has no digits left near zero: floored where they end.
    tail = jnp.log(jnp.maximum(1.0 - mass, jnp.finfo(log_p.dtype).eps))
    return jnp.concatenate([chosen, tail], axis=-1)


def top_k_divergence(
    divergence: TokenDivergence, teacher: Float[Array, "*B V"], student: Float[Array, "*B V"], k: int
) -> Float[Array, "*B"]:
    """A divergence over the teacher's ``k`` likeliest tokens and one bucket for the rest.

    The temperature is applied to the whole vocabulary first.
    """
    log_p, log_q = (divergences.log_probs(logits / divergence.temperature) for logits in (teacher, student))
    kept = jax.lax.top_k(jax.lax.stop_gradient(log_p), k)[1]
    at_one = TokenDivergence(divergence.kind, divergence.beta)
    return at_one(with_tail(log_p, kept), with_tail(log_q, kept))


def in_chunks(
    function: Callable[[Float[Array, "n d"], Float[Array, "n e"]], Float[Array, " n"]],
    teacher: Float[Array, "B T d"],
    student: Float[Array, "B T e"],
    size: int,
) -> Float[Array, "B T"]:
    """A function of hidden states, ``size`` tokens at a time, computed again in the backward pass.

    With a head inside ``function`` no array over batch, time and vocabulary ever exists, of either model.

    Args:
        function: ``(teacher states, student states) -> [n]`` for ``n = size`` tokens.
        teacher: hidden states.
        student: hidden states.
        size: tokens at a time; the last piece is padded with zeros.
    """
    batch, time = student.shape[:2]
    count = batch * time
    pieces = -(-count // size)

    def cut(states: Float[Array, "B T d"]) -> Float[Array, "pieces size d"]:
        flat = states.reshape(count, states.shape[-1])
        padded = jnp.pad(flat, ((0, pieces * size - count), (0, 0)))
        return padded.reshape(pieces, size, states.shape[-1])

    once = jax.checkpoint(lambda pair: function(*pair))
    return jax.lax.map(once, (cut(teacher), cut(student))).reshape(-1)[:count].reshape(batch, time)
