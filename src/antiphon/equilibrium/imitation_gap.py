"""How good an imitator of an equilibrium is: its gap, the errors it can see itself, and what they prove.

An imitator never sees the reward. What it can make small is one of three distances to the expert (the
proxies); what matters is how far from equilibrium a crowd of imitators is (the gap). The bounds say how much
of the second follows from the first: with coupled dynamics only one of the three does not grow exponentially
with the horizon.
"""

from typing import Generic, NamedTuple, TypeVar, cast

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from antiphon.equilibrium.flow import FlowProblem, flow, occupancy
from antiphon.equilibrium.game import MeanFieldGame
from antiphon.equilibrium.kernel import Neighbours, dense

Scalar = Float[Array, ""]
Each = TypeVar("Each")


class ImitationGap(NamedTuple):
    """What a crowd of imitators loses.

    Attributes:
        gap: Nash imitation gap max_π' V(π'; ρ^π) − V(π; ρ^π) ≥ 0, the exploitability of the imitators under
            the reward they never saw; 0 exactly at equilibrium.
        value_gap: V(π^E; ρ^E) − V(π; ρ^π), what everybody loses when all imitate; of either sign.
    """

    gap: Scalar
    value_gap: Scalar


class Proxies(NamedTuple, Generic[Each]):
    """One entry, usually a number, for each of the three things that an imitator can make small.

    Attributes:
        cloning: of behavioural cloning: max_t E_{s ~ ρ^E_t} ‖π_t(·|s) − π^E_t(·|s)‖₁.
        vanilla: of adversarial imitation in a frozen population: max_t ‖μ_t(π in ρ^E) − μ^E_t‖₁, joint
            distributions of state and action.
        mfc: of adversarial imitation by mean field control: max_t ‖μ_t(π in its own flow) − μ^E_t‖₁.
    """

    cloning: Each
    vanilla: Each
    mfc: Each


class Constants(NamedTuple):
    """How strongly the crowd acts on one player; distances of mean fields are in the l1 norm.

    Attributes:
        kernel: L_P with ‖P(·|s,a,ρ) − P(·|s,a,ρ')‖₁ ≤ L_P ‖ρ − ρ'‖₁.
        reward: L_r with |r(s,a,ρ) − r(s,a,ρ')| ≤ L_r ‖ρ − ρ'‖₁.
        largest: R with |r(s,a,ρ)| ≤ R.
    """

    kernel: Scalar
    reward: Scalar
    largest: Scalar


def imitation_gap(
    game: MeanFieldGame, policy: Float[Array, "T *P S A"], expert: Float[Array, "T *P S A"]
) -> ImitationGap:
    """Nash imitation gap and value gap under the true reward.

    Source: arXiv 2306.14799 (the Nash imitation gap). Differs from a rebuilt example of others, which
    calls the value gap by this name.
    """
    own, wanted = FlowProblem(game).measure(policy), FlowProblem(game).measure(expert)
    return ImitationGap(own.exploitability, wanted.value - own.value)


def proxy_errors(
    game: MeanFieldGame, policy: Float[Array, "T *P S A"], expert: Float[Array, "T *P S A"]
) -> Proxies[Scalar]:
    """The three distances of a policy to the expert; no reward is needed.

    Source: arXiv 2306.14799 (behavioural cloning, adversarial imitation, and mean field control); which
    maximum and which norm it has are our reconstruction.
    """
    crowd = flow(game, expert)

    def worst(found: Array) -> Array:
        return jnp.max(jnp.sum(jnp.abs(found - crowd), axis=tuple(range(1, crowd.ndim))))

    choices = jnp.sum(jnp.abs(policy - expert), axis=-1) * jnp.sum(crowd, axis=-1)
    return Proxies(
        cloning=jnp.max(jnp.sum(choices, axis=tuple(range(1, choices.ndim)))),
        vanilla=worst(occupancy(game, policy, crowd)),
        mfc=worst(flow(game, policy)),
    )


