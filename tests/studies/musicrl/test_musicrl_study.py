"""The whole study with a bundle of random weights: two arms, findings, clips, report, and resuming."""

import dataclasses
import json

import jax
import numpy as np
import pytest
import soundfile

from antiphon.core.errors import UserError
from antiphon.nets.weights import load_metadata
from antiphon.report.page import write_report
from antiphon.studies.musicrl import CLAIMS, Config, judge, run, study
from antiphon.studies.musicrl.arms import ArmConfig
from antiphon.train.media import read_media
from antiphon.train.metrics import read_metrics
from antiphon.train.run_directory import RunDirectory
from antiphon.worlds.music.bundle import Bundle, Sizes, add_policy, pack
from antiphon.worlds.music.codec import FRAME

TINY = Sizes(codec_width=32, levels=3, width=64, layers=1, frames=16)


def random_weights():
    rng = np.random.default_rng(0)

    def draw(leaf):
        scale = leaf.shape[-2] ** -0.5 if len(leaf.shape) > 1 else 0.5
        return (scale * rng.standard_normal(leaf.shape)).astype(leaf.dtype)

    return jax.tree.map(draw, TINY.shapes())


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundle")
    pack(folder, TINY, random_weights(), {})
    return Config(
        arms=("r", "text"), arm=ArmConfig(steps=2, prompts=2, group=2, microbatch=4, learning_rate=5e-3),
        judged=6, judged_bundle=8, best_of=2, best_of_captions=4, notes=False, pairs=2, bundle=str(folder),
    )  # fmt: skip


