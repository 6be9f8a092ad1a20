"""``antiphon music`` as it is typed: what it writes and says, and what it leaves behind when refused."""

import errno
import json
import os
import shutil
import subprocess
import sys

import jax
import numpy as np
import pytest
import soundfile

from antiphon.cli.main import main
from antiphon.cli.music.folders import writable_folder
from antiphon.cli.music.models import flat
from antiphon.core.errors import UserError
from antiphon.nets.weights import save_tree
from antiphon.studies import music_base
from antiphon.train.errors import Interrupted
from antiphon.train.run_directory import RunDirectory
from antiphon.worlds.music.audio_files import read_audio
from antiphon.worlds.music.bundle import Bundle, Sizes, pack
from antiphon.worlds.music.codec import FRAME, Codec

TINY = Sizes(codec_width=32, levels=3, width=64, layers=1, frames=16)
HARP = "slow waltz for harp, minor key"


def random_weights():
    rng = np.random.default_rng(0)

    def draw(leaf):
        scale = leaf.shape[-2] ** -0.5 if len(leaf.shape) > 1 else 0.5
        return (scale * rng.standard_normal(leaf.shape)).astype(leaf.dtype)

    return jax.tree.map(draw, TINY.shapes())


@pytest.fixture(scope="session")
def bundle(tmp_path_factory):
    """A folder of models of random weights."""
    folder = tmp_path_factory.mktemp("bundle")
    pack(folder, TINY, random_weights(), {"command": "a test", "figures": {"policy": {"loss": 1.25}}})
    return folder


