"""Text to token ids and back, and the ids that mean something to a decoder."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from antiphon.core.errors import UserError
from antiphon.core.files import whole_file
from antiphon.worlds.text.chat import Message, render
from antiphon.worlds.text.huggingface_folder import read_json

if TYPE_CHECKING:
    import tokenizers


@dataclass(frozen=True)
class Tokenizer:
    """A tokenizer with its special tokens and chat template.

    Attributes:
        backend: does the work.
        stop: ids that end a completion; the first is the end of text or turn.
        pad: id that fills rows up; never read by a model.
        begin: id put before plain text, if any.
        template: Jinja source that turns messages into a prompt; ``None`` without one.
        names: special tokens by the names that templates use, such as ``{"bos_token": "<s>"}``.
    """

    backend: "tokenizers.Tokenizer" = field(repr=False)
    stop: tuple[int, ...]
    pad: int
    begin: int | None = None
    template: str | None = field(default=None, repr=False)
    names: Mapping[str, str] = field(default_factory=dict)

    @property
    def vocabulary(self) -> int:
        """Number of tokens, added ones included."""
        return self.backend.get_vocab_size(with_added_tokens=True)

    def encode(self, text: str, *, plain: bool = False) -> list[int]:
        """Token ids of a text.

        Args:
            text: anything; special tokens written out in it become themselves.
            plain: leave out the token that stands before every text.
        """
        ids = list(self.backend.encode(text, add_special_tokens=False).ids)
        return ids if plain or self.begin is None or ids[:1] == [self.begin] else [self.begin, *ids]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of token ids, special tokens left out."""
        return self.backend.decode([int(i) for i in ids], skip_special_tokens=True)

    def encode_chat(self, messages: Sequence[Message], *, answer: bool = True) -> list[int]:
        """Token ids of a conversation, ready to be answered.

        Args:
            messages: ``{"role": …, "content": …}`` each.
            answer: end with the beginning of the assistant's turn.

        Raises:
            UserError: there is no chat template, or it refuses the messages.
        """
        if self.template is None:
            raise UserError("chat-template", "this model has no chat template", "give it plain text instead")
        return self.encode(render(self.template, messages, self.names, answer), plain=True)

    def same_vocabulary(self, other: "Tokenizer") -> bool:
        """Whether both give every token the same id."""
        mine, theirs = (t.backend.get_vocab(with_added_tokens=True) for t in (self, other))
        return mine == theirs

    def save(self, folder: Path) -> list[Path]:
        """Writes ``tokenizer.json`` and ``tokenizer_config.json``, which transformers reads."""
        config: dict[str, Any] = {"tokenizer_class": "PreTrainedTokenizerFast", **self.names}
        config["add_bos_token"] = self.begin is not None
        pad = self.backend.id_to_token(self.pad)
        if pad is not None:
            config["pad_token"] = pad
        if self.template is not None:
            config["chat_template"] = self.template
        texts = {
            "tokenizer.json": self.backend.to_str(pretty=False),
            "tokenizer_config.json": json.dumps(config, indent=2),
        }
        for name, text in texts.items():
            with whole_file(folder / name) as file:
                file.write(text.encode())
        return [folder / name for name in texts]


def load_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer of a Hugging Face folder.

    Raises:
        UserError: there is no ``tokenizer.json``, or it cannot be read.
    """
    import tokenizers

    path = folder / "tokenizer.json"
    if not path.is_file():
        raise UserError(
            "file", f"{folder} has no tokenizer.json", "save the model's fast tokenizer beside its weights"
        )
    try:
        backend = tokenizers.Tokenizer.from_file(str(path))
    except Exception as error:  # the binding raises plain Exception
        raise UserError("file", f"{path} is no tokenizer ({error})", "copy or fetch it again") from error
    backend.no_padding()
    backend.no_truncation()
    settings = {}
    for name in ("config.json", "generation_config.json", "tokenizer_config.json"):
        settings[name] = read_json(folder / name) if (folder / name).is_file() else {}
    described = settings["tokenizer_config.json"]
    names = {
        name: text
        for name in ("bos_token", "eos_token", "pad_token", "unk_token")
        if (text := _written(described.get(name))) is not None
    }
    stop = [backend.token_to_id(names[name]) for name in ("eos_token",) if name in names]
    for name in ("generation_config.json", "config.json"):
        ids = settings[name].get("eos_token_id")
        stop += ids if isinstance(ids, list) else [ids]
    stop = tuple(dict.fromkeys(i for i in stop if isinstance(i, int)))
    pad = backend.token_to_id(names["pad_token"]) if "pad_token" in names else None
    # What the tokenizer itself puts before a text says more than its settings, which transformers ignores
    # for some classes.
    first = backend.encode("a", add_special_tokens=True).ids
    begin = first[0] if first != backend.encode("a", add_special_tokens=False).ids else None
    if begin is None and described.get("add_bos_token") and "bos_token" in names:
        begin = backend.token_to_id(names["bos_token"])
    template = described.get("chat_template")
    if isinstance(template, list):
        template = next((entry["template"] for entry in template if entry.get("name") == "default"), None)
    if (folder / "chat_template.jinja").is_file():
        template = (folder / "chat_template.jinja").read_text(encoding="utf-8")
    return Tokenizer(backend, stop, pad if pad is not None else (stop or (0,))[0], begin, template, names)


def _written(token: Any) -> str | None:
    """The text of a special token, which some files store as an object."""
    token = token.get("content") if isinstance(token, Mapping) else token
    return token if isinstance(token, str) else None
