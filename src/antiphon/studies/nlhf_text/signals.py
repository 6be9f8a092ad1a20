"""What raters look at in a notice: signals that are measured, and which circumstances it tells."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PyTree

from antiphon.methods.sft import SFTBatch, token_nats
from antiphon.nets.llama_decoding import Prompts
from antiphon.nets.llama_policy import LlamaPolicy
from antiphon.nets.llama_sampling import chosen_tokens
from antiphon.worlds.text.reports import FACTS, WORDS

NAMES = ("brevity", "overlap", "style", "fluency", "truth")
LIKES = np.array([1.0, 1.0, 0.7, 0.7, 0.7], np.float32)
"""What raters care for on average, in deviations of each signal."""

_CIRCUMSTANCES = ("day", "place", "person")


class Signals(NamedTuple):
    """Of notices.

    Attributes:
        quality: as in ``NAMES``, ``[…, 5]``.
        told: whether it tells when, where and who, ``[…, 3]``.
    """

    quality: Array
    told: Array


def _flags(words: tuple[str, ...]) -> Array:
    return jnp.asarray([float(word in words) for word in WORDS])


def measure(policy: LlamaPolicy, reference: PyTree, reports: Prompts, notices: Int[Array, "B T"]) -> Signals:
    """The signals of notices.

    ``brevity`` is minus the number of words; ``overlap`` the share of the report's facts that the notice has
    (ROUGE-1 recall of content words); ``style`` minus the rules it breaks: an article at the start, a full
    stop, a polite beginning; ``fluency`` the mean log-probability of its words, the end included, under the
    reference; ``truth`` minus the number of facts that the report lacks.
    """
    mask = chosen_tokens(notices, (0,))
    words = mask * (notices != 0)
    has = jnp.max(jax.nn.one_hot(notices, len(WORDS)) * words[..., None], axis=1)
    slots = jnp.arange(reports.tokens.shape[1]) < reports.length[:, None]
    holds = jnp.max(jax.nn.one_hot(reports.tokens, len(WORDS)) * slots[..., None], axis=1)
    facts = _flags(tuple(word for kind in FACTS.values() for word in kind))
    overlap = jnp.sum(has * holds * facts, axis=1) / jnp.sum(holds * facts, axis=1)
    begins = _flags(("the",))[notices[:, 0]] + has[:, WORDS.index("please")]
    nats = token_nats(policy, reference, SFTBatch(notices, reports, mask))
    fluency = -jnp.sum(nats * mask, axis=1) / jnp.sum(mask, axis=1)
    quality = (
        -jnp.sum(words, axis=1), overlap, -(begins + has[:, WORDS.index(".")]), fluency,
        -jnp.sum(has * (1 - holds) * facts, axis=1),
    )  # fmt: skip
    told = jnp.stack([jnp.max(has * _flags(FACTS[name]), axis=1) for name in _CIRCUMSTANCES], axis=-1)
    return Signals(jnp.stack(quality, axis=-1), told)


class Scale(NamedTuple):
    """Brings signals to the units that raters weigh them in.

    Attributes:
        mean: of each signal, ``[5]``.
        deviation: likewise.
        covariance: of the scaled signals' difference between two notices of one report, ``[5, 5]``.
        ring: deviation of the ring over such pairs.
    """

    mean: Float[Array, " F"]
    deviation: Float[Array, " F"]
    covariance: Float[Array, "F F"]
    ring: Float[Array, ""]

    def quality(self, signals: Signals) -> Float[Array, "*B F"]:
        """Scaled, a signal that never varied as it is."""
        return (signals.quality - self.mean) / self.deviation

    def told(self, signals: Signals) -> Float[Array, "*B 3"]:
        """Scaled so that the ring of two has unit deviation."""
        return signals.told / jnp.sqrt(self.ring)
