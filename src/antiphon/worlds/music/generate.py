"""Captions to audio: plan, draw coarse tokens, fill in the fine ones, decode, polish."""

import math
from dataclasses import dataclass
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from antiphon.core.errors import UserError
from antiphon.nets.frame_model import FrameContext
from antiphon.worlds.music import planner
from antiphon.worlds.music.bundle import Bundle, Sizes
from antiphon.worlds.music.codec import FRAME_SECONDS
from antiphon.worlds.music.policy import beat_side
from antiphon.worlds.music.text_features import check_caption, hash_words

BATCH = 16
"""Clips drawn at a time."""
SECONDS_MAX = 120.0
TEMPERATURE = 0.99
"""As in arXiv 2402.04229 for all models."""
GUIDANCE = 1.75
POLISH = 8
"""Griffin-Lim iterations after decoding."""


@dataclass(frozen=True, eq=False)
class Generated:
    """Clips in the order of their captions.

    ``audio`` ``[B, N]`` float32 at 16 kHz, peak 0.9; ``tokens`` ``[B, F, Q]`` all levels; ``tempo`` and
    ``metre`` ``[B]`` as planned.
    """

    audio: Float[np.ndarray, "B N"]
    tokens: Int[np.ndarray, "B F Q"]
    tempo: Int[np.ndarray, " B"]
    metre: Int[np.ndarray, " B"]


def generate(
    bundle: Bundle,
    captions: list[str],
    *,
    model: str | PyTree = "base",
    seed: int = 0,
    seconds: float | None = None,
    temperature: float = TEMPERATURE,
    guidance: float | None = GUIDANCE,
    polish: int = POLISH,
    start: Int[np.ndarray, "F q"] | None = None,
) -> Generated:
    """Generate one clip per caption.

    Clips longer than those the policy was trained on are continued window by window, each seeing the half
    window before it. Same arguments on the same machine, same bits.

    Args:
      bundle: loaded models.
      captions: free text, checked by :func:`~antiphon.worlds.music.text_features.check_caption`.
      model: name of a policy of the bundle, path of a weights file, or the weights.
      seed: of plan and tokens.
      seconds: length, rounded up to frames of 40 ms; by default the length of the training clips.
      temperature: of the coarse tokens.
      guidance: classifier-free guidance; None or 1 turns it off and halves the cost.
      polish: Griffin-Lim iterations after decoding; 0 for none.
      start: tokens of a clip to continue, at least the coarse levels. They are part of the result, in every
        level that is given, and of ``seconds``.

    Raises:
      UserError: a caption, length, temperature or model cannot be used, or weights are damaged.
    """
    if not captions:
        raise UserError("caption", "there is no caption", "give at least one")
    sizes = bundle.sizes
    frames = sizes.frames if seconds is None else frames_of(seconds)
    check_sampling(seed, temperature, guidance, polish)
    if start is not None:
        check_start(sizes, start, frames)
    captions = [check_caption(text) for text in captions]
    policy = bundle.named_policy(model) if isinstance(model, str) else model
    # Weights are read when first used: damage is to be said before minutes of drawing.
    _ = bundle.planner, bundle.fine, bundle.codec
    words = hash_words(captions)
    key = jax.random.key(seed)
    pieces = []
    for begin in range(0, len(captions), BATCH):
        batch = words[begin : begin + BATCH]
        size = 1 << (len(batch) - 1).bit_length()  # few shapes to compile: 1, 2, 4, 8, 16
        batch = np.concatenate([batch, np.repeat(batch[-1:], size - len(batch), axis=0)])
        key_plan, key_draw, key_fine = jax.random.split(jax.random.fold_in(key, begin), 3)
        tempo, metre = planner.plan(bundle.planner, key_plan, jnp.asarray(batch))
        coarse = draw_coarse(
            sizes, policy, key_draw, batch, tempo, metre, frames, temperature, guidance, start
        )
        tokens, audio = fill_and_decode(bundle, key_fine, coarse, polish, start)
        piece = (0.9 * audio / peak_of(audio), tokens, np.asarray(tempo), np.asarray(metre))
        pieces.append(tuple(part[: len(captions) - begin] for part in piece))
    return Generated(*(np.concatenate(parts) for parts in zip(*pieces, strict=True)))


