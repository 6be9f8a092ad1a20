"""``antiphon text train``, ``arena`` and ``export`` as they are typed."""

import json
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

from antiphon.cli.main import main
from antiphon.core.errors import UserError
from antiphon.studies.text_training.judges import text_judge
from antiphon.studies.text_training.plans import METHODS
from antiphon.studies.text_training.preparing import make_job
from antiphon.studies.text_training.settings import SETTINGS, TextTraining
from antiphon.train.chunk import check_step, with_fixed
from antiphon.train.run_directory import RunDirectory
from antiphon.worlds.text.model import TextModel
from antiphon.worlds.text.records import read_records
from antiphon.worlds.text.small_model import new_model, sizes_for, train_tokenizer, weight_count

pytest.importorskip("tokenizers")

ROWS = [
    {"prompt": f"{n} {thing}:", "completion": said, "chosen": said, "rejected": " no"}
    for n in range(1, 9)
    for thing, said in (("cats", " meow"), ("dogs", " woof"))
]
RATERS = """
def judge(prompt, first, second): return 0.5
def score(prompt, text): return -len(text)
def broken(prompt, first, second): raise KeyError("cats")
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with rows, raters and a tiny model."""
    folder = tmp_path_factory.mktemp("text")
    (folder / "rows.jsonl").write_text("\n".join(json.dumps(row) for row in [*ROWS, {"prompt": "x"}]))
    (folder / "raters.py").write_text(RATERS)
    tokenizer = train_tokenizer([row["prompt"] + row["completion"] for row in ROWS], 270)
    new_model("tiny", 40_000, tokenizer, context=48).export(folder / "tiny")
    return folder


@pytest.fixture
def typed(home, monkeypatch, capsys):
    """Runs ``antiphon text WORDS --json`` there; returns status and JSON object."""
    monkeypatch.chdir(home)
    monkeypatch.setenv("ANTIPHON_PROGRESS", "quiet")

    def run(*words):
        status = main(["text", *map(str, words), "--json"])
        return status, json.loads(capsys.readouterr().out.splitlines()[-1])

    return run


SETTLED = {
    "gkd": {"teacher": "tiny"},
    "rlhf": {"preference": "raters.py:score"},
    "nash-md": {"preference": "raters.py:judge"},
    "nash-ema": {"preference": "raters.py:judge"},
    "online-ipo": {"preference": "raters.py:judge"},
}


def planned(name, home, monkeypatch, lora=None, **settings):
    """The plan of a method and its fixed weights."""
    monkeypatch.chdir(home)
    method, chosen = METHODS[name], SETTINGS[name](**(SETTLED.get(name, {}) | settings))
    training = TextTraining(
        model="tiny", data=home / "rows.jsonl", lora=lora, batch=4, tokens=6, microbatch=2
    )
    records = read_records(home / "rows.jsonl", method.wanted(chosen))
    model = TextModel.load("tiny")
    job = make_job(method, training, chosen, model, records, RunDirectory(home), lambda line: None)
    plan = method.plan(job, chosen)
    return plan, {**job.fixed, **plan.fixed}


def test_every_method_has_a_step_that_can_be_looped(home, monkeypatch):
    """Shapes only: nothing is compiled."""
    assert set(METHODS) == set(SETTINGS)
    for name in METHODS:
        lora = None if name.endswith("-model") else 2
        plan, fixed = planned(name, home, monkeypatch, lora)

        def step(state, batch, key, fixed, plan=plan):
            return plan.method(fixed).step(state, batch, key)

        assert plan.method(fixed).microbatch == 2, name
        check_step(with_fixed(step, fixed), plan.state, plan.batch(np.arange(4)), jax.random.key(0))
        # An adapter's state holds nothing of the size of the base.
        if lora:
            largest = max(leaf.size for leaf in jax.tree.leaves(plan.state))
            assert largest < fixed["base"].embedding.size
    with pytest.raises(UserError, match="--lora on a judge"):
        planned("reward-model", home, monkeypatch, 2)


def test_a_model_from_nothing_learns_and_writes(typed, home):
    status, said = typed(
        "train", "sft", "--model", "new:40k", "--data", "rows.jsonl", "--out", "learnt", "--steps", 90,
        "--batch", 16, "--vocabulary", 270, "--context", 48, "--learning-rate", 1e-2, "--sample-every", 90,
        "--microbatch", 8,
    )  # fmt: skip
    assert status == 0
    assert (said["steps"], said["rows"]) == (90, 16)
    assert said["bad_rows"] == [{"line": 17, "reason": "has no field 'completion' (its fields: prompt)"}]
    assert said["tokens_per_second"] > 0
    assert 0 < said["matmul_share"] < 1.5
    assert said["metrics"]["loss"] < 0.7
    written = (home / said["run"] / "media" / "samples.jsonl").read_text().splitlines()
    assert json.loads(written[0])["completion"] == " meow"
    status, said = typed("generate", "--model", "learnt", "--prompt", "7 dogs:")
    assert said["completions"] == [" woof"]


