"""From scores to the base model: every network that the music world bundles, stage after stage.

    data -> codec -> tokens -> planner, two embeddings, quality, fine levels, policy

Each stage is one ``fit`` in one run directory and leaves one file; a stage whose file exists is skipped, an interrupted one continues where it stopped.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from antiphon.core.errors import UserError
from antiphon.methods.sft import SFT, SFTBatch
from antiphon.nets.weights import load_tree, save_tree
from antiphon.train.files import plain, write_atomically
from antiphon.train.fit import fit
from antiphon.train.progress import say
from antiphon.train.run_directory import RunDirectory
from antiphon.worlds.music import captions
from antiphon.worlds.music.attributes import METRES, TEMPI, Attributes
from antiphon.worlds.music.batches import audio_batches
from antiphon.worlds.music.bundle import NETWORKS, Sizes, pack
from antiphon.worlds.music.codec import Codec, CodecConfig
from antiphon.worlds.music.codec_training import CodecTraining
from antiphon.worlds.music.dataset import Dataset, DatasetConfig, to_float
from antiphon.worlds.music.embedding import EmbeddingBatch, EmbeddingTraining, clip_features
from antiphon.worlds.music.fine import FineModel, FineTraining
from antiphon.worlds.music.planner import PlannerTraining
from antiphon.worlds.music.policy import grid_context, music_model
from antiphon.worlds.music.quality import DEGRADATIONS, QualityTraining, degrade, score_of
from antiphon.worlds.music.text_features import hash_words

STAGES = ("codec", "tokens", "planner", "reward", "judge", "quality", "fine", "policy")


@dataclass(frozen=True)
class Config:
    """Sizes and lengths of every stage.

    ``levels`` are the codec levels that the policy speaks; ``listening`` is the number of clips the embeddings and the quality model learn from.
    """

    data: DatasetConfig = field(default_factory=DatasetConfig)
    codec_width: int = 256
    codec_steps: int = 5000
    levels: int = 3
    width: int = 256
    layers: int = 5
    policy_steps: int = 10_000
    policy_batch: int = 16
    policy_learning_rate: float = 2e-3
    embedding_steps: int = 800
    embedding_batch: int = 128
    quality_steps: int = 800
    fine_steps: int = 2000
    planner_steps: int = 1000
    listening: int = 6144
    seed: int = 0


PRESETS = {
    "smoke": Config(
        data=DatasetConfig(train=512, valid=64, test=64, seconds=2.56), codec_width=64, codec_steps=60, width=64,
        layers=2, policy_steps=60, policy_batch=8, embedding_steps=30, embedding_batch=32, quality_steps=30,
        fine_steps=30, planner_steps=60, listening=256,
    ),
    "laptop": Config(),
    "gpu": Config(
        data=DatasetConfig(train=60_000, valid=1024, test=2048, seconds=10.24), codec_steps=20_000, width=384,
        layers=8, policy_steps=40_000, policy_batch=64, policy_learning_rate=1e-3, embedding_steps=3000,
        embedding_batch=512, quality_steps=3000, fine_steps=10_000, listening=30_000,
    ),
}  # fmt: skip


def codec_config(config: Config) -> CodecConfig:
    """The codec's sizes."""
    return CodecConfig(width=config.codec_width)


def train(config: Config, dataset: Dataset, run: RunDirectory, stages: tuple[str, ...] = STAGES) -> None:
    """Run the named stages, in the order of :data:`STAGES`."""
    for name in STAGES:
        if name in stages:
            _STAGE[name](config, dataset, run)


def with_data(config: Config, dataset: Dataset) -> Config:
    """The configuration with the data set's own description."""
    return replace(config, data=dataset.config)


def sizes_of(config: Config) -> Sizes:
    """What a bundle of these networks needs to know."""
    return Sizes(config.codec_width, config.levels, config.width, config.layers, config.data.frames)


def pack_run(config: Config, run: RunDirectory, folder: Path | str, made: dict | None = None) -> None:
    """Write all networks of a run as a bundle."""
    sizes = sizes_of(config)
    shapes = sizes.shapes()
    networks = {name: load_tree(_need(run, name), shapes[name]) for name in NETWORKS}
    pack(folder, sizes, networks, made or {"command": "antiphon music train", "config": plain(config)})


def weights_path(run: RunDirectory, name: str) -> Path:
    """Where a stage leaves its weights."""
    return run.path / f"{name}.safetensors"