def lipschitz_constants(game: MeanFieldGame, mean_fields: Float[Array, "M S"] | None = None) -> Constants:
    """L_P, L_r and R from the game's own rules, by differentiating them.

    On the simplex a linear map has the l1 constant max_{i,j} ½ ‖column_i − column_j‖. This is taken of the
    derivatives at each of the mean fields, and the largest counts.

    Args:
        game: of one population whose rules see the mean field through its states alone.
        mean_fields: where to differentiate; by default the corners of the simplex and its centre. That is
            exact for rules that are linear in the mean field, and for those that are steepest at a corner
            (as all games here are whose rules are not linear); elsewhere it may be too small, so give more.
    """
    if mean_fields is None:
        corners = jnp.eye(game.n_states)
        mean_fields = jnp.concatenate([corners, jnp.full_like(corners[:1], 1.0 / game.n_states)])
    mean_fields = mean_fields.astype(game.init().dtype)
    times = jnp.arange(game.horizon if game.time_dependent else 1)

    def tables(mean_field: Array, time: Array) -> tuple[Array, Array]:
        crowd = jnp.broadcast_to(mean_field[:, None] / game.n_actions, (game.n_states, game.n_actions))
        kernel = cast("Array | Neighbours", game.kernel(time, crowd))
        return dense(kernel, game.n_states), game.reward(time, crowd)

    def at(mean_field: Array, time: Array) -> Constants:
        towards, paid = jax.jacfwd(tables)(mean_field, time)
        columns = jnp.moveaxis(towards, -1, 0)

        def from_column(column: Array) -> Array:
            return 0.5 * jnp.max(jnp.sum(jnp.abs(columns - column), axis=-1))

        reward = tables(mean_field, time)[1]
        return Constants(
            # One column at a time: all pairs at once would be S times as large.
            jnp.max(jax.lax.map(from_column, columns)),
            0.5 * jnp.max(jnp.max(paid, axis=-1) - jnp.min(paid, axis=-1)),
            jnp.max(jnp.abs(reward)),
        )

    def over_times(mean_field: Array) -> Constants:
        return jax.lax.map(lambda time: at(mean_field, time), times)

    return jax.tree.map(jnp.max, jax.lax.map(over_times, mean_fields))


def gap_bounds(
    constants: Constants,
    errors: Proxies[Scalar],
    horizon: int,
    expert_gap: float | Scalar = 0.0,
) -> Proxies[Scalar]:
    """What each proxy error proves about the Nash imitation gap.

    Let D_t ≥ ‖ρ^π_t − ρ^E_t‖₁ and M_t ≥ ‖μ^π_t − μ^E_t‖₁ (states, and states with actions). A best response
    loses at most Σ_t (L_r D_t + R L_P Σ_{k<t} D_k) when the crowd is exchanged, the imitator at most
    Σ_t (R M_t + L_r D_t), and between the two the expert gains nothing. Hence

        gap ≤ Σ_t [2 L_r D_t + R M_t + R L_P Σ_{k<t} D_k] + exploitability of the expert,

    where D_0 = 0 and, for t ≥ 1,

    - cloning: D_t = (1 + L_P) D_{t−1} + ε and M_t = D_t + ε;
    - vanilla: D_t = M_t = (1 + L_P)^t ε;
    - mfc: D_t = M_t = ε.

    Without coupling, L_P = 0, this is O(H² ε) for cloning and O(H ε) for the other two; with it, it is
    exponential in H for cloning and vanilla, and O(H² ε) for mfc.

    Args:
        constants: of the game.
        errors: of the policy.
        horizon: H.
        expert_gap: exploitability of the expert, 0 for an exact equilibrium.

    Source: the orders are those in the abstract of arXiv 2306.14799; constants and proof are our
    reconstruction.
    """
    times = jnp.arange(horizon)
    growth = (1.0 + constants.kernel) ** times
    late = times > 0
    # ((1 + L)^t − 1) / L, which is t at L = 0.
    grown = jnp.concatenate([jnp.zeros_like(growth[:1]), jnp.cumsum(growth)[:-1]])
    states = Proxies(grown, jnp.where(late, growth, 0.0), jnp.where(late, 1.0, 0.0))
    joint = Proxies(grown + 1.0, growth, jnp.ones_like(growth))

    def bound(error: Array, apart: Array, joint: Array) -> Array:
        before = jnp.cumsum(apart) - apart
        terms = 2 * constants.reward * apart + constants.largest * (joint + constants.kernel * before)
        return error * jnp.sum(terms) + expert_gap

    return Proxies(*(bound(*one) for one in zip(errors, states, joint, strict=True)))
