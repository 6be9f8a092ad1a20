"""Nash learning on a table of answers: mirror descent against a mixture, against oneself, against one's past.

Each step is the shared mirror step from the geometric mixture of policy and reference,

    π^μ_t ∝ π_t^{1 − ητ} μ^{ητ},    π_{t+1} = argmax_π η P(π ≻ opponent) − KL(π‖π^μ_t),

and the methods differ in the opponent. Source: arXiv 2312.00886, section 5.
"""

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from antiphon.core import simplex
from antiphon.core.errors import UserError
from antiphon.equilibrium.preference_game import PreferenceGame

Opponent = Literal["mixture", "self", "average"]


class TabularState(NamedTuple):
    """Where a method stands.

    Attributes:
        log_policy: log π_t, ``[Y]``.
        log_average: log of the geometric running average of the policies, ``[Y]``, normalised.
        t: steps done.
    """

    log_policy: Float[Array, " Y"]
    log_average: Float[Array, " Y"]
    t: Int[Array, ""]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class TabularNash:
    """One of the paper's tabular methods.

    Attributes:
        opponent: ``"mixture"`` is Nash-MD (eqs. 3 to 6), whose last iterate converges; ``"self"`` is online
            mirror descent (eqs. 7 and 8), self-play; ``"average"`` is Nash-EMA, whose opponent is the
            exponential moving average of the logits.
        step_size: η; None for the paper's η_t = 2 / (τ (t + 2)), with which Nash-MD obeys
            KL(π*_τ‖π_T) ≤ 8 / (τ² (T + 1)) (theorem 1).
        decay: of the moving average, for ``"average"``.

    Raises:
        UserError: an opponent, step size or decay that does not exist.

    Differs from the paper: it defines Nash-EMA for the parameters of a network; with a table of logits the
    average of the parameters is the geometric average of the policies. Our reconstruction.
    """

    opponent: Opponent = field(default="mixture", metadata={"static": True})
    step_size: float | Float[Array, ""] | None = None
    decay: float | Float[Array, ""] = 0.9

    def __post_init__(self):
        """Refuse what cannot be run; traced numbers pass."""
        if self.opponent not in ("mixture", "self", "average"):
            raise UserError(
                "field", f"there is no opponent {self.opponent!r}", "choose mixture, self or average"
            )
        if isinstance(self.step_size, int | float) and self.step_size <= 0:
            raise UserError("field", f"step_size is {self.step_size}", "give a positive number, or None")
        if isinstance(self.decay, int | float) and not 0 <= self.decay < 1:
            raise UserError("field", f"decay is {self.decay}", "give a number from 0 up to, not including, 1")

    def init(self, game: PreferenceGame, log_policy: Float[Array, " Y"] | None = None) -> TabularState:
        """Start from a policy, by default the reference."""
        start = game.log_reference if log_policy is None else jax.nn.log_softmax(log_policy)
        start = start.astype(game.log_reference.dtype)
        return TabularState(start, start, jnp.zeros((), jnp.int32))

    def step(self, game: PreferenceGame, state: TabularState) -> TabularState:
        """One mirror step.

        A constant step size must keep η τ ≤ 1; beyond that the mixture would lie on the far side of μ, so η τ
        is capped there.
        """
        log_p = state.log_policy
        if self.step_size is None:
            pull = 2.0 / (state.t.astype(log_p.dtype) + 2.0)
            step_size = pull / game.tau
        else:
            step_size = jnp.asarray(self.step_size, log_p.dtype)
            pull = jnp.minimum(step_size * game.tau, 1.0)
        mixture = jax.nn.log_softmax((1.0 - pull) * log_p + pull * game.log_reference)
        opponent = {"mixture": mixture, "self": log_p, "average": state.log_average}[self.opponent]
        credit = game.preference @ jnp.exp(opponent)
        new = simplex.mirror_step(mixture, step_size * credit, 1.0)
        average = jax.nn.log_softmax(self.decay * state.log_average + (1.0 - self.decay) * new)
        return TabularState(new, average, state.t + 1)

    def run(
        self, game: PreferenceGame, steps: int, log_policy: Float[Array, " Y"] | None = None
    ) -> Float[Array, "steps Y"]:
        """Log-probabilities after each of ``steps`` steps, as one scan."""

        def body(state: TabularState, _: None) -> tuple[TabularState, Array]:
            state = self.step(game, state)
            return state, state.log_policy

        return jax.lax.scan(body, self.init(game, log_policy), None, length=steps)[1]


def theorem_1_bound(tau: float, steps: Int[Array, "..."] | int) -> Float[Array, "..."]:
    """8 / (τ² (T + 1)), the paper's bound on KL(π*_τ‖π_T) in nats (arXiv 2312.00886, theorem 1)."""
    return 8.0 / (tau**2 * (jnp.asarray(steps) + 1.0))