@pytest.fixture(scope="module")
def finished(config, tmp_path_factory):
    """A run that was stopped between its arms and then taken up again, with its findings."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(judge, "BATCH", 4)
        directory = RunDirectory.create("musicrl", config, seed=0, root=tmp_path_factory.mktemp("runs"))
        train_arm = study.train_arm

        def stopped(bundle, arm_config, arm, seed, where):
            if arm == "text":
                raise KeyboardInterrupt
            return train_arm(bundle, arm_config, arm, seed, where)

        patch.setattr(study, "train_arm", stopped)
        with pytest.raises(KeyboardInterrupt):
            run(config, directory)
        assert (directory.path / "policy-r.safetensors").exists()
        assert not (directory.path / "policy-text.safetensors").exists()
        before = directory.metrics.read_bytes()
        patch.setattr(study, "train_arm", train_arm)
        findings = run(config, RunDirectory.resume(directory.path, config))
        # What the first arm had done is not done again.
        assert directory.metrics.read_bytes().startswith(before)
        directory.write_findings(findings)
        yield directory, findings


def test_there_is_a_finding_for_every_claim_in_its_order(finished):
    directory, findings = finished
    assert [finding.id for finding in findings] == [claim.id for claim in CLAIMS]
    assert directory.read_findings() == findings
    assert len(json.loads((directory.path / "findings.json").read_text())) == len(CLAIMS)
    measured = {finding.id for finding in findings if finding.measured is not None}
    assert {"reward-rises", "kl-bounded", "text-rises", "quality-rises", "best-of-n", "text-only"} <= measured
    untested = {finding.id for finding in findings if finding.measured is None}
    assert untested >= {"tempo-kept", "scale-kept", "texture-kept", "tagger-kept", "diversity-kept"}
    assert "quality-only" in untested
    assert next(f for f in findings if f.id == "text-rises").note.startswith("live r against base on 6")


def test_both_arms_were_trained_and_moved_away_from_the_base(finished, config):
    directory, _ = finished
    records = read_metrics(directory.metrics)
    assert [(record.fit, record.step) for record in records] == [
        ("arm-r", 1), ("arm-r", 2), ("arm-text", 1), ("arm-text", 2),
    ]  # fmt: skip
    first, second = (record.values["kl"] for record in records[:2])
    assert first == pytest.approx(0, abs=1e-5)
    assert second > first
    bundle = Bundle.load(config.bundle)
    for arm in config.arms:
        path = directory.path / f"policy-{arm}.safetensors"
        moved = [
            float(np.abs(a - b).max())
            for a, b in zip(
                jax.tree.leaves(bundle.named_policy(str(path))), jax.tree.leaves(bundle.policy), strict=True
            )
        ]
        assert max(moved) > 0
        figures = load_metadata(path)["figures"]
        assert figures["captions"] == 6
        assert -1 <= figures["text"]["mean"] <= 1


def test_clips_and_pictures_are_there_and_the_report_is_built(finished, config):
    directory, _ = finished
    media = read_media(directory.path)
    assert len(media.pairs) == config.pairs
    for pair in media.pairs:
        assert [clip.label for clip in pair.clips] == ["before (base)", "after (live r)"]
        for clip in pair.clips:
            samples, rate = soundfile.read(directory.path / clip.audio)
            assert (len(samples), rate) == (16 * FRAME, 16000)
            assert np.abs(samples).max() == pytest.approx(0.9, abs=1e-3)
    rewards = [figure for figure in media.figures if figure.title.startswith("Reward against KL")]
    assert len(rewards) == 3
    for figure in rewards:
        assert [series.name for series in figure.series] == ["live r", "live text"]
        assert all(list(series.x) == sorted(series.x) for series in figure.series)
    table = next(table for table in media.tables if table.title.startswith("Scores"))
    assert [row[:2] for row in table.rows] == [
        ("base", 8), ("live r", 6), ("live text", 6), ("base, guided", 6),
    ]  # fmt: skip
    page = write_report(directory.path, "MusicRL", "arXiv 2402.04229").read_text()
    assert media.pairs[0].caption in page
    assert all(claim.id in page or claim.claim in page for claim in CLAIMS)


def test_a_second_run_trains_nothing_and_finds_the_same(finished, config, monkeypatch, capfd):
    directory, findings = finished
    monkeypatch.setattr(judge, "BATCH", 4)
    before = directory.metrics.read_bytes()
    assert run(config, RunDirectory.resume(directory.path, config)) == findings
    assert directory.metrics.read_bytes() == before
    said = capfd.readouterr().err
    assert "'arm-r' is finished at step 2" in said
    assert "'arm-text' is finished at step 2" in said


def test_equal_seeds_give_policies_equal_random_numbers(config, monkeypatch):
    monkeypatch.setattr(judge, "BATCH", 4)
    bundle = Bundle.load(config.bundle)
    prompts = study.draw_prompts(5, 6, held_out=True)
    full = judge.perform(bundle, bundle.policy, prompts, 3, audio=False)
    part = judge.perform(bundle, bundle.policy, prompts.first(4), 3, audio=False)
    assert len(full) == 6
    assert full.audio.shape == (0, 16 * FRAME)
    np.testing.assert_array_equal(full.coarse[:4], part.coarse)
    # What a performance is scored is what its tokens are scored.
    again = judge.score(bundle, prompts, full.coarse[2:6], np.arange(2, 6))
    for name, values in again.items():
        np.testing.assert_allclose(values, full.scores[name][2:6], atol=1e-5)


def test_a_bundled_r_is_the_main_model(config, tmp_path, monkeypatch):
    monkeypatch.setattr(judge, "BATCH", 4)
    pack(tmp_path / "bundle", TINY, random_weights(), {})
    base = Bundle.load(tmp_path / "bundle").policy
    curve = {
        "kl": [0.0, 2.0],
        "reward_text": [0.1, 0.2],
        "reward_quality": [0.3, 0.4],
        "reward_judge": [0, 1],
    }
    louder = jax.tree.map(lambda leaf: 1.1 * leaf, base)
    add_policy(tmp_path / "bundle", "r", louder, {"curve": curve})
    few = dataclasses.replace(
        config, arms=("text",), arm=dataclasses.replace(config.arm, steps=1), bundle=str(tmp_path / "bundle"),
        judged=2, judged_bundle=4, best_of=1, best_of_captions=2, pairs=0,
    )  # fmt: skip
    monkeypatch.setattr(study, "train_arm", lambda bundle, *rest: bundle.policy)
    directory = RunDirectory.create("musicrl", few, seed=0, root=tmp_path / "runs")
    found = run(few, directory)
    shown = next(f for f in read_media(directory.path).figures if "text adherence" in f.title)
    assert [(series.name, series.x, series.y) for series in shown.series] == [
        ("bundled r", (0.0, 2.0), (0.1, 0.2))
    ]
    assert [finding.id for finding in found] == [claim.id for claim in CLAIMS]
    notes = {finding.id: finding.note for finding in found}
    assert notes["text-rises"].startswith("bundled r against base on 4 held-out captions")
    assert notes["reward-rises"] == "arm text has 0 updates"
    # An arm that is the base itself has gained nothing, exactly.
    assert next(f for f in found if f.id == "text-only").measured == 0


def test_damage_is_said_before_anything_is_trained(config, tmp_path, monkeypatch):
    monkeypatch.setattr(study, "train_arm", None)
    pack(tmp_path, TINY, random_weights(), {})
    (tmp_path / "reference.npz").write_text("no archive")
    with pytest.raises(UserError, match=r"reference\.npz is no whole file"):
        run(dataclasses.replace(config, bundle=str(tmp_path)), RunDirectory(tmp_path))
    with pytest.raises(UserError, match="holds no music models"):
        run(dataclasses.replace(config, bundle=str(tmp_path / "no")), RunDirectory(tmp_path))