def test_an_adapter_is_trained_merged_and_matched(typed, home):
    status, said = typed(
        "train", "dpo", "--model", "tiny", "--lora", 2, "--data", "rows.jsonl", "--out", "adapter",
        "--steps", 6, "--batch", 8, "--sample-every", 0,
    )  # fmt: skip
    assert status == 0
    assert "accuracy" in said["metrics"]
    assert {path.name for path in (home / "adapter").glob("adapter*")} == {
        "adapter_config.json", "adapter_model.safetensors",
    }  # fmt: skip
    assert typed("export", "adapter", "--out", "whole")[1]["error"]["mend"].startswith("add --merge")
    status, said = typed("export", "adapter", "--merge", "--out", "whole", "--dtype", "bfloat16")
    assert (status, said["dtype"]) == (0, "bfloat16")
    assert typed("export", "tiny", "--merge", "--out", "x")[1]["error"]["message"].endswith("can be merged")
    status, said = typed("arena", "tiny", "adapter", "whole", "--judge", "raters.py:score", "--data",
                         "rows.jsonl", "--tokens", 4)  # fmt: skip
    assert status == 0
    assert said["models"] == ["tiny", "adapter", "whole"]
    wins, low, high = (np.array(said[name]) for name in ("wins", "low", "high"))
    assert said["pairs"] == 17
    np.testing.assert_allclose(wins + wins.T, 1)
    assert (low <= wins).all()
    assert (wins <= high).all()


def test_a_judge_learns_from_choices_and_then_judges(typed, home, monkeypatch):
    status, said = typed(
        "train", "preference-model", "--model", "tiny", "--data", "rows.jsonl", "--out", "judge",
        "--steps", 30, "--batch", 8, "--learning-rate", 1e-2,
    )  # fmt: skip
    assert status == 0
    assert said["metrics"]["accuracy"] > 0.9
    plan, fixed = planned("nash-md", home, monkeypatch, preference="judge")
    state, batch = plan.state, plan.batch(np.arange(4))
    _, metrics = jax.eval_shape(plan.method(fixed).step, state, batch, jax.random.key(0))
    assert "win_rate" in metrics
    assert fixed["judge"].head.shape == (TextModel.load("tiny").config.width,)
    compare = text_judge("judge")
    prompts = ["3 cats:"] * 20
    ahead = compare(prompts, [" meow"] * 20, [" no"] * 20)
    np.testing.assert_allclose(np.add(ahead, compare(prompts, [" no"] * 20, [" meow"] * 20)), 1, atol=1e-6)
    assert len(ahead) == 20
    assert min(ahead) > 0.5
    with pytest.raises(UserError, match="a score of one is needed"):
        planned("rlhf", home, monkeypatch, preference="judge")


@pytest.mark.slow
def test_a_stopped_training_goes_on_to_the_same_bits(home):
    code = "import sys; from antiphon.cli.main import main; sys.exit(main(sys.argv[1:]))"
    words = [sys.executable, "-c", code, "text", "train", "sft"]
    asked = ["--model", "tiny", "--data", "rows.jsonl", "--steps", "40", "--batch", "4", "--save-every", "2",
             "--sample-every", "0", "--lora", "2"]  # fmt: skip
    subprocess.run([*words, *asked, "--out", "straight"], cwd=home, check=True, capture_output=True)
    process = subprocess.Popen([*words, *asked, "--out", "bent"], cwd=home, stderr=subprocess.PIPE, text=True)
    for _ in range(600):
        if list((home / "bent").glob("runs/*/*/checkpoints/sft/step-000000002.json")):
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=120)
    if process.returncode:  # else it was quicker than the signal
        assert "go on with: antiphon text train sft --resume bent" in said
        done = subprocess.run(
            [*words, "--resume", "bent"], cwd=home, check=True, capture_output=True, text=True
        )
        assert "resumes at step" in done.stderr
    name = "adapter_model.safetensors"
    assert (home / "straight" / name).read_bytes() == (home / "bent" / name).read_bytes()


