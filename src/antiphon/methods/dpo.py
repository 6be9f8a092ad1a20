"""A policy from given pairs of answers, without a judge: DPO and IPO.

    h(y, y') = log π(y|x)/μ(y|x) − log π(y'|x)/μ(y'|x)
    DPO:  −E[log σ(τ h(y⁺, y⁻))]              IPO:  E[(h(y⁺, y⁻) − 1/(2τ))²]

Of pairs that cover everything DPO's policy is that of RLHF with the Bradley–Terry reward, μ exp(r/τ), and
IPO's climbs the preference itself against those who wrote the pairs, μ exp(P(y ≻ ρ)/τ). Where preferences are
certain DPO drives their log-odds, and with them the policy, without bound; IPO does not.

Source: DPO, arXiv 2305.18290, eq. 7; IPO, arXiv 2310.12036, eq. 17 and algorithm 1.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree, Shaped

from antiphon.core import trees
from antiphon.core.errors import UserError
from antiphon.feedback.pairs import Pairs
from antiphon.methods.comparison_fitting import agreement
from antiphon.methods.microbatches import mean_over_microbatches
from antiphon.methods.optimisers import warm_and_cool
from antiphon.methods.trained_part import for_trained_part
from antiphon.nets.sequence_model import Context, SequenceModel
from antiphon.objectives.preferences import dpo_loss, ipo_loss, log_ratios

Chosen = Callable[[Context, Int[Array, "B T"]], Shaped[Array, "B T"]]
"""``(context, tokens) -> [B, T]``: 1 on the tokens of a completion (its end included), 0 on the rest."""


class DPOState(NamedTuple):
    """What a step changes, and the reference."""

    params: PyTree
    anchor: PyTree
    optimiser: optax.OptState


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class DPO:
    """The method. Floats are leaves of its pytree, so a sweep over them is a ``vmap``.

    Attributes:
        model: the policy.
        loss: ``"dpo"`` or ``"ipo"``.
        tau: strength of the pull towards the reference: β of the one paper, τ of the other. Log-odds are
            about four times as steep as probabilities, so DPO's is the larger for the same divergence.
        learning_rate: peak of AdamW with warm-up and cosine.
        steps: length of the schedule.
        warmup: steps of linear warm-up, at most a tenth of ``steps``.
        weight_decay: on matrices.
        clip: bound on the gradient's norm.
        microbatch: pairs per gradient pass at most.
        chosen: which tokens belong to a completion; None for completions of one length.

    Raises:
        UserError: a loss that does not exist, or a number out of range.
    """

    model: SequenceModel = field(metadata={"static": True})
    loss: Literal["dpo", "ipo"] = field(default="dpo", metadata={"static": True})
    tau: float | Float[Array, ""] = 0.1
    learning_rate: float | Float[Array, ""] = 5e-5
    steps: int = field(default=1000, metadata={"static": True})
    warmup: int = field(default=50, metadata={"static": True})
    weight_decay: float = 0.0
    clip: float = 1.0
    microbatch: int = field(default=16, metadata={"static": True})
    chosen: Chosen | None = field(default=None, metadata={"static": True})

    def __post_init__(self) -> None:
        if self.loss not in ("dpo", "ipo"):
            raise UserError("config", f"there is no loss {self.loss!r}", "choose dpo or ipo")
        if isinstance(self.tau, int | float) and self.tau <= 0:
            raise UserError("config", f"tau is {self.tau}", "give a pull above 0")
        for name in ("steps", "microbatch"):
            if getattr(self, name) < 1:
                raise UserError("config", f"{name} is {getattr(self, name)}", "give at least 1")

    def optimiser(self) -> optax.GradientTransformation:
        """Of what learns."""
        adam = warm_and_cool(self.learning_rate, self.steps, self.warmup, self.weight_decay, self.clip)
        return for_trained_part(self.model, adam)

    def init(self, params: PyTree, anchor: PyTree = None) -> DPOState:
        """Start from ``params``, which is also the reference unless one is given."""
        own = jax.tree.map(jnp.array, params if anchor is None else anchor)  # so that a state can be donated
        return DPOState(params, own, self.optimiser().init(params))

    def step(
        self, state: DPOState, pairs: Pairs, key: PRNGKeyArray
    ) -> tuple[DPOState, dict[str, Float[Array, ""]]]:
        """One update.

        Metrics: ``loss``; ``accuracy``, how often the log-ratios order a pair as it was; ``margin``, mean h
        of the preferred over the other; ``log_ratio``, mean over all answers, which falls where a policy
        drifts off what the pairs show; ``gradient_norm`` (before clipping).
        """
        del key
        gradient, metrics = self.gradient(state, pairs)
        updates, optimiser = self.optimiser().update(gradient, state.optimiser, state.params)
        metrics |= {"gradient_norm": trees.norm(gradient)}
        return DPOState(optax.apply_updates(state.params, updates), state.anchor, optimiser), metrics

    def gradient(self, state: DPOState, pairs: Pairs) -> tuple[PyTree, dict[str, Float[Array, ""]]]:
        """Gradient of the loss of one batch, and the metrics of :meth:`step`."""
        count = pairs.preferred.shape[0]
        pieces = next(n for n in range(1, count + 1) if count % n == 0 and count // n <= self.microbatch)
        return mean_over_microbatches(functools.partial(self._piece, state), pairs, pieces)

    def _piece(self, state: DPOState, pairs: Pairs) -> tuple[PyTree, dict[str, Float[Array, ""]]]:
        def loss_of(params: PyTree) -> tuple[Array, dict[str, Array]]:
            first, second = (
                self._log_ratios(params, state.anchor, pairs.context, tokens)
                for tokens in (pairs.first, pairs.second)
            )
            of = dpo_loss if self.loss == "dpo" else ipo_loss
            margin = (first - second) * jnp.sign(pairs.preferred - 0.5)
            metrics = {
                "accuracy": agreement(first - second, pairs.preferred),
                "margin": jnp.mean(margin),
                "log_ratio": 0.5 * jnp.mean(first + second),
            }
            loss = of(first, second, pairs.preferred, self.tau)
            return loss, {"loss": loss} | jax.lax.stop_gradient(metrics)

        (_, metrics), gradient = jax.value_and_grad(loss_of, has_aux=True)(state.params)
        return gradient, metrics

    def _log_ratios(
        self, params: PyTree, anchor: PyTree, context: Context, tokens: Int[Array, "B T"]
    ) -> Float[Array, " B"]:
        mask = jnp.ones(tokens.shape) if self.chosen is None else self.chosen(context, tokens)
        own, other = (self.model.logits(weights, tokens, context) for weights in (params, anchor))
        return log_ratios(own, other, tokens, mask)
