"""Tokenizers: text to ids and back, chats, folders, and those inside GGUF files."""

import json
from pathlib import Path

import pytest

from antiphon.core.errors import UserError
from antiphon.worlds.text.chat import render
from antiphon.worlds.text.gguf import GGUF
from antiphon.worlds.text.gguf_tokenizer import gguf_tokenizer
from antiphon.worlds.text.tokenizer import load_tokenizer

tokenizers = pytest.importorskip("tokenizers")


def test_there_and_back(tokenizer):
    text = "the dog sat on the mat; naïve 雨 1 2"
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert tokenizer.decode([0, *ids, 1]) == text
    assert tokenizer.vocabulary == 1 + max(tokenizer.backend.get_vocab().values())


def test_a_chat(tokenizer):
    ids = tokenizer.encode_chat([{"role": "user", "content": "the cat"}])
    assert ids == [2, *tokenizer.encode("the cat"), 1, 3]
    closed = tokenizer.encode_chat(
        [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}], answer=False
    )
    assert closed[-1] == 1


def test_templates_that_refuse(tokenizer):
    refusing = "{{ raise_exception('no system please') }}"
    with pytest.raises(UserError, match="no system please"):
        render(refusing, [{"role": "system", "content": "x"}], {}, True)
    with pytest.raises(UserError, match="message 0 has no role"):
        render("", [{"content": "x"}], {}, True)
    # The sandbox keeps programs from the outside away from Python.
    with pytest.raises(UserError, match="chat template"):
        render("{{ ''.__class__.__mro__[1].__subclasses__() }}", [], {}, True)
    with pytest.raises(UserError, match="no chat template"):
        type(tokenizer)(tokenizer.backend, (1,), 1).encode_chat([])
    assert render("{{ messages | tojson }}", [{"role": "a", "content": "<é>"}], {}, True) == (
        '[{"role": "a", "content": "<é>"}]'
    )


def test_folders(tokenizer, tmp_path):
    tokenizer.save(tmp_path)
    again = load_tokenizer(tmp_path)
    assert again.same_vocabulary(tokenizer)
    assert (again.stop, again.pad, again.begin) == (tokenizer.stop, tokenizer.pad, None)
    assert again.template == tokenizer.template
    assert again.encode("the cat") == tokenizer.encode("the cat")
    # Further ends of a turn stand in generation_config.json, a newer template in a file of its own.
    (tmp_path / "generation_config.json").write_text(json.dumps({"eos_token_id": [3, 1]}))
    (tmp_path / "chat_template.jinja").write_text("newer")
    config = json.loads((tmp_path / "tokenizer_config.json").read_text())
    config["bos_token"] = {"content": "<|start|>"}
    config["add_bos_token"] = True
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    again = load_tokenizer(tmp_path)
    assert again.stop == (1, 3)
    assert again.template == "newer"
    assert again.begin == 0
    assert again.encode("the cat") == [0, *tokenizer.encode("the cat")]
    assert again.encode("the cat", plain=True) == tokenizer.encode("the cat")


def test_a_tokenizer_that_begins_every_text_by_itself(tokenizer, tmp_path):
    tokenizer.save(tmp_path)
    backend = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    backend.post_processor = tokenizers.processors.TemplateProcessing(
        single="<|start|> $A", special_tokens=[("<|start|>", 0)]
    )
    backend.save(str(tmp_path / "tokenizer.json"))
    again = load_tokenizer(tmp_path)
    assert again.begin == 0
    assert again.encode("the cat")[:2] == [0, tokenizer.encode("the cat")[0]]
    assert again.encode("<|start|>the cat") == again.encode("the cat")


def test_folders_without_a_tokenizer(tmp_path):
    with pytest.raises(UserError, match=r"no tokenizer\.json"):
        load_tokenizer(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(UserError, match="is no tokenizer"):
        load_tokenizer(tmp_path)


def held(**metadata):
    """A GGUF file of which only the metadata are read."""
    spelled = {f"tokenizer.ggml.{key}": value for key, value in metadata.items()}
    return GGUF(Path("m.gguf"), spelled, {})


def test_byte_level_bpe_in_gguf(tokenizer):
    state = json.loads(tokenizer.backend.to_str())
    vocabulary = sorted(state["model"]["vocab"], key=state["model"]["vocab"].get)
    merges = [" ".join(pair) for pair in state["model"]["merges"]]
    facts = {
        "model": "gpt2", "tokens": vocabulary, "merges": merges,
        "token_type": [3] * 4 + [1] * (len(vocabulary) - 4),
        "bos_token_id": 0, "eos_token_id": 1, "eot_token_id": 3,
    }  # fmt: skip
    found = gguf_tokenizer(held(pre="gpt-2", **facts))
    text = "the cat sat 1 2  naïve<|end|>"
    assert found.encode(text) == tokenizer.encode(text)
    assert found.decode(found.encode(text)) == "the cat sat 1 2  naïve"
    assert (found.stop, found.pad, found.begin) == ((1, 3), 1, None)
    assert found.names == {"bos_token": "<|start|>", "eos_token": "<|end|>"}
    assert gguf_tokenizer(held(pre="gpt-2", add_bos_token=True, **facts)).encode("a")[0] == 0
    with pytest.raises(UserError, match="rule 'chatglm-bpe'"):
        gguf_tokenizer(held(pre="chatglm-bpe", **facts))
    with pytest.raises(UserError, match="tokenizer 'bert'"):
        gguf_tokenizer(held(**{**facts, "model": "bert"}))


@pytest.mark.parametrize(
    ("pre", "words"),
    [
        ("gpt-2", ["x", "   ", " 1234", "'s", " it"]),
        ("smollm", ["x", "    ", "1", "2", "3", "4", "'s", " it"]),
        ("llama-bpe", ["x", "   ", " ", "123", "4", "'s", " it"]),
        ("qwen2", ["x", "   ", " ", "1", "2", "3", "4", "'s", " it"]),
    ],
)
def test_where_words_are_cut(tokenizer, pre, words):
    state = json.loads(tokenizer.backend.to_str())
    vocabulary = sorted(state["model"]["vocab"], key=state["model"]["vocab"].get)
    found = gguf_tokenizer(held(model="gpt2", pre=pre, tokens=vocabulary, merges=[]))
    pieces = found.backend.pre_tokenizer.pre_tokenize_str("x    1234's it")
    assert [piece.replace("Ġ", " ") for piece, _ in pieces] == words


def test_sentence_piece_in_gguf():
    scored = {
        "<unk>": 0, "<s>": 0, "</s>": 0, "▁": -5, "a": -6, "b": -7, "c": -8, "ab": -2, "▁ab": -1, "bc": -1.5,
    }  # fmt: skip
    scored |= {f"<0x{byte:02X}>": 0 for byte in range(256)}
    found = gguf_tokenizer(
        held(
            model="llama",
            tokens=list(scored),
            scores=list(scored.values()),
            unknown_token_id=0,
            bos_token_id=1,
            eos_token_id=2,
            token_type=[2, 3, 3] + [1] * 7 + [6] * 256,
        )
    )
    pieces = [found.backend.id_to_token(i) for i in found.encode("abc ab é")]
    # "bc" has the better score than "ab", so it is joined first.
    assert pieces == ["<s>", "▁", "a", "bc", "▁ab", "▁", "<0xC3>", "<0xA9>"]
    assert found.decode(found.encode("abc ab é")) == "abc ab é"
    assert found.stop == (2,)