def _finished(run: RunDirectory, name: str) -> bool:
    if weights_path(run, name).exists():
        say(f"{name}: already trained, {weights_path(run, name)}")
        return True
    return False


def _need(run: RunDirectory, name: str) -> Path:
    path = weights_path(run, name)
    if not path.exists():
        raise UserError("stage", f"this stage needs {path}, which is not there", f"run stage {name} first")
    return path


def load_codec(config: Config, run: RunDirectory) -> Codec:
    """The codec that the codec stage left."""
    like = jax.eval_shape(lambda key: _codec_method(config).codec(_codec_method(config).init(key)), jax.random.key(0))
    return load_tree(_need(run, "codec"), like)


def _codec_method(config: Config) -> CodecTraining:
    return CodecTraining(codec_config(config), steps=config.codec_steps, coarse_levels=config.levels)


def _train_codec(config: Config, dataset: Dataset, run: RunDirectory) -> None:
    if _finished(run, "codec"):
        return
    method = _codec_method(config)
    batches = audio_batches(dataset, "train", batch=24, frames=24, seed=config.seed)
    key_init, key_fit = jax.random.split(jax.random.key(config.seed))
    state = fit(
        method.step, method.init(key_init), steps=config.codec_steps, key=key_fit, batches=batches, chunk=50,
        run=run, name="codec", checkpoint_every=4, log_every=10, show=("loss", "mel"),
    )  # fmt: skip
    save_tree(weights_path(run, "codec"), method.codec(state))


def _clips(dataset: Dataset, split: str, size: int, limit: int | None = None) -> Iterator[np.ndarray]:
    """Float audio of a split in batches of ``size`` (the last one padded with silence)."""
    total = sum(len(s) for s in dataset.audio(split))
    total = total if limit is None else min(total, limit)
    joined = (row for shard in dataset.audio(split) for row in shard)
    for start in range(0, total, size):
        rows = [next(joined) for _ in range(min(size, total - start))]
        batch = np.zeros((size, rows[0].shape[0]), np.float32)
        batch[: len(rows)] = to_float(np.stack(rows))
        yield batch


def _tokens_path(run: RunDirectory, split: str) -> Path:
    return run.path / f"tokens-{split}.npy"


def load_tokens(run: RunDirectory, split: str) -> np.ndarray:
    """Tokens of all levels of every clip of a split, ``[clips, frames, levels]`` int16."""
    path = _tokens_path(run, split)
    if not path.exists():
        raise UserError("stage", f"this stage needs {path}, which is not there", "run stage tokens first")
    return np.load(path)


def _train_tokens(config: Config, dataset: Dataset, run: RunDirectory) -> None:
    from io import BytesIO

    codec = None
    for split in ("train", "valid", "test"):
        if _tokens_path(run, split).exists():
            continue
        codec = codec or load_codec(config, run)
        encode = jax.jit(Codec.encode)
        pieces = [np.asarray(encode(codec, wave), np.int16) for wave in _clips(dataset, split, 32)]
        total = len(dataset.records(split))
        buffer = BytesIO()
        np.save(buffer, np.concatenate(pieces)[:total])
        write_atomically(_tokens_path(run, split), buffer.getvalue())
        say(f"tokens: {total} clips of split {split}")


def _attributes(dataset: Dataset, split: str, limit: int | None = None) -> list[Attributes]:
    return [Attributes(**record["attributes"]) for record in dataset.records(split)[:limit]]


def _train_planner(config: Config, dataset: Dataset, run: RunDirectory) -> None:
    if _finished(run, "planner"):
        return
    truth = _attributes(dataset, "train")

    def batches(step: int):
        rng = np.random.default_rng([config.seed, 11, step])
        chosen = [truth[i] for i in rng.integers(len(truth), size=128)]
        words = hash_words([captions.caption(rng, a) for a in chosen])
        return words, np.array([a.plan[0] for a in chosen]), np.array([a.plan[1] for a in chosen])

    method = PlannerTraining(steps=config.planner_steps)
    key_init, key_fit = jax.random.split(jax.random.key(config.seed + 1))
    state = fit(
        method.step, method.init(key_init), steps=config.planner_steps, key=key_fit, batches=batches, chunk=50,
        run=run, name="planner", checkpoint_every=8, log_every=10,
    )  # fmt: skip
    save_tree(weights_path(run, "planner"), state.params)


