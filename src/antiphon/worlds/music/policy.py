"""The policy of the music world: what it sees, and the rewards its completions earn."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from antiphon.core.errors import UserError
from antiphon.nets.frame_model import FrameContext, FrameModel
from antiphon.worlds.music import planner
from antiphon.worlds.music.attributes import FRAMES_PER_SIXTEENTH, METRES, SIXTEENTHS_PER_BAR, TEMPI
from antiphon.worlds.music.codec import Codec
from antiphon.worlds.music.embedding import Embedding, clip_features
from antiphon.worlds.music.quality import QualityModel

_WITHIN = max(FRAMES_PER_SIXTEENTH)
_POSITIONS = max(SIXTEENTHS_PER_BAR)
SIDE_SIZES = (_WITHIN * len(TEMPI), _POSITIONS * len(METRES))
"""Categories of side information: frame in its sixteenth by tempo, sixteenth in its bar by metre."""


def beat_side(
    tempo: Int[Array, " B"], metre: Int[Array, " B"], frames: int, first: int | Array = 0
) -> Int[Array, "B F 2"]:
    """Where each of ``frames`` frames stands in its beat, the frames being counted from a bar line.

    With ``n = first + f``, ``s`` frames a sixteenth and ``b`` sixteenths a bar: ``(n mod s + 6 tempo,
    (n div s) mod b + 16 metre)``.

    Args:
      tempo: index into :data:`~antiphon.worlds.music.attributes.TEMPI`.
      metre: index into :data:`~antiphon.worlds.music.attributes.METRES`.
      frames: ``F``.
      first: number of the first frame.
    """
    per_sixteenth = jnp.asarray(FRAMES_PER_SIXTEENTH)[tempo][:, None]
    per_bar = jnp.asarray(SIXTEENTHS_PER_BAR)[metre][:, None]
    frame = first + jnp.arange(frames)[None]
    within = frame % per_sixteenth + _WITHIN * tempo[:, None]
    position = frame // per_sixteenth % per_bar + _POSITIONS * metre[:, None]
    return jnp.stack([within, position], axis=-1).astype(jnp.int32)


def music_model(width: int = 256, layers: int = 5, levels: int = 3, codes: int = 512) -> FrameModel:
    """A frame model of the given size with the music world's side information.

    Raises:
      UserError: the width is no multiple of 64.
    """
    if width % 64:
        raise UserError("config", f"a policy of width {width}", "give a multiple of 64")
    return FrameModel(
        levels=levels, codes=codes, width=width, heads=width // 64, layers=layers,
        hidden=64 * round(width * 8 / 3 / 64), depth_hidden=width * 3 // 2, side_sizes=SIDE_SIZES,
        text_width=width // 2,
    )  # fmt: skip


def plan_context(params: PyTree, key: PRNGKeyArray, words: Int[Array, "B W P"], frames: int) -> FrameContext:
    """Context of captions alone: the planner draws tempo and metre."""
    tempo, metre = planner.plan(params, key, words)
    return FrameContext(jnp.asarray(words), beat_side(tempo, metre, frames), jnp.ones(len(words), bool))


def grid_context(words: np.ndarray, tempo: np.ndarray, metre: np.ndarray, frames: int) -> FrameContext:
    """Context of captions with a known beat grid."""
    side = beat_side(jnp.asarray(tempo), jnp.asarray(metre), frames)
    return FrameContext(jnp.asarray(words), side, jnp.ones(len(words), bool))


class Judges(NamedTuple):
    """What scores completions: codec, reward embedding, judge embedding (never trained on), quality."""

    codec: Codec
    reward: PyTree
    judge: PyTree
    quality: PyTree


def score_tokens(
    judges: Judges, context: FrameContext, tokens: Int[Array, "B T"], levels: int = 3, chunk: int = 16
) -> dict[str, Float[Array, " B"]]:
    """Named rewards of completions, heard through the codec.

    ``text``: cosine of caption and audio under the reward embedding, in [-1, 1]. ``quality``: opinion score
      rescaled to [0, 1]. ``judge``: the cosine under the embedding that is never trained on.

    Args:
      judges: codec and networks.
      context: of the completions; only the captions are read.
      tokens: ``F`` frames of ``levels`` tokens, ``T = F * levels``.
      levels: codec levels the policy speaks.
      chunk: clips decoded at a time, for memory only.
    """
    towers, quality = Embedding(), QualityModel()
    batch = tokens.shape[0]

    def hear(frames):
        mel = clip_features(judges.codec.decode(frames))
        score, _ = quality(judges.quality, mel)
        return towers.audio(judges.reward, mel), towers.audio(judges.judge, mel), (score - 1.0) / 4.0

    # A few clips at a time: decoded spectra of a whole batch would be the largest arrays of the step.
    size = min(chunk, batch)
    frames = jnp.pad(tokens.reshape(batch, -1, levels), ((0, -batch % size), (0, 0), (0, 0)))
    heard = jax.lax.map(hear, frames.reshape(-1, size, *frames.shape[1:]))
    audio, audio_judge, score = (x.reshape(-1, *x.shape[2:])[:batch] for x in heard)
    return {
        "text": jnp.sum(towers.text(judges.reward, context.words) * audio, axis=-1),
        "quality": score,
        "judge": jnp.sum(towers.text(judges.judge, context.words) * audio_judge, axis=-1),
    }
