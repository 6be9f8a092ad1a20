"""The stages that make the base model, on a data set of noise: what each reads, leaves and refuses."""

import json
from dataclasses import asdict, replace

import jax
import numpy as np
import pytest

from antiphon.core.errors import UserError
from antiphon.nets.weights import load_tree, save_tree
from antiphon.studies import music_base
from antiphon.studies.music_base import Config, embedding, packing
from antiphon.studies.music_base.clips import attributes_of, clip_of, clips
from antiphon.studies.music_base.packing import last_metrics
from antiphon.train.metrics import Record, read_metrics
from antiphon.train.run_directory import RunDirectory
from antiphon.worlds.music.attributes import METRES, TEMPI
from antiphon.worlds.music.bundle import NETWORKS, Bundle
from antiphon.worlds.music.codec import FRAME
from antiphon.worlds.music.dataset import Dataset, DatasetConfig
from antiphon.worlds.music.judging import Reference
from antiphon.worlds.music.prompts import draw_prompts

FRAMES, CLIPS = 32, 40


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Forty clips of noise in two shards, each with attributes; no clips to validate or test with."""
    folder = tmp_path_factory.mktemp("data")
    config = DatasetConfig(train=CLIPS, valid=0, test=0, seconds=FRAMES * 0.04)
    (folder / "config.json").write_text(json.dumps(asdict(config)))
    truth = draw_prompts(0, CLIPS, held_out=False).attributes
    rng = np.random.default_rng(0)
    (folder / "train").mkdir()
    for number, rows in enumerate((range(25), range(25, CLIPS))):
        audio = rng.integers(-9000, 9000, (len(rows), FRAMES * FRAME)).astype(np.int16)
        np.save(folder / "train" / f"{number:05d}.npy", audio)
        lines = [json.dumps({"clip": i, "attributes": asdict(truth[i])}) for i in rows]
        (folder / "train" / f"{number:05d}.jsonl").write_text("\n".join(lines) + "\n")
    return Dataset.open(folder)


@pytest.fixture(scope="module")
def config(dataset):
    small = Config(
        codec_width=32, codec_steps=2, decoder_steps=2, width=64, layers=1, policy_steps=2, policy_batch=4,
        embedding_steps=2, embedding_batch=8, quality_steps=2, fine_steps=2, planner_steps=2, listening=CLIPS,
    )  # fmt: skip
    return music_base.with_data(small, dataset)


def new_run(config, folder):
    return RunDirectory.create("music-base", config, seed=0, root=folder)


def test_clips_come_in_order_and_in_equal_batches(dataset):
    whole = np.concatenate(dataset.audio("train"))
    batches = list(clips(dataset, "train", 16))
    assert [batch.shape for batch in batches] == [(16, FRAMES * FRAME)] * 3
    joined = np.concatenate(batches)
    np.testing.assert_array_equal(joined[:CLIPS], whole.astype(np.float32) / 32768)
    assert not joined[CLIPS:].any()
    few = list(clips(dataset, "train", 16, limit=18))
    np.testing.assert_array_equal(np.concatenate(few)[:18], joined[:18])
    assert not few[1][2:].any()
    assert list(clips(dataset, "valid", 16)) == []


def test_a_clip_is_found_by_its_number(dataset):
    shards = dataset.audio("train")
    whole = np.concatenate(shards)
    for number in (0, 24, 25, CLIPS - 1):
        np.testing.assert_array_equal(clip_of(shards, number), whole[number])
    with pytest.raises(IndexError):
        clip_of(shards, CLIPS)


def test_attributes_are_those_of_the_records(dataset):
    truth = attributes_of(dataset, "train")
    assert tuple(truth) == draw_prompts(0, CLIPS, held_out=False).attributes
    assert attributes_of(dataset, "train", 7) == truth[:7]


def test_policy_batches_pair_tokens_with_their_caption(config, dataset):
    truth = attributes_of(dataset, "train")
    # The first token of a clip is its number, so that it can be found again.
    tokens = np.zeros((CLIPS, FRAMES, 8), np.int16)
    tokens[:, 0, 0] = np.arange(CLIPS)
    make = music_base.policy_batches(config, tokens, truth, 200)
    batch, again, other = make(3), make(3), make(4)
    assert batch.tokens.shape == batch.mask.shape == (200, FRAMES * 3)
    np.testing.assert_array_equal(batch.tokens, again.tokens)
    np.testing.assert_array_equal(batch.context.words, again.context.words)
    assert (batch.tokens[:, 0] != other.tokens[:, 0]).any()
    chosen = [truth[i] for i in batch.tokens[:, 0]]
    # Frame 0 is the first of its sixteenth and bar, so its categories are those of tempo and metre alone.
    side = np.asarray(batch.context.side)[:, 0]
    np.testing.assert_array_equal(side[:, 0], [6 * TEMPI.index(a.tempo) for a in chosen])
    np.testing.assert_array_equal(side[:, 1], [16 * METRES.index(a.metre) for a in chosen])
    # A tenth of 200, within four standard deviations.
    assert 20 - 17 <= np.sum(~np.asarray(batch.context.present)) <= 20 + 17


@pytest.mark.parametrize("parity", [0, 1])
def test_the_two_embeddings_never_hear_the_same_clip(config, dataset, parity):
    truth = attributes_of(dataset, "train")
    numbers = np.arange(CLIPS, dtype=np.float16)[:, None, None] * np.ones((1, 4, 80), np.float16)
    heard = {"real": numbers, "coarse": numbers + 100, "full": numbers + 200}
    make = embedding._batches(config, heard, truth, parity)
    seen = np.concatenate([make(step).mel[:, 0, 0] for step in range(40)])
    assert set(seen % 100 % 2) == {parity}
    assert len(set(seen % 100)) == CLIPS // 2
    share = [np.mean(seen // 100 == i) for i in range(3)]
    np.testing.assert_allclose(share, [0.35, 0.5, 0.15], atol=0.12)  # of 320 draws
    batch = make(0)
    alike = [truth[int(i)] for i in batch.mel[:, 0, 0] % 100]
    same = np.array([[a == b for b in alike] for a in alike])
    np.testing.assert_array_equal(batch.same[:, None] == batch.same[None], same)
    assert (np.asarray(batch.words) != np.asarray(batch.wrong)).any(axis=(1, 2)).all()


def test_last_metrics_are_means_of_ten_records():
    records = [Record("codec", i, 0.0, {"loss": float(i)}) for i in range(1, 21)]
    records += [Record("policy", 1, 0.0, {"loss": 3.0, "kl": 1.0})]
    assert last_metrics(records) == {"codec": {"loss": 15.5}, "policy": {"loss": 3.0, "kl": 1.0}}
    assert last_metrics([]) == {}


def test_a_stage_says_what_it_needs(config, dataset, tmp_path):
    run = new_run(config, tmp_path)
    for stages, missing in (
        (("tokens",), "codec"), (("reward",), "codec"), (("decoder",), "tokens"),
        (("fine",), "tokens"), (("policy",), "tokens"),
    ):  # fmt: skip
        with pytest.raises(UserError, match=f"run stage {missing} first"):
            music_base.train(config, dataset, run, stages)
    with pytest.raises(UserError, match=r"codec\.safetensors, which is not there; run stage codec first"):
        music_base.pack_run(config, dataset, run, tmp_path / "models")
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize("field", ["levels", "policy_steps", "listening"])
def test_sizes_that_cannot_be_built_are_refused(field):
    with pytest.raises(UserError, match=f"{field} is 0; give at least 1"):
        Config(**{field: 0})


def test_tokens_are_the_codec_s_and_are_written_once(config, dataset, tmp_path):
    run = new_run(config, tmp_path)
    rng = np.random.default_rng(1)
    shape = music_base.sizes_of(config).shapes()["codec"]
    codec = jax.tree.map(lambda leaf: (0.1 * rng.standard_normal(leaf.shape)).astype(np.float32), shape)
    save_tree(music_base.weights_path(run, "codec"), codec)
    music_base.train(config, dataset, run, ("tokens",))
    tokens = music_base.load_tokens(run, "train")
    assert (tokens.shape, tokens.dtype) == ((CLIPS, FRAMES, 8), np.int16)
    assert music_base.load_tokens(run, "valid").shape == (0, FRAMES, 8)
    wave = next(clips(dataset, "train", 32))
    known = jax.jit(type(codec).encode)(music_base.load_codec(config, run), wave)
    np.testing.assert_array_equal(tokens[:32], known)
    before = {path.name: path.stat().st_mtime_ns for path in run.path.glob("tokens-*.npy")}
    music_base.train(config, dataset, run, ("tokens",))
    assert {path.name: path.stat().st_mtime_ns for path in run.path.glob("tokens-*.npy")} == before


@pytest.mark.slow
def test_all_stages_make_a_bundle(config, dataset, tmp_path, monkeypatch, capfd):
    run = new_run(config, tmp_path)
    music_base.train(config, dataset, run)
    fits = ("codec", "decoder", "planner", "reward", "judge", "quality", "fine", "policy")
    assert {(r.fit, r.step) for r in read_metrics(run.metrics)} >= {(fit, 2) for fit in fits}
    before = run.metrics.read_bytes()
    music_base.train(config, dataset, run)  # every file is there, so nothing is trained again
    assert run.metrics.read_bytes() == before
    assert capfd.readouterr().err.count("already trained") == len(fits)

    heard = []

    def listens(wave, attributes):
        heard.append((wave, attributes))
        count = len(wave)
        names = np.array(["piano"] * count)
        return Reference(np.zeros((count, 50)), np.zeros((count, 200)), names, names, np.ones(count))

    monkeypatch.setattr(packing, "make_reference", listens)
    music_base.pack_run(config, dataset, run, tmp_path / "models")
    bundle = Bundle.load(tmp_path / "models")
    assert bundle.sizes == music_base.sizes_of(config)
    assert set(bundle.made("base")["figures"]) == set(fits)
    assert heard[0][0].shape == (CLIPS, FRAMES * FRAME)
    assert heard[0][1] == attributes_of(dataset, "train")
    assert len(Reference.load(tmp_path / "models" / "reference.npz").polyphony) == CLIPS
    # The bundle's codec is the one that was trained, in half precision.
    for trained, packed in zip(
        jax.tree.leaves(music_base.load_codec(config, run)), jax.tree.leaves(bundle.codec), strict=True
    ):
        np.testing.assert_allclose(packed, trained, rtol=2**-11, atol=2**-24)
    assert len(bundle.files) == len(NETWORKS)
    assert all(leaf.shape for leaf in jax.tree.leaves(bundle.policy))

    # A new run begins with the bundle: the policy goes on from where it stood, the rest is kept as it is.
    again = RunDirectory.create("music-base", config, seed=0, root=tmp_path / "again")
    music_base.begin_from(bundle, config, again, ("policy",))
    kept = {path.stem for path in again.path.glob("*.safetensors")}
    assert kept == {*NETWORKS, "policy-beginning"} - {"policy"}
    slow = replace(config, policy_learning_rate=0.0)
    music_base.train(slow, dataset, again, ("tokens", "policy"))
    trained = load_tree(music_base.weights_path(again, "policy"), bundle.sizes.shapes()["policy"])
    jax.tree.map(np.testing.assert_array_equal, trained, bundle.policy)
    with pytest.raises(UserError, match="choose the size and the data that the bundle was made with"):
        music_base.begin_from(bundle, replace(config, layers=2), again, ("policy",))
