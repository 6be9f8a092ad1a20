"""Semantic tokens: which of K kinds of sound a stretch of a clip is, in the role of w2v-BERT's in MusicLM.

K-means over the features of the tagger musicnn, which was trained on real recordings and stays as it is. The
paper's are finer and come from a network that we do not have: our reconstruction.
"""

from collections.abc import Iterable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int16, Int32
from scipy.cluster.vq import kmeans2, vq

from antiphon.worlds.music.codec import FRAME
from antiphon.worlds.music.musicnn import HOP, Musicnn, frame_features

STRETCH = 4
"""Codec frames that share a semantic token: 160 ms, which are ten frames of the tagger."""


@jax.jit
def stretch_features(params: Musicnn, wave: Float[Array, "B N"]) -> Float[Array, "B S 64"]:
    """The tagger's last features over time, averaged over the S whole stretches of 160 ms."""
    each = STRETCH * FRAME // HOP
    count = wave.shape[1] // (STRETCH * FRAME)
    over_time = frame_features(params, wave)[:, : count * each]
    return jnp.mean(over_time.reshape(len(wave), count, each, -1), axis=2)


def fit_codes(features: Float[np.ndarray, "N C"], codes: int, seed: int = 0) -> Float[np.ndarray, "K C"]:
    """Centres of k-means, begun by k-means++.

    Args:
        features: as from :func:`stretch_features`, a stretch in a row.
        codes: K.
        seed: of the beginning.
    """
    centres, _ = kmeans2(features.astype(np.float64), codes, iter=25, minit="++", rng=seed, missing="warn")
    return np.asarray(centres, np.float32)


def semantic_tokens(
    params: Musicnn, centres: Float[np.ndarray, "K C"], waves: Iterable[Float[np.ndarray, "B N"]]
) -> Int16[np.ndarray, "clips F"]:
    """The nearest centre of every stretch, once for each of its codec frames.

    Args:
        params: the tagger.
        centres: from :func:`fit_codes`.
        waves: clips at 16 kHz, a batch at a time; F is cut to whole stretches.
    """
    found = []
    for wave in waves:
        features = np.asarray(stretch_features(params, jnp.asarray(wave)))
        nearest: Int32[np.ndarray, " n"] = vq(features.reshape(-1, features.shape[-1]), centres)[0]
        found.append(nearest.reshape(features.shape[:2]).astype(np.int16))
    return np.repeat(np.concatenate(found), STRETCH, axis=1)


def with_semantic(
    semantic: Int16[np.ndarray, "N F"], tokens: Int16[np.ndarray, "N F Q"]
) -> Int16[np.ndarray, "N F Q+1"]:
    """Frames whose first level is the semantic token."""
    return np.concatenate([semantic[..., None], tokens], axis=-1)
