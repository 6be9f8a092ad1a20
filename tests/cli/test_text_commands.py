"""``antiphon text`` as it is typed."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from antiphon.cli.main import main
from antiphon.nets.llama import Llama
from antiphon.nets.lora import LoRA
from antiphon.nets.lora_files import save_adapter
from antiphon.worlds.text.huggingface_folder import export_folder

tokenizers = pytest.importorskip("tokenizers")

CONFIG = Llama(270, 16, 1, 2, 1, 8, 16, context=128)


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """A model of random weights that speaks bytes."""
    from antiphon.worlds.text.tokenizer import Tokenizer

    path = tmp_path_factory.mktemp("model")
    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: i for i, token in enumerate(["<|end|>", *alphabet])}
    backend = tokenizers.Tokenizer(tokenizers.models.BPE(vocab=vocabulary, merges=[]))
    backend.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = tokenizers.decoders.ByteLevel()
    backend.add_special_tokens(["<|end|>"])
    template = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}"
    Tokenizer(backend, (0,), 0, template=template, names={"eos_token": "<|end|>"}).save(path)
    shapes = jax.eval_shape(CONFIG.init, jax.random.key(0))
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda leaf: jnp.asarray(rng.standard_normal(leaf.shape), leaf.dtype), shapes)
    export_folder(path, CONFIG, params)
    return path


@pytest.fixture
def typed(folder, tmp_path, monkeypatch, capsys):
    """Runs ``antiphon text WORDS --json`` in an empty folder; returns status and JSON object."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        if words[0] == "generate" and "--model" not in words:
            words = (*words, "--model", str(folder))
        status = main(["text", *map(str, words), "--json"])
        return status, json.loads(capsys.readouterr().out.splitlines()[-1])

    return run


def test_prompts_become_completions(typed):
    status, said = typed(
        "generate", "--prompt", "one", "two words", "-n", "2", "--tokens", "5", "--temperature", "1"
    )
    assert status == 0
    assert len(said["completions"]) == 4
    assert said["tokens_per_second"] > 0
    assert 4 <= said["tokens"] <= 20
    # Two draws of one prompt differ, the same command again does not.
    assert said["completions"][0] != said["completions"][1]
    again = typed(
        "generate", "--prompt", "one", "two words", "-n", "2", "--tokens", "5", "--temperature", "1"
    )
    assert again[1]["completions"] == said["completions"]


def test_a_file_of_prompts_and_plain_text(typed, tmp_path):
    (tmp_path / "prompts.txt").write_text("one\n\ntwo\n", encoding="utf-8")
    status, said = typed("generate", "--prompt-file", "prompts.txt", "--raw", "--tokens", "4")
    assert (status, len(said["completions"])) == (0, 2)
    chat = typed("generate", "--prompt-file", "prompts.txt", "--tokens", "4")[1]
    assert chat["completions"] != said["completions"]
    told = typed("generate", "--prompt", "one", "--system", "be short", "--tokens", "4")[1]
    assert told["completions"][0] != chat["completions"][0]


def test_an_adapter_changes_what_is_said(typed, tmp_path):
    lora = LoRA(rank=2, alpha=8.0, targets=("q", "down"))
    shapes = jax.eval_shape(CONFIG.init, jax.random.key(0)).layers
    factors = {
        name: f._replace(b=jnp.ones_like(f.b)) for name, f in lora.init(jax.random.key(0), shapes).items()
    }
    save_adapter(tmp_path / "adapter", lora, factors)
    plain = typed("generate", "--prompt", "one", "--tokens", "4")
    adapted = typed("generate", "--prompt", "one", "--tokens", "4", "--lora", "adapter")
    assert adapted[0] == plain[0] == 0
    assert adapted[1]["completions"] != plain[1]["completions"]


def test_on_a_screen(folder, capsys):
    assert main(["text", "generate", "--prompt", "one", "--tokens", "3", "--model", str(folder)]) == 0
    said = capsys.readouterr()
    assert "a second" in said.err
    assert main(["text", "--help"]) == 0
    assert "generate" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "kind", "said"),
    [
        (["generate"], "prompt", "no prompt"),
        (["generate", "--prompt", " "], "prompt", "a prompt is empty"),
        (["generate", "--prompt", "x", "-n", "0"], "usage", "-n is 0"),
        (["generate", "--prompt", "x", "--temperature", "-1"], "usage", "--temperature is -1"),
        (["generate", "--prompt", "x", "--tokens", "0"], "config", "0 tokens"),
        (["generate", "--prompt", "x", "--top-p", "1.5"], "config", "top_p is 1.5"),
        (["generate", "--prompt", "x" * 200], "prompt", "exceed the context of 128"),
        (["generate", "--prompt", "x", "--model", "nowhere"], "file", "there is no model nowhere"),
        (["generate", "--prompt", "x", "--raw", "--system", "y"], "usage", "--system"),
        (["generate", "--prompt", "x", "--lora", "nowhere"], "file", "adapter_config.json"),
        (["generate", "--prompt-file", "nowhere.txt"], "file", "nowhere.txt"),
        (["generate", "--prompt", "x", "--sede", "3"], "usage", "--sede"),
        (["sing"], "usage", "no verb 'sing'"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(typed, words, kind, said):
    status, answer = typed(*words)
    assert status == 2
    error = answer["error"]
    assert error["kind"] == kind
    assert said in error["message"]
    assert error["mend"]
    assert "\n" not in error["message"]
