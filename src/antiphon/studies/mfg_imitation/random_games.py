"""Two hundred random games with coupled dynamics, solved and imitated in one program: do the bounds hold?"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from antiphon.core import simplex
from antiphon.equilibrium import FlowProblem
from antiphon.equilibrium.imitation_gap import (
    ImitationGap,
    Proxies,
    gap_bounds,
    imitation_gap,
    lipschitz_constants,
    proxy_errors,
)
from antiphon.equilibrium.solving import trace
from antiphon.methods.newton_cooling import NewtonCooling
from antiphon.studies.mfg_imitation import claims
from antiphon.studies.mfg_imitation.instances import NAMES, logs
from antiphon.train.findings import Finding
from antiphon.train.media import Figure, Series
from antiphon.worlds.meanfield.garnet import garnet

_ITERATIONS = 160
_SHARES = (1e-4, 1e-3, 1e-2, 0.1, 0.5, 1.0)
"""How much of an imitator is a random policy."""


class RandomGames(NamedTuple):
    """Imitators of the equilibria of G random games, mixed with random policies in M shares."""

    expert_gap: Float[Array, "G"]
    gap: ImitationGap
    errors: Proxies[Array]
    bounds: Proxies[Array]


@jax.jit
def measure_games(keys: Array) -> RandomGames:
    """Everything about every game, one ``vmap``; fields are [G] or [G, M]."""

    def one(key: Array) -> RandomGames:
        keys = jax.random.split(key)
        game = garnet(keys[0], "coupled", n_states=5, horizon=6)
        problem = FlowProblem(game)
        expert, gaps = trace(problem, NewtonCooling(), problem.uniform(), jnp.array([_ITERATIONS]))
        expert_gap = jnp.maximum(gaps.exploitability[0], 0.0)
        other = simplex.random_points(keys[1], expert.shape)
        constants = lipschitz_constants(game)

        def imitated(share: Array) -> tuple[ImitationGap, Proxies[Array], Proxies[Array]]:
            policy = (1 - share) * expert + share * other
            errors = proxy_errors(game, policy, expert)
            bounds = gap_bounds(constants, errors, game.horizon, expert_gap)
            return imitation_gap(game, policy, expert), errors, bounds

        return RandomGames(expert_gap, *jax.vmap(imitated)(jnp.array(_SHARES)))

    return jax.vmap(one)(keys)


def check_bounds(games: int, seed: int) -> tuple[list[Finding], Figure, float]:
    """The finding, a figure, and the largest exploitability of an expert."""
    found = measure_games(jax.random.split(jax.random.key(seed), games))
    gap = np.asarray(found.gap.gap)
    ratios = [gap / np.asarray(bound) for bound in found.bounds]
    worst = max(float(ratio.max()) for ratio in ratios)
    broken = sum(int((ratio > 1).sum()) for ratio in ratios)
    middle = ", ".join(
        f"{float(np.median(ratio)):.2g} ({name})" for ratio, name in zip(ratios, NAMES, strict=True)
    )
    finding = claims.BOUNDS.measured(
        worst, holds=broken == 0 if games >= 200 else None,
        note=f"{games} garnets with coupled dynamics, S = 5, A = 3, H = 6, {len(_SHARES)} imitators each; "
        f"{broken} of {3 * gap.size} bounds broken; median gap / bound {middle}",
    )  # fmt: skip
    chosen = slice(0, min(games, 40))
    series = tuple(
        Series(name, logs(np.asarray(bound)[chosen].ravel()), logs(gap[chosen].ravel()))
        for bound, name in zip(found.bounds, NAMES, strict=True)
    )
    figure = Figure(
        f"Random games ({min(games, 40)} of {games}): gap against its three bounds",
        "log10 bound", "log10 Nash imitation gap", series, kind="scatter",
        note="A bound holds where a point lies below the diagonal.",
    )  # fmt: skip
    return [finding], figure, float(np.max(np.asarray(found.expert_gap)))
