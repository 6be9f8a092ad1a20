"""Do semantic tokens help the music policy? Two policies of one size; one first says what sound comes.

In MusicLM (arXiv 2301.11325), on which MusicRL stands, a model writes coarse semantic tokens before a second
one writes the codec's. Here the semantic token of a stretch of 160 ms is the first level of each of its
frames, drawn before the codec's tokens of that frame, which are conditioned on it. It is compared with the
same data, number of updates and sampling without it.

Run as a program, ``python -m antiphon.studies.music_semantic DATA RUN OUT``: DATA is a built data set, RUN a
run of ``antiphon music train`` that has written its tokens, OUT where the new run goes; a fourth word, the
run that an interrupted one left, goes on with that.
"""

import json
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int32, PyTree

from antiphon.core import statistics
from antiphon.core.statistics import Interval
from antiphon.methods.sft import SFT
from antiphon.studies.music_base.clips import attributes_of, clips
from antiphon.studies.music_base.config import Config as BaseConfig
from antiphon.studies.music_base.policy import policy_batches
from antiphon.studies.music_base.tokens import load_tokens
from antiphon.studies.music_columns import FIGURES, TestClips, load_clips, rebuild
from antiphon.train.files import plain
from antiphon.train.fit import fit
from antiphon.train.pieces import done_once
from antiphon.train.run_directory import RunDirectory
from antiphon.worlds.music.bundle import Bundle
from antiphon.worlds.music.dataset import Dataset
from antiphon.worlds.music.judging import REFERENCE, Heard, Reference, distances, hear
from antiphon.worlds.music.musicnn import load_musicnn
from antiphon.worlds.music.policy import grid_context, music_model
from antiphon.worlds.music.semantic import fit_codes, semantic_tokens, stretch_features, with_semantic

ARMS = ("acoustic", "semantic")
_BATCH = 32


@dataclass(frozen=True)
class Config:
    """Sizes.

    Attributes:
        clips: training clips.
        codes: kinds of sound.
        width: of both policies.
        layers: of both policies.
        levels: codec levels that both speak.
        steps: updates of each.
        batch: clips in an update.
        learning_rate: peak.
        judged: test clips whose captions both play; a multiple of 32.
        notes: also transcribe what they play.
        seed: of everything.
        base: what the other stages of ``antiphon music train`` would do.
    """

    clips: int = 8000
    codes: int = 128
    width: int = 128
    layers: int = 3
    levels: int = 3
    steps: int = 2500
    batch: int = 16
    learning_rate: float = 3e-3
    judged: int = 256
    notes: bool = True
    seed: int = 0
    base: BaseConfig = field(default_factory=BaseConfig)


def run(config: Config, dataset: Dataset, tokens_of: RunDirectory, run: RunDirectory) -> dict[str, Any]:
    """Trains both, lets both play the captions of test clips, and has outside judges listen.

    Returns:
        Figures by arm, each with its interval, and ``difference``: semantic less acoustic on the same
        captions.
    """
    tokens = load_tokens(tokens_of, "train")[: config.clips]
    semantic = _semantic(config, dataset, run)
    truth = attributes_of(dataset, "train", config.clips)
    bundle = Bundle.load()
    reference = Reference.load(bundle.folder / REFERENCE)
    test = load_clips(dataset, config.judged)
    heard: dict[str, Heard] = {}
    for arm in ARMS:
        said = tokens if arm == "acoustic" else with_semantic(semantic, tokens)
        levels = config.levels + (arm == "semantic")
        params = _trained(config, run, arm, levels, said, truth)
        wave = _played(config, bundle, params, levels, test)
        heard[arm] = hear(wave, list(test.prompts.attributes), reference, notes=config.notes)
    found: dict[str, Any] = {
        arm: {name: _mean(getattr(one, name)) for name in FIGURES} | distances(one, reference)
        for arm, one in heard.items()
    }
    found["difference"] = {
        name: _mean(getattr(heard["semantic"], name) - getattr(heard["acoustic"], name)) for name in FIGURES
    }
    return found


def _semantic(config: Config, dataset: Dataset, run: RunDirectory) -> np.ndarray:
    """Semantic tokens of the training clips, ``[clips, F]``."""

    def make() -> dict[str, np.ndarray]:
        tagger = load_musicnn()
        some = [
            np.asarray(stretch_features(tagger, jnp.asarray(wave)))
            for wave in clips(dataset, "train", _BATCH, min(1024, config.clips))
        ]
        features = np.concatenate(some).reshape(-1, some[0].shape[-1])
        centres = fit_codes(features, config.codes, config.seed)
        waves = clips(dataset, "train", _BATCH, config.clips)
        return {"tokens": semantic_tokens(tagger, centres, waves)[: config.clips], "centres": centres}

    return done_once(run, "semantic", make)["tokens"]


def _trained(
    config: Config, run: RunDirectory, arm: str, levels: int, tokens: np.ndarray, truth: list[Any]
) -> PyTree:
    model = music_model(config.width, config.layers, levels)
    method = SFT(model, config.learning_rate, config.steps, warmup=200, groups=levels)
    key_init, key_fit = jax.random.split(jax.random.key(config.seed + 31))
    state = method.init(model.init(key_init))
    batches = policy_batches(
        replace(config.base, levels=levels, seed=config.seed), tokens, truth, config.batch
    )
    state = fit(
        method.step, state, steps=config.steps, key=key_fit, batches=batches, chunk=50, run=run, name=arm,
        checkpoint_every=4, log_every=10,
    )  # fmt: skip
    return state.params


def _played(config: Config, bundle: Bundle, params: PyTree, levels: int, test: TestClips) -> np.ndarray:
    """Audio for the captions of the test clips, from the codec's levels alone."""
    model, frames = music_model(config.width, config.layers, levels), bundle.sizes.frames
    draw = jax.jit(lambda key, context: model.sample(params, key, context, temperature=0.99))
    coarse: list[Int32[np.ndarray, "B F L"]] = []
    words, tempo, metre = test.prompts.words, test.prompts.tempo, test.prompts.metre
    for at in range(0, len(words), _BATCH):
        part = slice(at, at + _BATCH)
        context = grid_context(words[part], tempo[part], metre[part], frames)
        key = jax.random.fold_in(jax.random.key(config.seed), at)
        drawn = np.asarray(draw(key, context)).reshape(-1, frames, levels)
        coarse.append(drawn[..., levels - config.levels :])
    return rebuild(bundle.codec, np.concatenate(coarse), config.levels)


def _mean(values: Float[np.ndarray, " clips"]) -> Interval:
    """Over the clips in which there is something to measure, if there are any."""
    measured = values[np.isfinite(values)]
    return statistics.mean(measured if measured.size else values)


def main(data: str, tokens_of: str, out: str, resumed: str | None = None) -> None:
    """Prints every figure as one JSON object."""
    config = Config()
    if resumed is None:
        folder = RunDirectory.create("music-semantic", config, seed=config.seed, root=Path(out))
    else:
        folder = RunDirectory.resume(Path(resumed), config)
    found = run(config, Dataset.open(Path(data)), RunDirectory.open(Path(tokens_of)), folder)
    print(json.dumps(plain(found)))


if __name__ == "__main__":
    main(*sys.argv[1:])
