"""Random games of a chosen kind, made from a key, so that a hundred of them are one ``vmap``."""

from dataclasses import dataclass, field
from typing import Literal, cast, get_args

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from antiphon.core.errors import UserError
from antiphon.equilibrium import rules

Kind = Literal["alone", "monotone", "potential", "cyclic", "coupled"]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Garnet:
    """P(s'|s,a,μ) = (1 − κ f·μ) P_0 + κ f·μ P_1 and r(s,a,μ) = base(s,a) + (interaction μ)(s).

    Attributes:
        calm: P_0, [S, A, S].
        crowded: P_1, [S, A, S].
        pull: f, in [0, 1], [S].
        coupling: κ in [0, 1]; None for dynamics that do not see the crowd, which are swept faster.
        base: reward without the crowd, [S, A].
        interaction: [S, S].
        mean_field: at time 0, [S].
        horizon: number of decisions.
    """

    calm: Float[Array, "S A S"]
    crowded: Float[Array, "S A S"]
    pull: Float[Array, "S"]
    coupling: Float[Array, ""] | None
    base: Float[Array, "S A"]
    interaction: Float[Array, "S S"]
    mean_field: Float[Array, "S"]
    horizon: int = field(metadata={"static": True})

    @property
    def n_states(self) -> int:
        """S."""
        return self.base.shape[-2]

    @property
    def n_actions(self) -> int:
        """A."""
        return self.base.shape[-1]

    @property
    def populations(self) -> tuple[int, ...]:
        """One population."""
        return ()

    @property
    def time_dependent(self) -> bool:
        """The same rules at all times."""
        return False

    def init(self) -> Float[Array, "S"]:
        """Distribution at time 0."""
        return self.mean_field

    def kernel(self, time, crowd: Float[Array, "S A"]) -> Float[Array, "S A S"]:
        """A mixture of two kernels whose weight is linear in the crowd."""
        del time
        if self.coupling is None:
            return self.calm
        weight = self.coupling * (self.pull @ jnp.sum(crowd, axis=-1))
        return (1 - weight) * self.calm + weight * self.crowded

    def reward(self, time, crowd: Float[Array, "S A"]) -> Float[Array, "S A"]:
        """Linear in the crowd."""
        del time
        return self.base + (self.interaction @ jnp.sum(crowd, axis=-1))[:, None]


def garnet(
    key: Key[Array, ""],
    kind: Kind = "monotone",
    *,
    n_states: int = 10,
    n_actions: int = 3,
    branching: int = 4,
    horizon: int = 10,
    strength: float = 1.0,
) -> Garnet:
    """A random game.

    Kinds: "alone" has no interaction; "monotone" has −B Bᵀ, so that crowds repel and the equilibrium's mean
    field is unique (Lasry–Lions); "potential" a symmetric interaction of either sign; "cyclic" an
    antisymmetric one, in which states chase each other; "coupled" also lets the crowd change the dynamics.

    Args:
        key: random key; may be batched by ``vmap``.
        kind: how players interact.
        n_states: S.
        n_actions: A.
        branching: successors of each state and action.
        horizon: number of decisions.
        strength: scale of the interaction, in units of the base reward.

    Raises:
        UserError: a kind that is not known.

    Source: Archibald et al. 1995 (GARNET); the kinds follow arXiv 2602.12517, section 4.
    """
    if kind not in get_args(Kind):
        raise UserError(
            "kind", f"there is no kind of garnet {kind!r}", f"use one of {', '.join(get_args(Kind))}"
        )
    keys = jax.random.split(key, 6)
    square = jax.random.normal(keys[0], (n_states, n_states)) / jnp.sqrt(n_states)
    interaction = {
        "alone": jnp.zeros_like(square),
        "monotone": -square @ square.T,
        "potential": (square + square.T) / 2,
        "cyclic": (square - square.T) / 2,
        "coupled": -square @ square.T,
    }[kind]
    return Garnet(
        calm=_rows(keys[1], n_states, n_actions, branching),
        crowded=_rows(keys[2], n_states, n_actions, branching),
        pull=jax.random.uniform(keys[3], (n_states,)),
        coupling=jnp.asarray(1.0) if kind == "coupled" else None,
        base=jax.random.uniform(keys[4], (n_states, n_actions)),
        interaction=strength * interaction,
        mean_field=jax.random.dirichlet(keys[5], jnp.ones(n_states)),
        horizon=horizon,
    )


@rules
class RandomGame:
    """A garnet by its seed, for the command line; fields as the arguments of :func:`garnet`."""

    strength: float = 1.0
    kind: str = "monotone"
    seed: int = 0
    n_states: int = 10
    n_actions: int = 3
    branching: int = 4
    horizon: int = 10

    def build(self) -> Garnet:
        """The game's arrays."""
        return garnet(
            jax.random.key(self.seed), cast(Kind, self.kind),
            n_states=self.n_states, n_actions=self.n_actions,
            branching=self.branching, horizon=self.horizon, strength=self.strength,
        )  # fmt: skip


def _rows(key: Key[Array, ""], n_states: int, n_actions: int, branching: int) -> Float[Array, "S A S"]:
    """Each row has ``branching`` successors, chosen without repetition, with uniform random weights."""
    key_who, key_weight = jax.random.split(key)
    ranks = jnp.argsort(jax.random.uniform(key_who, (n_states, n_actions, n_states)), axis=-1)
    weights = jax.random.uniform(key_weight, ranks.shape, minval=0.01) * (jnp.argsort(ranks, -1) < branching)
    return weights / jnp.sum(weights, axis=-1, keepdims=True)