@pytest.fixture
def typed(bundle, tmp_path, monkeypatch, capsys):
    """Runs ``antiphon music WORDS --json`` in an empty folder; returns status and JSON object."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        if words[0] in ("generate", "models", "adopt") and "--bundle" not in words:
            words = (*words, "--bundle", str(bundle))
        status = main(["music", *map(str, words), "--json"])
        out = capsys.readouterr().out
        return status, json.loads(out.splitlines()[-1])

    return run


def refused(answer, kind):
    """The sentence of an error that somebody can mend."""
    status, said = answer
    assert status == 2
    assert set(said) == {"error"}
    assert set(said["error"]) == {"kind", "message", "mend"}
    assert said["error"]["kind"] == kind
    assert said["error"]["mend"]
    assert "\n" not in said["error"]["message"]
    return said["error"]["message"]


def everything(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_three_clips_with_their_tokens(typed, tmp_path):
    status, said = typed("generate", HARP, "-n", 3, "--seed", 7, "--out", "new/clips")
    assert status == 0
    assert set(said) == {"files", "seconds", "real_time_factor", "seed", "model"}
    assert (said["seconds"], said["seed"], said["model"]) == (0.64, 7, "base")
    assert said["real_time_factor"] > 0
    names = [f"slow-waltz-for-harp-minor-key-base-s7-{i}" for i in range(3)]
    assert said["files"] == [f"new/clips/{name}.wav" for name in names]
    assert everything(tmp_path / "new/clips") == sorted(
        f"{n}{e}" for n in names for e in (".tokens.npy", ".wav")
    )
    clips = []
    for name in said["files"]:
        samples, rate = soundfile.read(tmp_path / name)
        assert (len(samples), rate) == (16 * FRAME, 16000)
        assert np.abs(samples).max() == pytest.approx(0.9, abs=1e-3)
        tokens = np.load((tmp_path / name).with_suffix(".tokens.npy"))
        assert (tokens.shape, tokens.dtype) == ((16, 8), np.int16)
        clips.append(samples)
    assert not np.allclose(clips[0], clips[1])


def test_the_same_seed_gives_the_same_bits(typed, tmp_path):
    for out in ("a", "b"):
        typed("generate", HARP, "-n", 3, "--seed", 7, "--out", out)
    assert everything(tmp_path / "a") == everything(tmp_path / "b")
    for name in everything(tmp_path / "a"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    _, other = typed("generate", HARP, "-n", 3, "--seed", 8, "--out", "c")
    first = (tmp_path / "a" / "slow-waltz-for-harp-minor-key-base-s7-0.wav").read_bytes()
    assert (tmp_path / other["files"][0]).read_bytes() != first


def test_flac_holds_what_wav_holds(typed, tmp_path):
    _, wav = typed("generate", HARP, "-n", 3, "--out", "w")
    _, flac = typed("generate", HARP, "-n", 3, "--out", "f", "--format", "flac")
    assert [name.rsplit(".")[-1] for name in flac["files"]] == ["flac"] * 3
    for one, other in zip(wav["files"], flac["files"], strict=True):
        left, right = (soundfile.read(tmp_path / name, dtype="int16")[0] for name in (one, other))
        np.testing.assert_array_equal(left, right)


def test_a_recording_is_continued_beyond_the_length_of_training(typed, tmp_path, bundle):
    time = np.arange(24000) / 48000
    soundfile.write(tmp_path / "mine.wav", 0.3 * np.sin(2 * np.pi * 440 * time), 48000)  # half a second
    status, said = typed("generate", HARP, "-n", 3, "--continue", "mine.wav", "--seconds", 1.6)
    assert status == 0
    assert said["seconds"] == pytest.approx(1.6)
    beginnings = [np.load((tmp_path / name).with_suffix(".tokens.npy"))[:12] for name in said["files"]]
    for tokens in beginnings:
        np.testing.assert_array_equal(tokens, beginnings[0])
    # They are the tokens of the recording: its whole frames of 40 ms at 16 kHz, at the level of training.
    wave = read_audio("mine.wav").samples[: 12 * FRAME]
    codec = Bundle.load(bundle).codec
    known = jax.jit(Codec.encode)(codec, (0.7 * wave / np.abs(wave).max())[None])
    np.testing.assert_array_equal(beginnings[0], np.asarray(known)[0])
    assert not np.array_equal(
        *(np.load((tmp_path / f).with_suffix(".tokens.npy")) for f in said["files"][:2])
    )


def test_without_json_the_files_are_printed(bundle, tmp_path, capsys):
    words = ["music", "generate", HARP, "-n", "3", "--out", str(tmp_path / "out"), "--bundle", str(bundle)]
    assert main(words) == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines() == [str(p) for p in sorted((tmp_path / "out").glob("*.wav"))]
    assert "3 clips of 0.64 s" in printed.err


@pytest.mark.parametrize(
    ("words", "kind", "said"),
    [
        ([], "caption", "no caption is given"),
        ([""], "caption", "the caption is empty"),
        (["harp " * 2000], "caption", "has 9999 characters, more than the 2000 allowed"),
        (["langsamer Walzer, Cembalo"], "caption", "no word of the caption"),
        (["日本の音楽"], "caption", "no word of the caption"),
        ([HARP, "-n", 0], "usage", "-n is 0"),
        ([HARP, "-n", "two"], "usage", "two"),
        ([HARP, "--seconds", -1], "seconds", "-1.0 seconds cannot be generated"),
        ([HARP, "--seconds", 0], "seconds", "0.0 seconds cannot be generated"),
        ([HARP, "--seconds", "nan"], "seconds", "nan seconds cannot be generated"),
        ([HARP, "--seconds", 1e9], "seconds", "cannot be generated"),
        ([HARP, "--temperature", 0], "temperature", "temperature is 0.0"),
        ([HARP, "--polish", -1], "polish", "polish is -1"),
        ([HARP, "--seed", 2**70], "seed", "seed is"),
        ([HARP, "--format", "mp3"], "usage", "mp3"),
        ([HARP, "--model", "zither"], "model", "there is no model 'zither'"),
        ([HARP, "--model", "absent.safetensors"], "weights", "absent.safetensors does not exist"),
        ([HARP, "--bundle", "nowhere"], "weights", "nowhere holds no music models"),
        ([HARP, "--continue", "absent.wav"], "file", "absent.wav does not exist"),
        ([HARP, "--continue", "text.wav"], "file", "text.wav cannot be read as audio"),
        ([HARP, "--continue", "tick.wav"], "file", "tick.wav has 0.01 s"),
        ([HARP, "--continue", "long.wav"], "file", "long.wav has 130.00 s"),
        ([HARP, "--continue", "second.wav", "--seconds", 0.5], "seconds", "the clip to continue has 1.00 s"),
        ([HARP, "--out", "text.wav"], "file", "text.wav cannot be written"),
        ([HARP, "--out", "text.wav/below/it"], "file", "text.wav/below/it cannot be written"),
    ],
)
def test_what_cannot_be_generated_is_one_sentence_and_nothing_is_left(typed, tmp_path, words, kind, said):
    (tmp_path / "text.wav").write_text("no audio")
    for name, seconds in (("tick", 0.01), ("second", 1.0), ("long", 130.0)):
        soundfile.write(tmp_path / f"{name}.wav", np.zeros(int(8000 * seconds), np.int16), 8000)
    before = everything(tmp_path)
    assert said in refused(typed("generate", *words), kind)
    assert everything(tmp_path) == before


def test_damaged_weights_are_named_with_their_checksum(typed, tmp_path, bundle):
    folder = shutil.copytree(bundle, tmp_path / "models")
    data = bytearray((folder / "codec.safetensors").read_bytes())
    data[-1] ^= 1
    (folder / "codec.safetensors").write_bytes(data)
    expected = json.loads((folder / "manifest.json").read_text())["sha256"]["codec"]
    said = refused(typed("generate", HARP, "--bundle", folder, "--out", "new"), "weights")
    assert "models/codec.safetensors has SHA-256" in said
    assert expected in said
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("fits", [3, 4])
def test_a_disk_that_fills_up_takes_all_new_files_back(typed, tmp_path, monkeypatch, fits):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.wav").write_text("mine")
    sync, calls = os.fsync, []

    def fills_up(descriptor):
        # Three for each clip: audio, tokens, folder. The second clip's audio or its tokens find no space.
        calls.append(descriptor)
        if len(calls) > fits:
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(descriptor)

    monkeypatch.setattr("os.fsync", fills_up)
    said = refused(typed("generate", HARP, "-n", 3), "file")
    assert "no space left on device" in said.lower()
    assert everything(tmp_path / "out") == ["mine.wav"]


def test_a_folder_that_was_made_goes_again(tmp_path):
    def fails():
        with writable_folder(tmp_path / "a" / "b"):
            assert (tmp_path / "a" / "b").is_dir()
            raise UserError("usage", "no", "do")

    with pytest.raises(UserError):
        fails()
    assert everything(tmp_path) == []
    with writable_folder(tmp_path / "a" / "b"):
        pass
    assert everything(tmp_path) == ["a", "a/b"]


def test_a_policy_is_adopted_listed_and_played(typed, tmp_path, bundle):
    folder = shutil.copytree(bundle, tmp_path / "models")
    base = Bundle.load(folder).policy
    rng = np.random.default_rng(0)
    moved = jax.tree.map(lambda leaf: leaf + 0.3 * rng.standard_normal(leaf.shape).astype(np.float32), base)
    figures = {"text": {"mean": 0.5, "base": 0.25}}
    save_tree("policy-r.safetensors", moved, metadata={"arm": "r", "figures": figures})
    (tmp_path / "config.json").write_text('{"seed": 3, "config": {"bundle": "/home/me", "judged": 8}}')
    lines = [{"fit": "arm-r", "step": i, "seconds": 0, "kl": i, "reward": -i, "spread": 1} for i in range(42)]
    (tmp_path / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines)))
    where = ("--bundle", folder)
    status, said = typed("adopt", "policy-r.safetensors", "--name", "mine", "--bits", 8, *where)
    assert status == 0
    assert said["name"] == "mine"
    assert 0 < said["relative_error"] < 0.02
    status, listed = typed("models", *where)
    assert status == 0
    assert listed["policies"] == ["base", "mine"]
    assert listed["figures"] == {"base": {"policy.loss": 1.25}, "mine": {"text.mean": 0.5, "text.base": 0.25}}
    assert listed["made"]["command"] == "a test"
    assert set(listed["files"]) == set(listed["sha256"]) >= {"codec.safetensors", "policy-mine.safetensors"}
    made = json.loads((folder / "manifest.json").read_text())["policies"]["mine"]["made"]
    middles = [1.0 + 3 * i for i in range(14)]  # of 42 updates in blocks of three
    assert made == {
        "file": "policy-r.safetensors",
        "run": {"seed": 3, "config": {"judged": 8}},
        "curve": {"kl": middles, "reward": [-middle for middle in middles]},
        "figures": figures,
    }
    _, plays = typed("generate", HARP, "-n", 3, "--model", "mine", *where)
    _, played = typed("generate", HARP, "-n", 3, *where)
    one, other = ((tmp_path / answer["files"][0]).read_bytes() for answer in (plays, played))
    assert one != other


@pytest.mark.parametrize("other", ["{}", "[]", '{"config": 3}'])
def test_a_config_of_something_else_is_no_run(typed, tmp_path, bundle, other):
    folder = shutil.copytree(bundle, tmp_path / "models")
    save_tree("policy-r.safetensors", Bundle.load(folder).policy)
    (tmp_path / "config.json").write_text(other)
    assert typed("adopt", "policy-r.safetensors", "--name", "a", "--bundle", folder)[0] == 0
    made = Bundle.load(folder).made("a")
    assert (made["run"], made["curve"], made["figures"]) == (None, {}, {})


def test_models_are_a_table_with_each_policy_s_figures(bundle, capsys):
    assert main(["music", "models", "--bundle", str(bundle)]) == 0
    lines = capsys.readouterr().out.splitlines()
    sha256 = Bundle.load(bundle).files["codec.safetensors"]
    assert any(line.split()[:1] == ["codec.safetensors"] and sha256[:12] in line for line in lines)
    assert ["base", "policy.loss", "1.25"] in [line.split() for line in lines]


@pytest.mark.parametrize(
    ("words", "kind", "said"),
    [
        (["text.txt", "--name", "a"], "file", "text.txt is no .safetensors file"),
        (["absent.safetensors", "--name", "a"], "weights", "absent.safetensors does not exist"),
        (["small.safetensors", "--name", "a"], "weights", "small.safetensors lacks leaf"),
        (["whole.safetensors", "--name", "base"], "model", "cannot be called 'base'"),
        (["whole.safetensors", "--name", "../a"], "model", "cannot be called '../a'"),
        (["whole.safetensors", "--name", "a", "--bits", 5], "usage", "5"),
    ],
)
def test_what_cannot_be_adopted(typed, bundle, words, kind, said):
    save_tree("small.safetensors", {"a": np.zeros(3)})
    save_tree("whole.safetensors", Bundle.load(bundle).policy)
    before = (bundle / "manifest.json").read_bytes()
    assert said in refused(typed("adopt", *words), kind)
    assert (bundle / "manifest.json").read_bytes() == before


@pytest.mark.parametrize(
    ("words", "kind", "said"),
    [
        (["data"], "usage", "needs the word build"),
        (["data", "build", "--size", "huge"], "usage", "huge"),
        (["data", "build", "--workers", 0], "usage", "--workers is 0"),
        (["data", "build", "--font", "absent.sf2"], "file", "no sound font at absent.sf2 (the given path)"),
        (["data", "build", "--font", "text.sf2"], "file", "text.sf2"),
        (["train", "--data", "nowhere"], "data", "nowhere holds no music data set"),
        (["train", "--stages", "codecs"], "usage", "there is no stage 'codecs'"),
        (["train", "--size", "huge"], "usage", "huge"),
        (["sing"], "usage", "antiphon music has no verb 'sing'"),
    ],
)
def test_what_cannot_be_built_or_trained(typed, tmp_path, words, kind, said):
    (tmp_path / "text.sf2").write_text("no font")
    assert said in refused(typed(*words), kind)
    assert everything(tmp_path) == ["text.sf2"]


def test_a_missing_sound_font_says_where_one_comes_from(typed, tmp_path, monkeypatch):
    monkeypatch.delenv("ANTIPHON_SOUNDFONT", raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *rest: None)
    status, said = typed("data", "build")
    assert "no sound font is installed" in refused((status, said), "missing-extra")
    assert "pip install pretty-midi" in said["error"]["mend"]
    assert everything(tmp_path) == []


@pytest.fixture
def data(tmp_path):
    """A data set on paper: its description and no clips."""
    described = {"train": 8, "valid": 0, "test": 0, "seconds": 0.64, "grid_aligned": True, "seed": 5}
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "config.json").write_text(json.dumps(described))
    return tmp_path / "data"


def test_training_is_stopped_and_taken_up_with_its_own_settings(typed, data, tmp_path, monkeypatch):
    seen = []

    def stops(config, dataset, run, stages):
        seen.append((config, run, stages))
        raise Interrupted(
            "SIGINT stopped fit 'codec'", "", run_path=run.path, signal_number=2, step=1, state=None
        )

    monkeypatch.setattr(music_base, "train", stops)
    words = ("train", "--data", data, "--size", "smoke", "--set", "layers=3", "--stages", "codec", "tokens")
    status, said = typed(*words)
    assert status == 1
    config, run, stages = seen[0]
    assert (config.layers, config.width, config.data.seed, stages) == (3, 64, 5, ("codec", "tokens"))
    assert said["error"]["kind"] == "interrupted"
    assert f"antiphon music train --data {data} --resume {run.path}" in said["error"]["mend"]
    typed("train", "--data", data, "--resume", run.path)
    assert seen[1] == (config, run, music_base.STAGES)
    assert "layers" in refused(
        typed("train", "--data", data, "--resume", run.path, "--set", "layers=4"), "file"
    )
    assert "is not a run directory" in refused(typed("train", "--data", data, "--resume", tmp_path), "file")
    assert len(seen) == 2


def test_training_begins_with_a_bundle(typed, data, monkeypatch):
    begun, trained = [], []
    monkeypatch.setattr(music_base, "begin_from", lambda *given: begun.append(given))
    monkeypatch.setattr(music_base, "train", lambda *given: trained.append(given))
    words = ("train", "--data", data, "--size", "smoke", "--start", "installed")
    assert typed(*words, "--stages", "reward")[0] == 0
    assert begun[0][0].folder.name == "music"
    assert begun[0][3] == ("reward",)
    assert trained[0][3] == ("tokens", "reward")
    assert "no --stages" in refused(typed(*words), "usage")
    assert "stands with --resume" in refused(typed(*words, "--resume", "x", "--stages", "reward"), "usage")


def test_training_says_what_it_did(typed, data, monkeypatch):
    packed = []
    monkeypatch.setattr(music_base, "train", lambda *_: None)
    monkeypatch.setattr(music_base, "pack_run", lambda *given: packed.append(given))
    status, said = typed("train", "--data", data, "--size", "smoke", "--pack", "models")
    assert status == 0
    assert set(said) == {"run", "stages", "pack"}
    assert said["stages"] == list(music_base.STAGES)
    assert RunDirectory.open(said["run"]).study == "music-base"
    assert str(packed[0][3]) == said["pack"] == "models"


def test_nested_figures_are_named_with_dots():
    assert list(flat({"a": 1, "b": {"c": [2.0], "d": {"e": None}}})) == [
        ("a", 1),
        ("b.c", [2.0]),
        ("b.d.e", None),
    ]


def test_help_is_quick_and_names_every_verb():
    program = (
        "import sys\nfrom antiphon.cli.main import main\n"
        "main(['music', '--help'])\n"
        "for verb in ('generate', 'data build', 'train', 'adopt', 'models', 'evaluate'):\n"
        "    try: main(['music', *verb.split(), '--help'])\n"
        "    except SystemExit as left: assert not left.code\n"
        "main(['music', 'generate', '', '--json'])\n"
        "heavy = {'jax', 'antiphon.studies.music_base', 'soundfile'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for verb in ("generate", "data", "train", "adopt", "models", "evaluate"):
        assert f"  {verb}" in done.stdout
    for option in ("--continue", "--free-tempo", "--resume", "--name", "--bundle"):
        assert option in done.stdout
