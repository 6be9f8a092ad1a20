"""Captions to audio: plan, draw coarse tokens, fill in the fine ones, decode, polish."""

from dataclasses import dataclass
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PyTree

from antiphon.core.errors import UserError
from antiphon.nets.frame_model import FrameContext
from antiphon.worlds.music import planner
from antiphon.worlds.music.bundle import Bundle, Sizes
from antiphon.worlds.music.codec import FRAME
from antiphon.worlds.music.policy import beat_side
from antiphon.worlds.music.spectrum import SAMPLE_RATE
from antiphon.worlds.music.text_features import check_caption, hash_words

BATCH = 16
SECONDS_MAX = 120.0
TEMPERATURE = 0.99
"""As in arXiv 2402.04229 for all models."""
GUIDANCE = 1.75


@dataclass(frozen=True, eq=False)
class Generated:
    """Clips in the order of their captions. ``audio`` ``[B, N]`` float32 at 16 kHz, peak 0.9; ``tokens`` ``[B, F, Q]`` all levels; ``tempo`` and ``metre`` ``[B]`` as planned."""

    audio: Float[np.ndarray, "B N"]
    tokens: Int[np.ndarray, "B F Q"]
    tempo: Int[np.ndarray, " B"]
    metre: Int[np.ndarray, " B"]


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


def generate(
    bundle: Bundle,
    captions: list[str],
    *,
    model: str | PyTree = "base",
    seed: int = 0,
    seconds: float | None = None,
    temperature: float = TEMPERATURE,
    guidance: float | None = GUIDANCE,
    polish: int = 8,
    start: Int[np.ndarray, "F q"] | None = None,
) -> Generated:
    """Generate one clip per caption.

    Clips longer than those the policy was trained on are continued window by window, each seeing the half window before it. Same arguments on the same machine, same bits.

    Args:
      bundle: loaded models.
      captions: free text, checked by :func:`~antiphon.worlds.music.text_features.check_caption`.
      model: name of a policy of the bundle, path of a weights file, or the weights.
      seed: of plan and tokens.
      seconds: length, rounded up to frames of 40 ms; by default the length of the training clips.
      temperature: of the coarse tokens.
      guidance: classifier-free guidance; None or 1 turns it off and halves the cost.
      polish: Griffin-Lim iterations after decoding; 0 for none.
      start: tokens of a clip to continue, at least the coarse levels; they are part of the result and of ``seconds``.

    Raises:
      UserError: a caption, length, temperature or model cannot be used.
    """
    sizes = bundle.sizes
    frames = sizes.frames if seconds is None else _frames(seconds)
    if temperature <= 0:
        raise UserError("temperature", f"temperature is {temperature}", "use a number above 0, for example 0.99")
    if start is not None and len(start) >= frames:
        raise UserError(
            "seconds",
            f"the clip to continue has {len(start) * FRAME / SAMPLE_RATE:.2f} s, not less than the {frames * FRAME / SAMPLE_RATE:.2f} s asked for",
            "ask for more seconds or give a shorter clip",
        )
    captions = [check_caption(text) for text in captions]
    policy = bundle.named_policy(model) if isinstance(model, str) else model
    words = hash_words(captions)
    key = jax.random.key(seed)
    pieces = []
    for begin in range(0, len(captions), BATCH):
        batch = words[begin : begin + BATCH]
        size = 1 << (len(batch) - 1).bit_length()  # few shapes to compile: 1, 2, 4, 8, 16
        batch = np.concatenate([batch, np.repeat(batch[-1:], size - len(batch), axis=0)])
        piece = _generate_batch(
            bundle, policy, jax.random.fold_in(key, begin), batch, frames, temperature, guidance, polish, start
        )
        pieces.append(tuple(part[: min(BATCH, len(captions) - begin)] for part in piece))
    return Generated(*(np.concatenate(parts) for parts in zip(*pieces, strict=True)))


def _frames(seconds: float) -> int:
    if not 0 < seconds <= SECONDS_MAX:
        raise UserError("seconds", f"{seconds} seconds cannot be generated", f"ask for more than 0 and at most {SECONDS_MAX:g}")
    return max(1, int(np.ceil(seconds * SAMPLE_RATE / FRAME - 1e-6)))


def _generate_batch(bundle: Bundle, policy, key, words, frames, temperature, guidance, polish, start):
    key_plan, key_draw, key_fine = jax.random.split(key, 3)
    tempo, metre = planner.plan(bundle.planner, key_plan, jnp.asarray(words))
    coarse = draw_coarse(bundle.sizes, policy, key_draw, words, tempo, metre, frames, temperature, guidance, start)
    tokens = _fill(bundle.sizes)(bundle.fine, key_fine, coarse)
    audio = np.asarray(_decode(bundle.codec, tokens, polish))
    peak = np.maximum(np.abs(audio).max(axis=1, keepdims=True), 1e-3)
    return 0.9 * audio / peak, np.asarray(tokens), np.asarray(tempo), np.asarray(metre)


def draw_coarse(
    sizes: Sizes, policy: PyTree, key, words: Array, tempo: Array, metre: Array, frames: int,
    temperature: float = TEMPERATURE, guidance: float | None = None, start: np.ndarray | None = None,
) -> Int[Array, "B F L"]:  # fmt: skip
    """Coarse tokens of any number of frames, window by window."""
    count, levels = len(words), sizes.levels
    window = min(frames, sizes.frames)
    guided = guidance is not None and guidance != 1.0
    draw = _draw(sizes, guided)
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
