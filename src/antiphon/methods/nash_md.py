"""Nash learning from preferences: climb the probability of being preferred to an opponent made of oneself.

    g = ∇ log π(y|x) [ P(y ≻ y'|x) − ½ ] − τ ∇ KL(π‖μ),    y ~ π,  y' ~ opponent

The opponent of Nash-MD is the geometric mixture of policy and reference, π^β ∝ π^{1−β} μ^β token by token:
β = 0 is self-play, β = 1 the best response to the reference. That of Nash-EMA is an exponential moving
average of the policy's own weights. No gradient flows through the opponent.

Source: NLHF, arXiv 2312.00886, section 7, eqs. 13 to 15, and appendix F.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree, Shaped

from antiphon.core import trees
from antiphon.core.errors import UserError
from antiphon.feedback.preference import Preference
from antiphon.methods.microbatches import mean_over_microbatches
from antiphon.methods.optimisers import warm
from antiphon.methods.trained_part import for_trained_part
from antiphon.nets.sequence_model import Context, SequenceModel
from antiphon.objectives.policy_gradient import (
    exact_kl_per_step,
    kl_to_go,
    leave_one_out,
    reinforce_kl_loss,
    reward_to_go,
)

Chosen = Callable[[Context, Int[Array, "B T"]], Shaped[Array, "B T"]]
"""``(context, tokens) -> [B, T]``: 1 on tokens the policy chose (the end token included), 0 on the rest."""


class MixtureModel(SequenceModel, Protocol):
    """A sequence model that can also be drawn from together with another one of its kind."""

    def sample_mixture(
        self,
        params: PyTree,
        other: PyTree,
        key: PRNGKeyArray,
        context: Context,
        *,
        share: float | Float[Array, ""],
        temperature: float = 1.0,
    ) -> Int[Array, "B T"]:
        """Completions of softmax((1 − share) logits + share other's logits), both over the temperature."""
        ...


@runtime_checkable
class BesideModel(Protocol):
    """A :class:`MixtureModel` that draws its completions and the mixture's in one loop, which is quicker."""

    def sample_beside(
        self,
        params: PyTree,
        other: PyTree,
        keys: tuple[PRNGKeyArray, PRNGKeyArray],
        context: Context,
        *,
        counts: tuple[int, int],
        share: float | Float[Array, ""],
        temperature: float = 1.0,
    ) -> tuple[Int[Array, "B T"], Int[Array, "C T"]]:
        """``sample`` and ``sample_mixture`` of M contexts, each repeated ``counts`` times.

        Returns:
            Tokens ``[M · counts[0], T]`` and ``[M · counts[1], T]``, those of one context together.
        """
        ...


class NashState(NamedTuple):
    """What a step changes, and what it needs.

    Attributes:
        params: of the policy.
        anchor: of the reference μ.
        average: of the opponent of Nash-EMA; the policy's start otherwise.
        preference_params: what the judge needs; never trained here.
        optimiser: of the policy.
        t: steps done.
    """

    params: PyTree
    anchor: PyTree
    average: PyTree
    preference_params: PyTree
    optimiser: optax.OptState
    t: Int[Array, ""]


class Duel(NamedTuple):
    """Completions of the policy and how they did; the G completions of one prompt stand together.

    Attributes:
        tokens: ``[M · G, T]``.
        context: of every completion, leaves ``[M · G, …]``.
        mask: 1 on tokens the policy chose, ``[M · G, T]``.
        won: probability of being preferred to the opponent, mean over its completions, ``[M · G]``.
    """

    tokens: Array
    context: Context
    mask: Array
    won: Array


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class NashMD:
    """The method. Floats are leaves of its pytree, so a sweep over them is a ``vmap``.

    Attributes:
        model: the policy.
        preference: who is preferred, see :class:`~antiphon.feedback.preference.Preference`.
        tau: strength of the pull towards the reference, in units of preference probability.
        beta: share of the reference in the opponent's mixture, in [0, 1].
        beta_end: the share at the last of ``steps``, reached linearly; None keeps ``beta``. With a constant
            β > 0 the policy that stands still is not quite the regularised equilibrium; β → 0 makes it so.
        opponent: ``"mixture"`` (Nash-MD) or ``"average"`` (Nash-EMA, which has no use for β).
        decay: of the weights' moving average.
        learning_rate: of Adam, after ten steps of warm-up.
        steps: over which β moves.
        group: completions of the policy per prompt, G.
        opponents: completions of the opponent per prompt, each compared with all of the policy's.
        microbatch: completions per gradient pass at most (but whole groups).
        temperature: of all sampling; policy, reference and mixture are the tempered ones.
        clip: bound on the gradient's norm.
        baseline: ``"half"``, the paper's P(y ≻ y) = ½, or ``"leave_one_out"``, the mean of the prompt's other
            completions against the same opponents, which varies less.
        chosen: which tokens the policy chose; None for completions of one length.

    Raises:
        UserError: a combination that cannot work.

    Differs from the paper: the KL is exact over the vocabulary at each step, with the KL still to come as
    credit of each token, less the mean of that of the prompt's other completions; its estimate from the
    sampled tokens alone has the same expectation. Completions of several opponents are averaged over.
    """

    model: MixtureModel = field(metadata={"static": True})
    preference: Preference = field(metadata={"static": True})
    tau: float | Float[Array, ""] = 0.02
    beta: float | Float[Array, ""] = 0.125
    beta_end: float | Float[Array, ""] | None = None
    opponent: Literal["mixture", "average"] = field(default="mixture", metadata={"static": True})
    decay: float | Float[Array, ""] = 0.999
    learning_rate: float | Float[Array, ""] = 5e-5
    steps: int = field(default=1000, metadata={"static": True})
    group: int = field(default=2, metadata={"static": True})
    opponents: int = field(default=1, metadata={"static": True})
    microbatch: int = field(default=16, metadata={"static": True})
    temperature: float = 1.0
    clip: float | Float[Array, ""] = 1.0
    baseline: Literal["half", "leave_one_out"] = field(default="half", metadata={"static": True})
    chosen: Chosen | None = field(default=None, metadata={"static": True})

    def __post_init__(self) -> None:
        for name in ("beta", "beta_end"):
            value = getattr(self, name)
            if isinstance(value, int | float) and not 0 <= value <= 1:
                raise UserError("config", f"{name} is {value}, outside [0, 1]", "give a share from 0 to 1")
        if isinstance(self.tau, int | float) and self.tau < 0:
            raise UserError("config", f"tau is {self.tau}", "give a pull of at least 0")
        if isinstance(self.decay, int | float) and not 0 <= self.decay < 1:
            raise UserError(
                "config", f"decay is {self.decay}", "give a number from 0 up to, not including, 1"
            )
        if self.opponent not in ("mixture", "average"):
            raise UserError("config", f"there is no opponent {self.opponent!r}", "choose mixture or average")
        if self.baseline not in ("half", "leave_one_out"):
            raise UserError(
                "config", f"there is no baseline {self.baseline!r}", "choose half or leave_one_out"
            )
        for name in ("steps", "group", "opponents", "microbatch"):
            if getattr(self, name) < 1:
                raise UserError("config", f"{name} is {getattr(self, name)}", "give at least 1")
        if self.baseline == "leave_one_out" and self.group < 2:
            raise UserError(
                "config", "leave-one-out with one completion per prompt", "set group to at least 2"
            )

    def optimiser(self) -> optax.GradientTransformation:
        """Adam behind a norm clip, ten steps of warm-up."""
        return for_trained_part(self.model, warm(self.learning_rate, self.clip))

    def init(self, params: PyTree, preference_params: PyTree = (), anchor: PyTree = None) -> NashState:
        """Start from ``params``, which is also the reference unless one is given."""
        own = functools.partial(
            jax.tree.map, jnp.array
        )  # buffers of their own, so that the state can be donated
        anchor = own(params if anchor is None else anchor)
        state = self.optimiser().init(params)
        return NashState(params, anchor, own(params), preference_params, state, jnp.zeros((), jnp.int32))

    def step(
        self, state: NashState, context: Context, key: PRNGKeyArray
    ) -> tuple[NashState, dict[str, Float[Array, ""]]]:
        """Let the policy's completions of M prompts compete with the opponent's, and take one step.

        Metrics: ``win_rate`` against the opponent; ``kl`` to the reference (nats per completion); ``entropy``
        and ``log_prob`` (nats per token); ``length``, tokens of a completion;
        ``gradient_norm`` (before clipping); ``beta``.
        """
        duel = self.duel(state, context, key)
        gradient, metrics = self.gradient(state, duel)
        updates, optimiser = self.optimiser().update(gradient, state.optimiser, state.params)
        params = optax.apply_updates(state.params, updates)
        average = state.average
        if self.opponent == "average":
            average = jax.tree.map(lambda a, p: self.decay * a + (1.0 - self.decay) * p, average, params)
        metrics["beta"] = self.mixture_share(state.t)
        new = NashState(params, state.anchor, average, state.preference_params, optimiser, state.t + 1)
        return new, metrics

    def mixture_share(self, t: Int[Array, ""]) -> Float[Array, ""]:
        """β at step t."""
        start = jnp.asarray(self.beta, jnp.float32)
        if self.beta_end is None:
            return start
        return start + (self.beta_end - start) * jnp.minimum(t / max(self.steps - 1, 1), 1.0)

    def duel(self, state: NashState, context: Context, key: PRNGKeyArray) -> Duel:
        """Completions of both sides, and how often the policy's are preferred."""
        wide, against = (
            jax.tree.map(lambda leaf, n=count: jnp.repeat(leaf, n, axis=0), context)
            for count in (self.group, self.opponents)
        )
        tokens, other = self._drawn(state, context, (wide, against), key)
        prompts = tokens.shape[0] // self.group
        # Every one of the policy's completions meets every one of the opponent's for the same prompt.
        first = jnp.repeat(tokens, self.opponents, axis=0)
        grouped = other.reshape(prompts, 1, self.opponents, -1)
        second = jnp.broadcast_to(grouped, (prompts, self.group, *grouped.shape[2:])).reshape(first.shape)
        asked = jax.tree.map(lambda leaf: jnp.repeat(leaf, self.opponents, axis=0), wide)
        won = self.preference(state.preference_params, asked, first, second)
        mask = jnp.ones(tokens.shape) if self.chosen is None else self.chosen(wide, tokens)
        return Duel(tokens, wide, mask, jnp.mean(won.reshape(-1, self.opponents), axis=1))

    def _drawn(
        self, state: NashState, context: Context, repeated: tuple[Context, Context], key: PRNGKeyArray
    ) -> tuple[Int[Array, "B T"], Int[Array, "C T"]]:
        """Completions of the policy and of its opponent."""
        key_own, key_other = jax.random.split(key)
        model, share, warmth = self.model, self.mixture_share(state.t), self.temperature
        if self.opponent == "mixture" and isinstance(model, BesideModel):
            counts = self.group, self.opponents
            return model.sample_beside(
                state.params, state.anchor, (key_own, key_other), context,
                counts=counts, share=share, temperature=warmth,
            )  # fmt: skip
        own = model.sample(state.params, key_own, repeated[0], temperature=warmth)
        if self.opponent == "average":
            return own, model.sample(state.average, key_other, repeated[1], temperature=warmth)
        return own, model.sample_mixture(
            state.params, state.anchor, key_other, repeated[1], share=share, temperature=warmth
        )

    def gradient(self, state: NashState, duel: Duel) -> tuple[PyTree, dict[str, Float[Array, ""]]]:
        """Estimate of −∇[P(π ≻ opponent) − τ KL(π‖μ)], opponent held still, and metrics of :meth:`step`."""
        prompts = duel.won.shape[0] // self.group
        most = min(max(1, self.microbatch // self.group), prompts)
        pieces = next(prompts // groups for groups in range(most, 0, -1) if prompts % groups == 0)
        gradient, metrics = mean_over_microbatches(functools.partial(self._piece, state), duel, pieces)
        return gradient, metrics | {
            "win_rate": jnp.mean(duel.won),
            "length": jnp.mean(jnp.sum(duel.mask, axis=1)),
            "gradient_norm": trees.norm(gradient),
        }

    def _piece(self, state: NashState, piece: Duel) -> tuple[PyTree, dict[str, Float[Array, ""]]]:
        if self.baseline == "half":
            ahead = piece.won - 0.5
        else:
            ahead = leave_one_out(piece.won.reshape(-1, self.group)).reshape(-1)
        advantage = reward_to_go(ahead, piece.mask)

        def loss_of(params: PyTree) -> tuple[Array, dict[str, Array]]:
            def tempered(params: PyTree) -> Float[Array, "B T V"]:
                return self.model.logits(params, piece.tokens, piece.context) / self.temperature

            logits, anchor = tempered(params), jax.lax.stop_gradient(tempered(state.anchor))
            expected = None
            if self.group > 1:
                kl = exact_kl_per_step(jax.lax.stop_gradient(logits), anchor)
                to_go = kl_to_go(kl, piece.mask).reshape(-1, self.group, kl.shape[-1])
                others = (jnp.sum(to_go, axis=1, keepdims=True) - to_go) / (self.group - 1)
                expected = others.reshape(kl.shape)
            # (1 − α) : α = 1 : τ, and the sum of the two restored.
            share = self.tau / (1.0 + self.tau)
            loss, metrics = reinforce_kl_loss(
                logits, anchor, piece.tokens, advantage, share, piece.mask, "full", expected
            )
            return loss * (1.0 + self.tau), metrics

        (_, metrics), gradient = jax.value_and_grad(loss_of, has_aux=True)(state.params)
        return gradient, metrics