def _heard(config: Config, dataset: Dataset, run: RunDirectory) -> dict[str, np.ndarray]:
    """Log-mel frames (float16) of the first ``listening`` training clips: original, from the policy's levels, from all levels."""
    codec = load_codec(config, run)
    tokens = load_tokens(run, "train")[: config.listening]
    features = jax.jit(clip_features)
    decoded = jax.jit(lambda codec, tokens: clip_features(codec.decode(tokens)))
    real = [np.asarray(features(wave), np.float16) for wave in _clips(dataset, "train", 32, config.listening)]
    coarse, full = [], []
    for start in range(0, len(tokens), 32):
        block = np.zeros((32, *tokens.shape[1:]), np.int32)
        block[: len(tokens[start : start + 32])] = tokens[start : start + 32]
        coarse.append(np.asarray(decoded(codec, block[..., : config.levels]), np.float16))
        full.append(np.asarray(decoded(codec, block), np.float16))
    count = len(tokens)
    return {
        name: np.concatenate(pieces)[:count] for name, pieces in (("real", real), ("coarse", coarse), ("full", full))
    }


_HARD = ("instrument", "tempo", "mode", "texture", "register", "articulation", "metre", "drums")


def _train_embedding(name: str, parity: int) -> Callable[[Config, Dataset, RunDirectory], None]:
    def stage(config: Config, dataset: Dataset, run: RunDirectory) -> None:
        if _finished(run, name):
            return
        heard = _heard(config, dataset, run)
        truth = _attributes(dataset, "train", config.listening)
        mine = np.arange(len(truth))[parity::2]  # the two instances never hear the same clip
        names = {a: i for i, a in enumerate(dict.fromkeys(truth))}

        def batches(step: int) -> EmbeddingBatch:
            rng = np.random.default_rng([config.seed, 13 + parity, step])
            rows = rng.choice(mine, config.embedding_batch, replace=len(mine) < config.embedding_batch)
            kind = rng.choice(["real", "coarse", "full"], size=len(rows), p=[0.35, 0.5, 0.15])
            mel = np.stack([heard[k][i] for k, i in zip(kind, rows, strict=True)])
            chosen = [truth[i] for i in rows]
            right = [captions.caption(rng, a) for a in chosen]
            wrong = [captions.caption(rng, captions.change_one(rng, a, str(rng.choice(_HARD)))) for a in chosen]
            return EmbeddingBatch(mel, hash_words(right), hash_words(wrong), np.array([names[a] for a in chosen]))

        method = EmbeddingTraining(steps=config.embedding_steps)
        key_init, key_fit = jax.random.split(jax.random.key(config.seed + 2 + parity))
        state = fit(
            method.step, method.init(key_init), steps=config.embedding_steps, key=key_fit, batches=batches,
            chunk=20, run=run, name=name, checkpoint_every=5, log_every=5,
        )  # fmt: skip
        save_tree(weights_path(run, name), state.params)

    return stage


