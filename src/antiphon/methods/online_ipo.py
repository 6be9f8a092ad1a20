"""Both answers from the policy itself, compared by a preference: online IPO, and IPO-MD.

    E_{y, y' ~ sg[π^β]} [ (log π(y|x)/μ(y|x) − log π(y'|x)/μ(y'|x) − (P(y ≻ y'|x) − ½) / τ)² ]

π^β ∝ π^{1−β} μ^β token by token. β = 0 is online IPO, whose gradient is 4/τ times that of self-play
(:class:`~antiphon.methods.nash_md.NashMD` with β = 0) and which stands still at the regularised Nash
equilibrium; β > 0 is IPO-MD, β = 1 IPO on the reference's own pairs. No gradient flows through sampling.

Source: arXiv 2403.08635, sections 4 and 5.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree, Shaped

from antiphon.core import trees
from antiphon.core.errors import UserError
from antiphon.feedback.preference import Preference
from antiphon.methods.microbatches import mean_over_microbatches
from antiphon.methods.nash_md import MixtureModel
from antiphon.methods.optimisers import warm
from antiphon.methods.trained_part import for_trained_part
from antiphon.nets.sequence_model import Context
from antiphon.objectives.policy_gradient import exact_kl_per_step
from antiphon.objectives.preferences import log_ratios

Chosen = Callable[[Context, Int[Array, "B T"]], Shaped[Array, "B T"]]
"""``(context, tokens) -> [B, T]``: 1 on tokens the policy chose (the end token included), 0 on the rest."""


class OnlineIPOState(NamedTuple):
    """What a step changes, and what it needs.

    Attributes:
        params: of the policy.
        anchor: of the reference μ.
        preference_params: what the judge needs; never trained here.
        optimiser: of the policy.
    """

    params: PyTree
    anchor: PyTree
    preference_params: PyTree
    optimiser: optax.OptState


class Bout(NamedTuple):
    """Completions of M prompts, those of one together, and how they fared against one another.

    Attributes:
        tokens: ``[M, G, T]``.
        context: leaves ``[M, G, …]``.
        mask: 1 on tokens that were chosen, ``[M, G, T]``.
        won: P of row over column, ``[M, G, G]``.
    """

    tokens: Array
    context: Context
    mask: Array
    won: Array


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class OnlineIPO:
    """The method. Floats are leaves of its pytree, so a sweep over them is a ``vmap``.

    Attributes:
        model: the policy.
        preference: who is preferred.
        tau: strength of the pull towards the reference, in units of preference probability, > 0.
        beta: share of the reference in what is sampled, in [0, 1].
        learning_rate: of Adam, after ten steps of warm-up.
        group: completions per prompt, G; all of their pairs count.
        microbatch: completions per gradient pass at most (but whole groups).
        temperature: of all sampling; policy, reference and mixture are the tempered ones.
        clip: bound on the gradient's norm.
        chosen: which tokens the policy chose; None for completions of one length.

    Raises:
        UserError: a number out of range.
    """

    model: MixtureModel = field(metadata={"static": True})
    preference: Preference = field(metadata={"static": True})
    tau: float | Float[Array, ""] = 0.02
    beta: float | Float[Array, ""] = 0.0
    learning_rate: float | Float[Array, ""] = 5e-5
    group: int = field(default=2, metadata={"static": True})
    microbatch: int = field(default=16, metadata={"static": True})
    temperature: float = 1.0
    clip: float | Float[Array, ""] = 1.0
    chosen: Chosen | None = field(default=None, metadata={"static": True})

    def __post_init__(self) -> None:
        if isinstance(self.tau, int | float) and self.tau <= 0:
            raise UserError("config", f"tau is {self.tau}", "give a pull above 0")
        if isinstance(self.beta, int | float) and not 0 <= self.beta <= 1:
            raise UserError("config", f"beta is {self.beta}, outside [0, 1]", "give a share from 0 to 1")
        if self.group < 2 or self.microbatch < 1:
            raise UserError(
                "config", f"group={self.group} and microbatch={self.microbatch}",
                "give at least two completions of a prompt, and one at a time",
            )  # fmt: skip

    def optimiser(self) -> optax.GradientTransformation:
        """Adam behind a norm clip, ten steps of warm-up."""
        return for_trained_part(self.model, warm(self.learning_rate, self.clip))

    def init(self, params: PyTree, preference_params: PyTree = (), anchor: PyTree = None) -> OnlineIPOState:
        """Start from ``params``, which is also the reference unless one is given."""
        own = jax.tree.map(jnp.array, params if anchor is None else anchor)  # so that a state can be donated
        return OnlineIPOState(params, own, preference_params, self.optimiser().init(params))

    def step(
        self, state: OnlineIPOState, context: Context, key: PRNGKeyArray
    ) -> tuple[OnlineIPOState, dict[str, Float[Array, ""]]]:
        """Let completions of M prompts compete among themselves, and take one step.

        Metrics: ``loss``; ``kl`` to the reference, nats per completion that was sampled; ``decided``, mean
        |P − ½| of the pairs; ``length``, tokens of a completion; ``gradient_norm`` (before clipping).
        """
        bout = self.bout(state, context, key)
        gradient, metrics = self.gradient(state, bout)
        updates, optimiser = self.optimiser().update(gradient, state.optimiser, state.params)
        metrics |= {"gradient_norm": trees.norm(gradient), "length": jnp.mean(jnp.sum(bout.mask, axis=-1))}
        return state._replace(params=optax.apply_updates(state.params, updates), optimiser=optimiser), metrics

    def bout(self, state: OnlineIPOState, context: Context, key: PRNGKeyArray) -> Bout:
        """``group`` completions of each prompt, and who is preferred among them."""
        count = self.group
        wide = jax.tree.map(lambda leaf: jnp.repeat(leaf, count, axis=0), context)
        drawn = self.model.sample_mixture(
            state.params, state.anchor, key, wide, share=self.beta, temperature=self.temperature
        )
        rows = drawn.shape[0]
        mask = jnp.ones(drawn.shape) if self.chosen is None else self.chosen(wide, drawn)
        place, other = (jnp.asarray(side) for side in jnp.triu_indices(count, 1))

        def of_each(leaf: Array, chosen: Array) -> Array:
            return leaf.reshape(rows // count, count, *leaf.shape[1:])[:, chosen].reshape(-1, *leaf.shape[1:])

        asked = jax.tree.map(lambda leaf: of_each(leaf, place), wide)
        upper = self.preference(state.preference_params, asked, of_each(drawn, place), of_each(drawn, other))
        upper = upper.reshape(-1, place.shape[0])
        half = jnp.full((rows // count, count, count), 0.5)
        won = half.at[:, place, other].set(upper).at[:, other, place].set(1.0 - upper)

        def together(part: PyTree) -> PyTree:
            return jax.tree.map(lambda leaf: leaf.reshape(-1, count, *leaf.shape[1:]), part)

        return Bout(together(drawn), together(wide), together(mask), won)

    def gradient(self, state: OnlineIPOState, bout: Bout) -> tuple[PyTree, dict[str, Float[Array, ""]]]:
        """Gradient of the loss over all pairs of each prompt, and metrics of :meth:`step`."""
        prompts, most = bout.won.shape[0], max(1, self.microbatch // self.group)
        pieces = next(n for n in range(1, prompts + 1) if prompts % n == 0 and prompts // n <= most)
        return mean_over_microbatches(functools.partial(self._piece, state), bout, pieces)

    def _piece(self, state: OnlineIPOState, bout: Bout) -> tuple[PyTree, dict[str, Float[Array, ""]]]:
        flat = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), bout[:3])
        tokens, context, mask = flat

        def loss_of(params: PyTree) -> tuple[Array, dict[str, Array]]:
            own, other = (
                self.model.logits(weights, tokens, context) / self.temperature
                for weights in (params, state.anchor)
            )
            ratio = log_ratios(own, other, tokens, mask).reshape(-1, self.group)
            gap = ratio[:, :, None] - ratio[:, None, :] - (bout.won - 0.5) / self.tau
            # The diagonal is zero, and every pair stands twice.
            loss = jnp.sum(gap**2) / (len(ratio) * self.group * (self.group - 1))
            kl = jnp.sum(jnp.where(mask > 0, exact_kl_per_step(own, other), 0.0), axis=1)
            spread = jnp.sum(jnp.abs(bout.won - 0.5)) / (len(ratio) * self.group * (self.group - 1))
            metrics = {"loss": loss, "kl": jnp.mean(kl), "decided": spread}
            return loss, jax.lax.stop_gradient(metrics)

        (_, metrics), gradient = jax.value_and_grad(loss_of, has_aux=True)(state.params)
        return gradient, metrics
