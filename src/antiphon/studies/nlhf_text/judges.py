"""A reward model and a preference model from the same votes, and how often each is right."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from scipy.special import entr

from antiphon.feedback.pairs import Pairs
from antiphon.feedback.raters import Raters
from antiphon.methods.preference_model import PreferenceModel
from antiphon.methods.reward_model import RewardModel
from antiphon.nets.llama_judge import LlamaJudge
from antiphon.studies.nlhf_text.reference import Ground, rows, write
from antiphon.studies.nlhf_text.setting import Config

_BATCH, _RATE = 64, 2e-3


class Verdict(NamedTuple):
    """How a judge does on pairs, one entry each.

    Attributes:
        right: probability of agreeing with a vote, ``[N]``.
        excess: cross-entropy with the votes beyond their own entropy, nats, ``[N]``.
    """

    right: np.ndarray
    excess: np.ndarray


def draw_pairs(ground: Ground, raters: Raters, count: int, key: Array) -> Pairs:
    """Two of the reference's notices for each of ``count`` reports, with one rater's vote."""
    key_rows, key_first, key_second, key_vote = jax.random.split(key, 4)
    prompts = rows(ground.reports, jax.random.randint(key_rows, (count,), 0, len(ground.reports.length)))
    first, second = (write(ground.policy, ground.reference, k, prompts) for k in (key_first, key_second))
    share = ground.preference(raters, ground.signals(prompts, first), ground.signals(prompts, second))
    return Pairs(prompts, first, second, jax.random.bernoulli(key_vote, share).astype(jnp.float32))


def fit_judge(
    config: Config, method: RewardModel | PreferenceModel, params: Any, pairs: Pairs, key: Array
) -> Any:
    """Weights of a judge."""

    @jax.jit
    def train(params: Any, pairs: Pairs, key: Array) -> Any:
        def step(state: Any, key: Array) -> tuple[Any, None]:
            chosen = jax.random.randint(key, (_BATCH,), 0, config.pairs)
            return method.step(state, jax.tree.map(lambda leaf: leaf[chosen], pairs), key)[0], None

        return jax.lax.scan(step, method.init(params), jax.random.split(key, config.judge_steps))[0].params

    return train(params, pairs, key)


def methods_of(config: Config, judge: LlamaJudge) -> dict[str, RewardModel | PreferenceModel]:
    """By kind."""
    settings = {"learning_rate": _RATE, "steps": config.judge_steps, "warmup": 30}
    return {
        "reward": RewardModel(judge.reward, **settings),
        "preference": PreferenceModel(judge.compare, **settings),
    }


def verdict(method: RewardModel | PreferenceModel, params: Any, pairs: Pairs, share: Array) -> Verdict:
    """Of a judge about pairs of which the whole population's votes are known.

    Args:
        method: that fitted the judge.
        params: of the judge.
        pairs: to judge.
        share: of the votes that each first notice gets, ``[N]``.
    """
    judged = jax.jit(method.log_odds)(params, pairs.context, pairs.first, pairs.second)
    odds, p = np.asarray(judged, np.float64), np.asarray(share, np.float64)
    said = 0.5 * (1 + np.sign(odds))
    cross = p * np.logaddexp(0, -odds) + (1 - p) * np.logaddexp(0, odds)
    return Verdict(said * p + (1 - said) * (1 - p), cross - entr(p) - entr(1 - p))


def best_right(share: Array) -> np.ndarray:
    """How often a judge who knows the population would agree with a vote, ``[N]``."""
    p = np.asarray(share, np.float64)
    return np.maximum(p, 1 - p)


def write_pairs(ground: Ground, first: Any, second: Any, key: Array) -> Pairs:
    """A notice of each of two policies for every test report; nobody has voted yet."""
    keys = jax.random.split(key)
    one, other = (
        write(ground.policy, p, k, ground.tests) for p, k in zip((first, second), keys, strict=True)
    )
    return Pairs(ground.tests, one, other, jnp.full(len(ground.tests.length), 0.5))
