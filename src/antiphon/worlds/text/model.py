"""A language model with its tokenizer, from wherever it comes."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from antiphon.core.errors import UserError
from antiphon.nets.llama import Llama, LlamaParams, merged
from antiphon.nets.llama_decoding import Prompts
from antiphon.nets.lora_files import CONFIG as ADAPTER
from antiphon.nets.lora_files import load_adapter
from antiphon.worlds.text import smollm2
from antiphon.worlds.text.gguf import GGUF
from antiphon.worlds.text.gguf_model import load_gguf
from antiphon.worlds.text.gguf_tokenizer import gguf_tokenizer
from antiphon.worlds.text.huggingface_folder import export_folder, load_folder, read_json
from antiphon.worlds.text.tokenizer import Tokenizer, load_tokenizer


@dataclass(frozen=True)
class TextModel:
    """A decoder and its tokenizer.

    Attributes:
        name: as it was asked for.
        config: sizes.
        params: weights.
        tokenizer: text to tokens and back.
    """

    name: str
    config: Llama
    params: LlamaParams = field(repr=False)
    tokenizer: Tokenizer

    def __post_init__(self) -> None:
        if self.tokenizer.vocabulary > self.config.vocabulary:
            raise UserError(
                "tokenizer",
                f"the tokenizer of {self.name} knows {self.tokenizer.vocabulary} tokens, "
                f"its weights {self.config.vocabulary}",
                "use the tokenizer the model was trained with",
            )

    @staticmethod
    def load(name: str, dtype: DTypeLike = jnp.float32) -> "TextModel":
        """A model by name.

        Args:
            name: "smollm2", a GGUF file, a Hugging Face folder, or a PEFT folder, whose base is loaded and
                the adapter merged into it.
            dtype: of the weights.

        Raises:
            UserError: there is no such model, or it cannot be used.
        """
        path = smollm2.smollm2_path() if name == smollm2.NAME else Path(name).expanduser()
        if path.is_dir() and (path / ADAPTER).is_file() and not (path / "config.json").is_file():
            base = read_json(path / ADAPTER).get("base_model_name_or_path")
            if not isinstance(base, str):
                raise UserError("lora", f"{path / ADAPTER} names no base model", "name it there")
            return replace(TextModel.load(base, dtype).adapted(path), name=name)
        if path.is_dir():
            config, params = load_folder(path, dtype)
            return TextModel(name, config, params, load_tokenizer(path))
        if not path.is_file():
            raise UserError(
                "file", f"there is no model {name}", "give smollm2, a GGUF file, or a Hugging Face folder"
            )
        file = GGUF.open(path)
        tokenizer = gguf_tokenizer(file)
        return TextModel(name, *load_gguf(file, dtype), tokenizer)

    def adapted(self, folder: Path) -> "TextModel":
        """The model with a PEFT adapter merged into its weights.

        Raises:
            UserError: no adapter, or one of another model.
        """
        lora, adapter = load_adapter(folder, self.config)
        layers = lora.attach(self.params.layers, adapter)
        return replace(self, params=merged(self.params._replace(layers=layers)))

    def export(self, folder: Path) -> list[Path]:
        """Writes a Hugging Face folder that transformers loads; returns its files.

        Raises:
            UserError: no class of transformers has these switches.
            OSError: the disk refused.
        """
        folder.mkdir(parents=True, exist_ok=True)
        stop = list(self.tokenizer.stop)
        extra = {
            "eos_token_id": stop[0] if len(stop) == 1 else stop or None,
            "bos_token_id": self.tokenizer.begin,
            "pad_token_id": self.tokenizer.pad,
        }
        return [
            *self.tokenizer.save(folder),
            *export_folder(folder, self.config, self.params, extra=extra),
        ]


def pad_prompts(rows: Sequence[Sequence[int]], pad: int = 0) -> Prompts:
    """Prompts of different lengths, padded on the right to the longest.

    Raises:
        UserError: there are none, or one is empty.
    """
    if not rows:
        raise UserError("prompt", "there is no prompt", "give at least one")
    empty = next((i for i, row in enumerate(rows) if not len(row)), None)
    if empty is not None:
        raise UserError("prompt", f"prompt {empty} has no tokens", "write something in it")
    length = np.array([len(row) for row in rows], np.int32)
    tokens = np.full((len(rows), length.max()), pad, np.int32)
    for row, target in zip(rows, tokens, strict=True):
        target[: len(row)] = row
    return Prompts(jnp.asarray(tokens), jnp.asarray(length))


def check_one_vocabulary(first: TextModel, second: TextModel) -> None:
    """Teacher and student, or policy and reference, must speak one language.

    Raises:
        UserError: their tokenizers or vocabularies differ.
    """
    sizes = first.config.vocabulary, second.config.vocabulary
    if sizes[0] != sizes[1] or not first.tokenizer.same_vocabulary(second.tokenizer):
        raise UserError(
            "tokenizer",
            f"{first.name} and {second.name} have different tokenizers ({sizes[0]} and {sizes[1]} tokens)",
            "use two models with one tokenizer",
        )