def test_what_is_not_finite_names_its_batch_and_keeps_the_last_good_weights(typed, home):
    status, said = typed(
        "train", "sft", "--model", "tiny", "--data", "rows.jsonl", "--out", "blown", "--steps", 30,
        "--batch", 2, "--learning-rate", 1e30, "--save-every", 1, "--sample-every", 0,
    )  # fmt: skip
    assert status == 1
    message = said["error"]["message"]
    assert "was lines" in message
    # One step or none went well; what was kept then is whole.
    kept = home / "blown"
    assert ("blown holds the weights of step" in message) == (kept / "config.json").is_file()
    weights = kept if (kept / "config.json").is_file() else home / "tiny"
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(TextModel.load(str(weights)).params))


@pytest.mark.parametrize(
    ("words", "kind", "said"),
    [
        (["sing"], "usage", "no method 'sing'"),
        (["--data", "rows.jsonl"], "usage", "no method is named"),
        (["sft"], "usage", "no --data"),
        (["sft", "--data", "rows.jsonl", "--steps", "0"], "usage", "--steps is 0"),
        (["sft", "--data", "nowhere.jsonl"], "file", "there is no data file nowhere.jsonl"),
        (["sft", "--data", "rows.jsonl", "--model", "nowhere"], "file", "there is no model nowhere"),
        (["sft", "--data", "rows.jsonl", "--model", "new:4q"], "model", "no size of a new model"),
        (["sft", "--data", "rows.jsonl", "--model", "new:900g"], "model", "no size of a new model"),
        (["sft", "--data", "rows.jsonl", "--model", "new:90000m"], "memory", "GiB"),
        (
            ["sft", "--data", "rows.jsonl", "--model", "new:1m", "--lora", "4"],
            "usage",
            "--lora on a new model",
        ),
        (["sft", "--data", "rows.jsonl", "--dtype", "bfloat16"], "usage", "--dtype bfloat16 without --lora"),
        (["sft", "--data", "rows.jsonl", "--prompt-tokens", "1"], "data", "fits the model"),
        (["gkd", "--data", "rows.jsonl", "--tokens", "4"], "usage", "no --teacher"),
        (
            ["gkd", "--data", "rows.jsonl", "--tokens", "4", "--teacher", "other"],
            "tokenizer",
            "different tokenizers",
        ),
        (["nash-md", "--data", "rows.jsonl", "--tokens", "4"], "usage", "no --preference"),
        (["nash-md", "--data", "rows.jsonl", "--tokens", "99"], "data", "exceeds the context of 48"),
        (["nash-md", "--data", "rows.jsonl", "--tokens", "4", "--preference", "x"], "judge", "x is no judge"),
        (
            ["nash-md", "--data", "rows.jsonl", "--tokens", "4", "--preference", "raters.py:broken"],
            "judge",
            "raters.py:broken fails on",
        ),
        (
            ["rlhf", "--data", "rows.jsonl", "--tokens", "4", "--preference", "raters.py:judge"],
            "judge",
            "a score of one is needed",
        ),
        (["sft", "--resume", "nowhere"], "file", "no run of sft to resume"),
    ],
)
def test_what_cannot_be_trained_is_one_sentence(typed, home, words, kind, said):
    if "other" in words and not (home / "other").exists():
        new_model("other", 40_000, train_tokenizer(["zzz yyy"] * 3, 270), context=48).export(home / "other")
    model = [] if "--model" in words or words[0] in ("sing", "--data") else ["--model", "tiny"]
    more = [] if words[0] in ("sing", "--data") or "--resume" in words else ["--out", "nothing"]
    status, answer = typed("train", *words, *model, *more)
    assert status == 2
    assert answer["error"]["kind"] == kind
    assert said in answer["error"]["message"]
    assert answer["error"]["mend"]


def test_sizes_come_close_and_tokenizers_spell_everything():
    for weights in (300_000, 4_000_000, 30_000_000):
        assert 0.8 < weight_count(sizes_for(weights, 4096, 512)) / weights < 1.25
    with pytest.raises(UserError, match="no small decoder of 1,000 weights"):
        sizes_for(1000, 4096, 512)
    tokenizer = train_tokenizer(["a cat", "a dog"], 280, chat=True)
    text = "Zebra ünï 12 🙂"
    assert tokenizer.decode(tokenizer.encode(text)) == text
    talk = tokenizer.encode_chat([{"role": "user", "content": "hi"}])
    assert tokenizer.backend.decode(talk, skip_special_tokens=False) == "<|user|>hi<|end|><|assistant|>"
    with pytest.raises(UserError, match="100 tokens have no room"):
        train_tokenizer(["a"], 100)
