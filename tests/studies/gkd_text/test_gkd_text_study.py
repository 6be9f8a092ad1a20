"""Distillation on texts: claims are read off scores, trainings are done once, missing texts are named."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest

from antiphon.core.errors import UserError
from antiphon.studies import gkd_text
from antiphon.studies.gkd.arms import DIVERGENCES, HALF, ON_POLICY, SEQUENCE, SFT_ARM, SUPERVISED, of_grid
from antiphon.studies.gkd_text import findings, lab, study
from antiphon.studies.gkd_text.config import Config, Sizes
from antiphon.studies.gkd_text.marks import TextScore
from antiphon.studies.gkd_text.tasks import TASKS
from antiphon.train.run_directory import RunDirectory
from antiphon.worlds.text.records import Records
from antiphon.worlds.text.small_model import new_model, train_tokenizer

TINY = Sizes(
    teacher="new:40k", student="new:40k", vocabulary=300, prompt_tokens=96, new_tokens=56, teacher_rows=0,
    rows=12, teacher_steps=3, start_steps=2, steps=2, batch=4,
)  # fmt: skip
GAINS = {SUPERVISED: 1.0, HALF: 2.0, ON_POLICY: 3.0, SFT_ARM: 0.5, SEQUENCE: 0.8}


def found(gains, starts=3):
    """Scores as if every arm gained the same from every start."""
    one = findings.Found(TASKS[0], TextScore(40.0, 35.0))
    one.starts = {number: TextScore(10.0 + number, 8.0 + number) for number in range(starts)}
    for arm, gain in gains.items():
        one.arms[arm.name] = {
            number: TextScore(start.greedy + gain + 0.01 * number, start.sampled + gain)
            for number, start in one.starts.items()
        }
    return one


def seeking(gain):
    return {of_grid(*divergence, 1.0): gain for divergence in DIVERGENCES[1:5]}


def read_off(gains, starts=3):
    made = found(gains, starts)
    return {one.id: one for one in findings.read_off(Config(starts=starts), {"notices": made})}


def test_claims_are_read_off_the_scores():
    read = read_off({**GAINS, **seeking(3.5)})
    assert list(read) == [claim.id for claim in gkd_text.CLAIMS]
    assert {name for name, one in read.items() if one.holds} == {
        "gain-notices", "lambda-notices", "baselines-notices", "mode-seeking-notices",
    }  # fmt: skip
    assert read["gain-notices"].measured == pytest.approx(2.0)
    assert "ratio 2.98" in read["gain-notices"].note  # 3.01 to 1.01
    assert read["mode-seeking-notices"].measured == pytest.approx(0.5)
    # What has no texts is not tested, and says what to do.
    assert read["gain-summaries"].holds is None
    assert "antiphon text data build debian" in read["gain-summaries"].note


def test_claims_that_fail_are_said_to():
    worse = {**GAINS, ON_POLICY: 0.4, **seeking(0.1)}
    assert {name: one.holds for name, one in read_off(worse).items() if "notices" in name} == {
        "gain-notices": False, "lambda-notices": False, "baselines-notices": False,
        "mode-seeking-notices": False,
    }  # fmt: skip


def test_two_starts_decide_nothing():
    read = read_off({**GAINS, **seeking(3.5)}, starts=2)
    assert {one.holds for one in read.values()} == {None}
    assert read["gain-notices"].measured == pytest.approx(2.0)


def test_missing_texts_are_named_before_anything_is_trained(tmp_path):
    config = Config(folder=str(tmp_path / "none"))
    run = RunDirectory.create("gkd-text", config, seed=0, root=tmp_path)
    with pytest.raises(UserError, match=r"synopsis-train\.jsonl") as error:
        gkd_text.run(config, run)
    assert "antiphon text data build debian" in error.value.mend
    assert not list(run.checkpoints.glob("*"))


def test_a_config_that_measures_nothing_is_refused():
    with pytest.raises(UserError, match="starts is 0"):
        Config(starts=0)
    with pytest.raises(UserError, match="steps is 0"):
        replace(TINY, steps=0)


def test_a_teacher_that_exists_lends_its_tokens_and_must_read_enough(tmp_path, monkeypatch):
    config = Config(notices=replace(TINY, teacher="wide"))
    run = RunDirectory.create("gkd-text", config, seed=0, root=tmp_path)
    tokenizer = train_tokenizer(["the pump leaked", "the pump jammed"], 300)
    model = new_model("wide", 40_000, tokenizer, context=152)
    # Its weights have room for more tokens than its tokenizer knows.
    wide = replace(model, config=replace(model.config, vocabulary=tokenizer.vocabulary + 20))
    monkeypatch.setattr(lab, "TextModel", SimpleNamespace(load={"wide": wide}.get))
    nothing = Records(tmp_path, ())
    made = lab.Lab(config, TASKS[0], run, nothing, nothing)
    assert made.student_policy.config.vocabulary == tokenizer.vocabulary + 20
    assert made.student_policy.decoding.stop == tokenizer.stop
    short = replace(config, notices=replace(config.notices, new_tokens=57))
    with pytest.raises(UserError, match="wide reads 152 tokens, and prompt and completion take 153"):
        _ = lab.Lab(short, TASKS[0], run, nothing, nothing).beginning


@pytest.mark.slow
def test_every_kind_of_arm_is_trained_once(tmp_path, monkeypatch):
    for prefix in ("synopsis", "translation"):
        for part in ("train", "test"):
            rows = [
                {"prompt": f"item {i} is small\n\n:", "completion": f" small item {i}"} for i in range(14)
            ]
            (tmp_path / f"{prefix}-{part}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    config = Config(folder=str(tmp_path), notices=TINY, texts=TINY, starts=1, grid=False, judged=6)
    monkeypatch.setattr(study, "asked", lambda config: (TASKS[2],))
    monkeypatch.setattr(study, "_arms", lambda config: (SUPERVISED, ON_POLICY, SEQUENCE))
    run = RunDirectory.create("gkd-text", config, seed=0, root=tmp_path)
    first = gkd_text.run(config, run)
    assert [one.id for one in first if one.measured is not None] == ["gain-translations"]
    kept = {path.name for path in run.checkpoints.iterdir()}
    assert kept == {"pieces", "translations-teacher", "translations-start-0"}
    assert (run.media / "media.json").exists()

    def no_more(*_, **__):
        raise AssertionError("a finished training was begun again")

    monkeypatch.setattr(lab, "fit", no_more)
    assert gkd_text.run(config, run) == first
