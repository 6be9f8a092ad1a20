"""One world: every method learns in it, and what they learnt is measured by enumeration."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from antiphon.feedback.bradley_terry import fit_scores, misfit
from antiphon.nets.weights import named_leaves
from antiphon.studies.nlhf_steering import RLHF, name_of
from antiphon.studies.nlhf_tokens.config import AVERAGE, Config
from antiphon.studies.nlhf_tokens.exact import Settled, equal_kl_exploit, settle, tilted
from antiphon.studies.nlhf_tokens.learning import (
    MODEL,
    imitate_chain,
    law_of,
    learn_average,
    learn_nash,
    learn_rlhf,
)
from antiphon.train.pieces import done_once
from antiphon.train.run_directory import RunDirectory
from antiphon.worlds.diagnostics.preferences import cyclic_share
from antiphon.worlds.diagnostics.token_world import TokenWorld, token_world


class Trained(NamedTuple):
    """What a method made in one world.

    Attributes:
        law: log-probability of every completion, ``[Y]``.
        kl: from the reference, nats, exact.
        tau: strength of the pull it ended with.
    """

    law: np.ndarray
    kl: float
    tau: float


class Rest(NamedTuple):
    """Where a method comes to rest without a network, at the divergence asked for.

    Attributes:
        exploited: win rate of the best response within that divergence.
        moving: how far the law is from being a fixed point, total variation.
    """

    exploited: float
    moving: float


class Cell(NamedTuple):
    """One world at one dial: the trained policies by name, and exact figures about them.

    Attributes:
        world: with its preferences.
        reference: log-probability of every completion, ``[Y]``.
        trained: policies by name.
        exploited: win rate of the best response within a policy's own divergence, by name.
        settled: by name, of methods with a law to settle in.
        closed: win rate of RLHF's network against its closed form.
        misfit: of the best scores, nats.
        circles: share of triples in a circle.
    """

    world: TokenWorld
    reference: np.ndarray
    trained: dict[str, Trained]
    exploited: dict[str, float]
    settled: dict[str, Rest]
    closed: float
    misfit: float
    circles: float

    def win_rate(self, first: str, second: str) -> float:
        """How often ``first`` is preferred to ``second``, exactly."""
        p, q = (np.exp(self.trained[name].law) for name in (first, second))
        return float(p @ self.world.preference @ q)


def measure_world(config: Config, run: RunDirectory, seed: int, dial: float) -> Cell:
    """Everything about one world; its reference and each of its methods are pieces that are done once."""
    name = f"dial-{dial:g}/world-{seed}"
    world = token_world(seed, dial)
    completions = jnp.asarray(world.completions)
    like = jax.eval_shape(MODEL.config.init, jax.random.key(0))
    kept = done_once(run, f"{name}/reference", lambda: named_leaves(imitate_chain(config, seed, world)))
    leaves = [jnp.asarray(kept[leaf]) for leaf in named_leaves(like)]
    params = jax.tree.unflatten(jax.tree.structure(like), leaves)
    reference = np.asarray(law_of(params, completions), np.float64)
    mu = np.exp(reference)
    table, preference = world.preference.astype(np.float64), jnp.asarray(world.preference)
    scores = done_once(
        run, f"{name}/scores", lambda: {"scores": fit_scores(table, np.outer(mu, mu), tolerance=1e-8)}
    )["scores"]

    def judged(method: str, train: Callable[[], tuple[Any, Array]]) -> Trained:
        def make() -> dict[str, Any]:
            return _judged(*train(), completions, reference)._asdict()

        found = done_once(run, f"{name}/{method.replace(' ', '-')}", make)
        return Trained(found["law"], float(found["kl"]), float(found["tau"]))

    trained = {
        name_of(beta): judged(
            name_of(beta), lambda beta=beta: learn_nash(config, seed, params, preference, beta)
        )
        for beta in config.betas
    }
    trained[AVERAGE] = judged(AVERAGE, lambda: learn_average(config, seed, params, preference))
    trained[RLHF] = judged(RLHF, lambda: learn_rlhf(config, seed, params, jnp.asarray(scores, jnp.float32)))

    exploited = {name: equal_kl_exploit(table, reference, t.law, t.kl) for name, t in trained.items()}
    best = tilted(reference, scores, trained[RLHF].kl)
    closed = float(np.exp(trained[RLHF].law) @ table @ np.exp(best))
    vocabulary = world.completions.max() + 1

    def rest(method: str, find: Callable[[], Settled]) -> Rest:
        def make() -> dict[str, float]:
            law, moving = find()
            return {"exploited": equal_kl_exploit(table, reference, law, config.kl), "moving": moving}

        found = done_once(run, f"{name}/{method.replace(' ', '-')}-settled", make)
        return Rest(float(found["exploited"]), float(found["moving"]))

    settled = {
        name_of(beta): rest(
            name_of(beta), lambda beta=beta: settle(table, reference, beta, config.kl, vocabulary)
        )
        for beta in config.betas
    }
    settled[RLHF] = rest(RLHF, lambda: Settled(tilted(reference, scores, config.kl), 0.0))
    return Cell(
        world, reference, trained, exploited, settled, closed, misfit(table, scores, np.outer(mu, mu)),
        cyclic_share(table, mu),
    )  # fmt: skip


def _judged(params: Any, tau: Array, completions: Array, reference: np.ndarray) -> Trained:
    law = np.asarray(law_of(params, completions), np.float64)
    law -= np.logaddexp.reduce(law)
    return Trained(law, float(np.exp(law) @ (law - reference)), float(tau))