def draw_coarse(
    sizes: Sizes,
    policy: PyTree,
    key: PRNGKeyArray,
    words: Int[np.ndarray, "B W P"],
    tempo: Int[Array, " B"] | Int[np.ndarray, " B"],
    metre: Int[Array, " B"] | Int[np.ndarray, " B"],
    frames: int,
    temperature: float = TEMPERATURE,
    guidance: float | None = None,
    start: Int[np.ndarray, "f q"] | None = None,
) -> Int[Array, "B F L"]:
    """Coarse tokens of any number of frames, window by window.

    Args:
      sizes: of the models.
      policy: weights.
      key: of the draws.
      words: hashed captions.
      tempo: of each clip, planned or known.
      metre: likewise.
      frames: ``F``, those of ``start`` included.
      temperature: of the draws.
      guidance: None or 1 for none.
      start: tokens of at least the coarse levels that every clip begins with.
    """
    count, levels = len(words), sizes.levels
    tempo, metre = jnp.asarray(tempo), jnp.asarray(metre)
    window = min(frames, sizes.frames)
    draw = _draw(sizes, guidance is not None and guidance != 1.0)
    done = jnp.zeros((count, 0, levels), jnp.int32)
    if start is not None:
        given = jnp.asarray(start[:, :levels], jnp.int32)
        done = jnp.broadcast_to(given, (count, *given.shape))
    while done.shape[1] < frames:
        known = min(done.shape[1], window // 2 if done.shape[1] else 0)
        first = done.shape[1] - known
        prefix = jnp.zeros((count, window, levels), jnp.int32).at[:, :known].set(done[:, first:])
        side = beat_side(tempo, metre, window, first)
        context = FrameContext(jnp.asarray(words), side, jnp.ones(count, bool))
        key, key_window = jax.random.split(key)
        drawn = draw(
            policy, key_window, context, temperature, 1.0 if guidance is None else guidance,
            prefix.reshape(count, -1), known,
        )  # fmt: skip
        done = jnp.concatenate([done, drawn.reshape(count, window, levels)[:, known:]], axis=1)
    return done[:, :frames]


def fill_and_decode(
    bundle: Bundle,
    key: PRNGKeyArray,
    coarse: Int[Array, "B F L"],
    polish: int = POLISH,
    start: Int[np.ndarray, "f q"] | None = None,
) -> tuple[Int[np.ndarray, "B F Q"], Float[np.ndarray, "B N"]]:
    """Tokens of all levels and the audio, not scaled.

    Args:
      bundle: loaded models.
      key: of the fine levels.
      coarse: tokens of the levels that the policy speaks.
      polish: Griffin-Lim iterations; 0 for none.
      start: tokens of first frames whose fine levels are known too; they replace what is drawn there.
    """
    tokens = _fill(bundle.sizes)(bundle.fine, key, coarse)
    if start is not None:
        frames, levels = start.shape[0], min(start.shape[1], tokens.shape[2])
        tokens = tokens.at[:, :frames, :levels].set(jnp.asarray(start[:, :levels], tokens.dtype))
    return np.asarray(tokens), np.asarray(_decode(bundle.codec, tokens, polish))


def peak_of(audio: Float[np.ndarray, "*B N"]) -> Float[np.ndarray, "*B 1"]:
    """Largest magnitude of each clip, at least 0.001 so that silence is not blown up."""
    return np.maximum(np.abs(audio).max(axis=-1, keepdims=True), 1e-3)


def frames_of(seconds: float) -> int:
    """Token frames of a length, rounded up.

    Raises:
      UserError: it is not above 0, or above :data:`SECONDS_MAX`.
    """
    if not 0 < seconds <= SECONDS_MAX:
        raise UserError(
            "seconds",
            f"{seconds} seconds cannot be generated",
            f"ask for more than 0 and at most {SECONDS_MAX:g}",
        )
    return max(1, math.ceil(seconds / FRAME_SECONDS - 1e-6))


def check_sampling(seed: int, temperature: float, guidance: float | None, polish: int) -> None:
    """Refuse what nothing can be drawn with.

    Raises:
      UserError: the first that cannot be used is named.
    """
    if not -(2**31) <= seed < 2**32:  # beyond, jax would take it modulo 2**32 and two seeds would be one
        raise UserError("seed", f"seed is {seed}", "give a whole number from 0 to 4294967295")
    if not 0 < temperature < math.inf:
        raise UserError(
            "temperature", f"temperature is {temperature}", "use a number above 0, for example 0.99"
        )
    if guidance is not None and not math.isfinite(guidance):
        raise UserError("guidance", f"guidance is {guidance}", "use a number such as 1.75, or 1 for none")
    if polish < 0:
        raise UserError("polish", f"polish is {polish}", "give a number of iterations, 0 for none")


def check_start(sizes: Sizes, start: Int[np.ndarray, "F q"], frames: int) -> None:
    """Refuse tokens that cannot be continued to ``frames`` frames.

    Raises:
      UserError: levels are missing, tokens are no codes, or nothing would be left to add.
    """
    if start.ndim != 2 or start.shape[1] < sizes.levels:
        raise UserError(
            "tokens",
            f"the clip to continue has tokens of shape {start.shape}",
            f"give frames of at least {sizes.levels} levels each",
        )
    codes = sizes.policy.codes
    if start.size and not 0 <= start.min() <= start.max() < codes:
        raise UserError(
            "tokens", "the clip to continue has tokens outside the codebooks", f"give codes below {codes}"
        )
    if len(start) >= frames:
        has, asked = len(start) * FRAME_SECONDS, frames * FRAME_SECONDS
        raise UserError(
            "seconds",
            f"the clip to continue has {has:.2f} s, not less than the {asked:.2f} s asked for",
            "ask for more seconds or give a shorter clip",
        )


@cache
def _draw(sizes: Sizes, guided: bool):
    def draw(policy, key, context, temperature, guidance, prefix, prefix_frames):
        return sizes.policy.sample(
            policy, key, context, temperature=temperature, guidance=guidance if guided else None,
            prefix=prefix, prefix_frames=prefix_frames,
        )  # fmt: skip

    return jax.jit(draw)


@cache
def _fill(sizes: Sizes):
    return jax.jit(sizes.fine.fill)


@partial(jax.jit, static_argnames="polish")
def _decode(codec, tokens, polish: int):
    return codec.decode_polished(tokens, polish) if polish else codec.decode(tokens)