def _train_quality(config: Config, dataset: Dataset, run: RunDirectory) -> None:
    if _finished(run, "quality"):
        return
    codec = load_codec(config, run)
    tokens = load_tokens(run, "train")
    shards = dataset.audio("train")
    hear = jax.jit(lambda codec, coarse, full, wave, which: clip_features(
        jnp.where(which[:, None] == 0, codec.decode(coarse), jnp.where(which[:, None] == 1, codec.decode(full), wave))
    ))  # fmt: skip
    size, cache = 32, []
    rng = np.random.default_rng([config.seed, 17])
    for _ in range(max(1, config.listening // size)):
        rows = rng.integers(len(tokens), size=size)
        kinds = rng.choice(DEGRADATIONS, size=size, p=[0.06, 0.06, 0.12, 0.36, 0.08, 0.08, 0.08, 0.08, 0.08])
        severities = rng.uniform(0, 1, size) ** 2
        frames = tokens[rows].astype(np.int32)
        wave = to_float(np.stack([shards[i // 256][i % 256] for i in rows]))
        which = np.zeros(size, np.int32)
        for j, (kind, severity) in enumerate(zip(kinds, severities, strict=True)):
            if kind == "codec_fine":
                which[j] = 1
            elif kind == "wrong_tokens":
                # Half of the damage as single wrong tokens, half as frames taken from another clip.
                other = tokens[rng.integers(len(tokens))].astype(np.int32)
                by_frame = rng.random(frames.shape[1]) < 0.5 * severity
                by_token = rng.random(frames.shape[1:]) < 0.5 * severity
                frames[j] = np.where(by_frame[:, None] | by_token, other, frames[j])
            elif kind != "codec_coarse":
                which[j] = 2
                if kind != "none":
                    wave[j] = degrade(rng, wave[j], str(kind), float(severity))
        scores = [score_of(str(k), float(s)) for k, s in zip(kinds, severities, strict=True)]
        mel = np.asarray(hear(codec, frames[..., : config.levels], frames, wave, which), np.float16)
        cache.append((mel, np.array(scores, np.float32)))
    mels, scores = (np.concatenate(x) for x in zip(*cache, strict=True))

    def batches(step: int):
        rows = np.random.default_rng([config.seed, 19, step]).integers(len(mels), size=64)
        return mels[rows], scores[rows]

    method = QualityTraining(steps=config.quality_steps)
    key_init, key_fit = jax.random.split(jax.random.key(config.seed + 5))
    state = fit(
        method.step, method.init(key_init), steps=config.quality_steps, key=key_fit, batches=batches, chunk=20,
        run=run, name="quality", checkpoint_every=5, log_every=5,
    )  # fmt: skip
    save_tree(weights_path(run, "quality"), state.params)


def _train_fine(config: Config, dataset: Dataset, run: RunDirectory) -> None:
    del dataset
    if _finished(run, "fine"):
        return
    tokens = load_tokens(run, "train")

    def batches(step: int):
        rows = np.random.default_rng([config.seed, 23, step]).integers(len(tokens), size=16)
        return tokens[rows].astype(np.int32)

    method = FineTraining(FineModel(coarse=config.levels), steps=config.fine_steps)
    key_init, key_fit = jax.random.split(jax.random.key(config.seed + 6))
    state = fit(
        method.step, method.init(key_init), steps=config.fine_steps, key=key_fit, batches=batches, chunk=50,
        run=run, name="fine", checkpoint_every=4, log_every=10,
    )  # fmt: skip
    save_tree(weights_path(run, "fine"), state.params)


def policy_batches(
    config: Config, tokens: np.ndarray, truth: list[Attributes], batch: int
) -> Callable[[int], SFTBatch]:
    """Tokens of random clips with a fresh wording each; one caption in ten is left out (for guidance)."""
    frames = tokens.shape[1]

    def make(step: int) -> SFTBatch:
        rng = np.random.default_rng([config.seed, 29, step])
        rows = rng.integers(len(tokens), size=batch)
        chosen = [truth[i] for i in rows]
        words = hash_words([captions.caption(rng, a) for a in chosen])
        tempo = np.array([TEMPI.index(a.tempo) for a in chosen])
        metre = np.array([METRES.index(a.metre) for a in chosen])
        context = grid_context(words, tempo, metre, frames)._replace(present=rng.random(batch) >= 0.1)
        flat = tokens[rows][..., : config.levels].astype(np.int32).reshape(batch, -1)
        return SFTBatch(flat, context, np.ones(flat.shape, np.float32))

    return make


def _train_policy(config: Config, dataset: Dataset, run: RunDirectory) -> None:
    if _finished(run, "policy"):
        return
    model = music_model(config.width, config.layers, config.levels)
    method = SFT(model, config.policy_learning_rate, config.policy_steps, warmup=200, groups=config.levels)
    batches = policy_batches(config, load_tokens(run, "train"), _attributes(dataset, "train"), config.policy_batch)
    key_init, key_fit = jax.random.split(jax.random.key(config.seed + 7))
    state = fit(
        method.step, method.init(model.init(key_init)), steps=config.policy_steps, key=key_fit, batches=batches,
        chunk=50, run=run, name="policy", checkpoint_every=6, log_every=10,
    )  # fmt: skip
    save_tree(weights_path(run, "policy"), state.params)


_STAGE: dict[str, Callable[[Config, Dataset, RunDirectory], None]] = {
    "codec": _train_codec,
    "tokens": _train_tokens,
    "planner": _train_planner,
    "reward": _train_embedding("reward", 0),
    "judge": _train_embedding("judge", 1),
    "quality": _train_quality,
    "fine": _train_fine,
    "policy": _train_policy,
}
