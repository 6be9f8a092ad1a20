"""Every figure of the music models beside the same figure of real clips, of the codec and of random tokens.

A judge's number says little by itself: what the tagger makes of real clips is the most one may ask for,
what it makes of the codec's reconstructions is what a perfect policy would reach, and random tokens are
chance.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from antiphon.core import statistics
from antiphon.core.errors import UserError
from antiphon.studies.musicrl.judge import perform
from antiphon.worlds.music import planner, rvq
from antiphon.worlds.music.attributes import Attributes
from antiphon.worlds.music.bundle import Bundle
from antiphon.worlds.music.captions import caption
from antiphon.worlds.music.codec import Codec
from antiphon.worlds.music.codec_training import log_mel_distance
from antiphon.worlds.music.dataset import Dataset, arrange_clip, to_float
from antiphon.worlds.music.embedding import Embedding, clip_features, retrieval
from antiphon.worlds.music.judging import REFERENCE, Heard, Reference, distances, hear
from antiphon.worlds.music.prompts import Prompts
from antiphon.worlds.music.spectrum import SAMPLE_RATE
from antiphon.worlds.music.text_features import hash_words
from antiphon.worlds.music.transcription import load_transcriber, note_events, note_f1, transcribe

_BATCH = 16
FIGURES = ("hit", "probe", "tempo", "regularity", "in_key", "mode", "polyphony", "silence")


@dataclass(frozen=True, eq=False)
class TestClips:
    """Test clips.

    ``audio`` ``[N, samples]``, ``prompts`` in training wordings, ``paraphrases`` in wordings kept apart.
    """

    audio: np.ndarray
    prompts: Prompts
    paraphrases: tuple[str, ...]


def load_clips(dataset: Dataset, count: int) -> TestClips:
    """The first ``count`` clips of the test split: tunes and combinations that training never saw."""
    records = dataset.records("test")[:count]
    if len(records) < count:
        raise UserError("data", f"the test split holds {len(records)} clips, not {count}", "ask for fewer")
    audio = to_float(np.concatenate(dataset.audio("test"))[:count])
    attributes = tuple(Attributes(**record["attributes"]) for record in records)
    texts = tuple(record["captions"][0] for record in records)
    plans = np.array([a.plan for a in attributes], np.int32)
    prompts = Prompts(texts, attributes, hash_words(list(texts)), plans[:, 0], plans[:, 1])
    return TestClips(audio, prompts, tuple(record["captions"][-1] for record in records))


@partial(jax.jit, static_argnames="levels")
def _rebuild(codec: Codec, tokens: jax.Array, levels: int) -> jax.Array:
    return codec.decode(tokens[..., :levels])


def rebuild(codec: Codec, tokens: np.ndarray, levels: int) -> np.ndarray:
    """Audio of tokens ``[N, F, Q]`` from their first ``levels``; ``N`` a multiple of 16."""
    blocks = tokens.reshape(-1, _BATCH, *tokens.shape[1:])
    return np.concatenate([np.asarray(_rebuild(codec, block, levels)) for block in blocks])


def columns(bundle: Bundle, clips: TestClips, seed: int, *, notes: bool = True) -> dict[str, dict[str, Any]]:
    """Outside judges on real clips, the codec's reconstructions, each policy, guidance, and random tokens.

    Returns:
      ``{column: {figure: Interval}}`` with Fréchet distance and diversity as plain numbers.
    """
    reference = Reference.load(bundle.folder / REFERENCE)
    tokens = encode(bundle.codec, clips.audio)
    coarse = bundle.sizes.levels
    audio = {
        "real": clips.audio,
        "codec, all levels": rebuild(bundle.codec, tokens, tokens.shape[-1]),
        "codec, policy's levels": rebuild(bundle.codec, tokens, coarse),
    }
    for name in bundle.policies:
        audio[name] = perform(bundle, bundle.named_policy(name), clips.prompts, seed).audio
    audio["base, guided"] = perform(bundle, bundle.policy, clips.prompts, seed, guidance=1.75).audio
    codes = bundle.codec.codes.shape[1]
    noise = np.random.default_rng(seed).integers(codes, size=tokens.shape, dtype=np.int32)
    audio["random tokens"] = rebuild(bundle.codec, noise, coarse)
    found = {}
    for name, wave in audio.items():
        heard = hear(wave, list(clips.prompts.attributes), reference, notes=notes)
        found[name] = _summary(heard) | distances(heard, reference)
    return found


def _summary(heard: Heard) -> dict[str, Any]:
    return {name: statistics.mean(getattr(heard, name)) for name in FIGURES}


def encode(codec: Codec, audio: np.ndarray) -> np.ndarray:
    """Tokens of all levels; the number of clips must be a multiple of 16."""
    if len(audio) % _BATCH:
        raise UserError("usage", f"{len(audio)} clips", f"judge a multiple of {_BATCH}")
    run = jax.jit(Codec.encode)
    blocks = audio.reshape(-1, _BATCH, audio.shape[1])
    return np.concatenate([np.asarray(run(codec, block)) for block in blocks])


def codec_figures(bundle: Bundle, dataset: Dataset, clips: TestClips) -> dict[str, Any]:
    """How well the codec rebuilds test clips.

    Returns:
      ``log_mel`` distance and ``note_f1`` against the score by number of levels, ``usage`` and ``perplexity``
      of each level's codes.
    """
    tokens = encode(bundle.codec, clips.audio)
    used, perplexity = rvq.usage(jnp.asarray(tokens), bundle.codec.codes.shape[1])
    distance, f1 = {}, {}
    session = load_transcriber(2)
    scores = [arrange_clip(dataset.config, "test", i).notes for i in range(min(64, len(clips.audio)))]
    for levels in (1, 2, bundle.sizes.levels, tokens.shape[-1]):
        wave = rebuild(bundle.codec, tokens, levels)
        distance[levels] = float(np.mean(log_mel_distance(jnp.asarray(wave), jnp.asarray(clips.audio))))
        f1[levels] = _note_f1(session, wave[: len(scores)], scores)
    f1["real"] = _note_f1(session, clips.audio[: len(scores)], scores)
    return {
        "log_mel": distance, "note_f1": f1, "usage": np.round(np.asarray(used), 3).tolist(),
        "perplexity": np.round(np.asarray(perplexity), 1).tolist(),
    }  # fmt: skip


def _note_f1(session: Any, wave: np.ndarray, scores: list[Any]) -> float:
    posteriors = transcribe(session, wave, SAMPLE_RATE)
    total = []
    for i, score in enumerate(scores):
        pitched = score.program < 128
        events = note_events(posteriors.notes[i], posteriors.onsets[i])
        total.append(note_f1(score.start[pitched], score.pitch[pitched], events.start, events.pitch).f1)
    return float(np.mean(total))


def retrieval_figures(bundle: Bundle, clips: TestClips, count: int = 256) -> dict[str, dict[str, float]]:
    """Recall at 1 and 10 among ``count`` test clips.

    Both ways, for both embeddings, real and decoded audio, training wordings and paraphrases, with attributes
    left out as in training and with every attribute named.
    """
    towers = Embedding()
    audio = clips.audio[:count]
    decoded = rebuild(bundle.codec, encode(bundle.codec, audio), bundle.sizes.levels)
    names = {a: i for i, a in enumerate(dict.fromkeys(clips.prompts.attributes[:count]))}
    same = jnp.array([names[a] for a in clips.prompts.attributes[:count]])
    rng = np.random.default_rng(0)

    def complete(unseen: bool) -> np.ndarray:
        truth = clips.prompts.attributes[:count]
        return hash_words([caption(rng, a, unseen=unseen, complete=True) for a in truth])

    words = {
        "training words": clips.prompts.words[:count],
        "paraphrases": hash_words(list(clips.paraphrases[:count])),
        "training words, complete": complete(False),
        "paraphrases, complete": complete(True),
    }
    found = {}
    for tower, params in (("reward", bundle.judges.reward), ("judge", bundle.judges.judge)):
        hear_clip = jax.jit(lambda p, wave: towers.audio(p, clip_features(wave)))
        for kind, wave in (("real", audio), ("decoded", decoded)):
            heard = jnp.concatenate(
                [hear_clip(params, block) for block in wave.reshape(-1, _BATCH, wave.shape[1])]
            )
            for wording, hashed in words.items():
                text = towers.text(params, jnp.asarray(hashed))
                row = {f"{way}@{k}": v for k in (1, 10) for way, v in retrieval(text, heard, same, k).items()}
                found[f"{tower}, {kind}, {wording}"] = row
    return found


def planner_figures(bundle: Bundle, clips: TestClips) -> dict[str, float]:
    """How often the likeliest tempo and metre are the true ones, over captions that may not mention them."""
    tempo, metre = planner.logits(bundle.planner, jnp.asarray(clips.prompts.words))
    return {
        "tempo": float(np.mean(np.asarray(tempo).argmax(1) == clips.prompts.tempo)),
        "metre": float(np.mean(np.asarray(metre).argmax(1) == clips.prompts.metre)),
    }
