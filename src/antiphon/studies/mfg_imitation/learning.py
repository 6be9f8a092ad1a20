"""Imitators that learn from demonstrations: a gap for each method, each number of trajectories, each seed."""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import ArrayLike

from antiphon.core import statistics
from antiphon.core.statistics import Interval
from antiphon.equilibrium import FlowProblem, MeanFieldGame
from antiphon.equilibrium.demonstrations import Demonstrations, demonstrate, demonstrate_players
from antiphon.equilibrium.imitation_gap import Proxies, imitation_gap, proxy_errors
from antiphon.equilibrium.solving import trace
from antiphon.methods.imitation_adversarial import AdversarialImitation
from antiphon.methods.imitation_cloning import clone
from antiphon.studies.mfg_imitation.instances import NAMES, logs
from antiphon.train.media import Figure, Series

_LEAST = 1e-6
"""Smaller gaps are drawn here: the experts themselves are no better."""


class Learned(NamedTuple):
    """For each method: [seeds, numbers of trajectories].

    Attributes:
        gap: Nash imitation gap.
        value_gap: what everybody loses.
        own_error: what the method itself makes small.
        feedback: of clones alone: how far their crowd is from the experts', over how far one clone among
            experts is. Above 1 the crowd's answer amplifies errors, below 1 it absorbs them.
    """

    gap: Proxies[Array]
    value_gap: Proxies[Array]
    own_error: Proxies[Array]
    feedback: Array


@partial(jax.jit, static_argnames=("counts", "iterations", "players"))
def learn(
    game: MeanFieldGame,
    expert: Float[Array, "T S A"],
    keys: Array,
    counts: tuple[int, ...],
    iterations: int,
    players: bool = False,
) -> Learned:
    """Demonstrates, imitates by each method, and measures under the true reward.

    Args:
        game: of one population.
        expert: an equilibrium.
        keys: one for each seed.
        counts: numbers of trajectories; smaller sets are beginnings of the largest.
        iterations: of the adversarial methods.
        players: demonstrate in games of as many players as there are trajectories, not in the mean field.
    """

    def occupancies(key: Array) -> Float[Array, "N T S A"]:
        if players:
            sets = [demonstrate_players(game, expert, key, count) for count in counts]
        else:
            largest = demonstrate(game, expert, key, max(counts))
            sets = [Demonstrations(*(part[:, :count] for part in largest)) for count in counts]
        return jnp.stack([one.occupancy(game.n_states, game.n_actions) for one in sets])

    def imitated(target: Float[Array, "T S A"]) -> Learned:
        problem = FlowProblem(game)

        def adversarial(population: str) -> Array:
            method = AdversarialImitation(target, population)
            return trace(problem, method, problem.uniform(), jnp.array([iterations]))[0]

        policies = Proxies(clone(target), adversarial("vanilla"), adversarial("mfc"))
        gaps = [imitation_gap(game, policy, expert) for policy in policies]
        errors = [proxy_errors(game, policy, expert) for policy in policies]
        own = Proxies(*(error[which] for which, error in enumerate(errors)))
        gap, value_gap = (Proxies(*part) for part in zip(*gaps, strict=True))
        return Learned(gap, value_gap, own, errors[0].mfc / errors[0].vanilla)

    return jax.vmap(lambda key: jax.vmap(imitated)(occupancies(key)))(keys)


def intervals(values: ArrayLike) -> list[Interval]:
    """Mean over seeds with a bootstrap interval, for each number of trajectories; [seeds, N]."""
    return [statistics.bootstrap(column) for column in np.asarray(values, float).T]


def ratio(first: ArrayLike, second: ArrayLike) -> Interval:
    """Ratio of means over seeds, [seeds] each, resampled in pairs."""
    pairs = np.stack([np.asarray(first, float), np.asarray(second, float)])
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, pairs.shape[1], (2000, pairs.shape[1]))
    means = pairs[:, drawn].mean(-1)
    # Where the second was drawn as 0 nothing bounds the ratio.
    ratios = np.where(means[1] > 0, means[0] / np.where(means[1] > 0, means[1], 1.0), np.inf)
    low, high = np.quantile(ratios, [0.025, 0.975], method="nearest")
    mean = pairs.mean(-1)
    return Interval(
        float(mean[0] / mean[1]) if mean[1] > 0 else np.inf, float(low), float(high), pairs.shape[1]
    )


def gap_figure(title: str, x_label: str, x: Sequence[float], found: Proxies[Any], note: str = "") -> Figure:
    """Mean gap of each method on a logarithmic axis, with its interval."""
    series = []
    for name, values in zip(NAMES, found, strict=True):
        means = intervals(values)
        ends = [
            logs([max(getattr(one, end), _LEAST) for one in means]) for end in ("estimate", "low", "high")
        ]
        series.append(Series(name, tuple(x), *ends))
    return Figure(title, x_label, "log10 mean Nash imitation gap", tuple(series), note=note)
