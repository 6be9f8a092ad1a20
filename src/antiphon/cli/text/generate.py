"""``antiphon text generate``: prompts to completions."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from antiphon.cli.compilation import keep_compilations
from antiphon.cli.output import emit, say
from antiphon.cli.parsing import parse
from antiphon.core.errors import UserError

if TYPE_CHECKING:
    from antiphon.worlds.text.model import TextModel


_TOKENS = 128


@dataclass(frozen=True)
class GenerateArguments:
    """Complete prompts with a language model."""

    prompt: Annotated[tuple[str, ...], tyro.conf.arg(aliases=["-p"])] = ()
    """What to answer or go on with; several make one batch."""

    model: Annotated[str, tyro.conf.arg(aliases=["-m"])] = "smollm2"
    """smollm2, a GGUF file, or a Hugging Face folder."""

    prompt_file: Path | None = None
    """Take prompts from this text file, one a line."""

    system: str | None = None
    """What the model is told before the conversation."""

    raw: bool = False
    """Continue the prompt as plain text instead of answering it as a chat."""

    lora: Path | None = None
    """Folder of a PEFT adapter to put on the model."""

    n: Annotated[int, tyro.conf.arg(aliases=["-n"])] = 1
    """Completions of each prompt."""

    tokens: int | None = None
    """New tokens at most; 128, or what the context has room for, if not given."""

    temperature: float = 0.0
    """Of sampling; 0 takes the likeliest token every time."""

    top_k: int = 0
    """Draw from so many of the likeliest tokens only; 0 for all."""

    top_p: float = 1.0
    """Draw from the fewest likeliest tokens of this mass only; 1 for all."""

    seed: int = 0
    """Same seed, same machine, same completions."""

    json: bool = False
    """Make the last line of output one JSON object."""


def main(argv: Sequence[str]) -> int:
    """Prints the completions, one after the other."""
    arguments = parse(GenerateArguments, argv, "antiphon text generate")
    prompts = _prompts(arguments)
    if arguments.n < 1:
        raise UserError("usage", f"-n is {arguments.n}", "ask for at least one completion")
    if arguments.temperature < 0:
        raise UserError("usage", f"--temperature is {arguments.temperature}", "give 0 or more")
    keep_compilations()
    from antiphon.nets.llama_sampling import Decoding
    from antiphon.worlds.text.completion import complete
    from antiphon.worlds.text.model import TextModel

    if arguments.tokens is not None:
        Decoding(new_tokens=arguments.tokens)  # refuses none before a model is loaded
    model = TextModel.load(arguments.model)
    if arguments.lora is not None:
        model = model.adapted(arguments.lora)
    rows = [_encoded(model, prompt, arguments) for prompt in prompts for _ in range(arguments.n)]
    new = arguments.tokens or min(_TOKENS, max(model.config.context - max(map(len, rows)), 1))
    decoding = Decoding(new_tokens=new, top_k=arguments.top_k, top_p=arguments.top_p)
    began = time.perf_counter()
    texts, made = complete(
        model, rows, decoding=decoding, temperature=arguments.temperature, seed=arguments.seed
    )
    took = time.perf_counter() - began
    drawn = int(made.length.sum())
    if arguments.json:
        emit({"completions": texts, "tokens_per_second": drawn / took, "tokens": drawn, "model": model.name})
    else:
        print("\n\n".join(texts))
        say(f"{drawn} tokens in {took:.1f} s ({drawn / took:.1f} a second, compilation included)")
    return 0


def _prompts(arguments: GenerateArguments) -> list[str]:
    prompts = list(arguments.prompt)
    path = arguments.prompt_file
    if path is not None:
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(
                "file", f"{path} cannot be read ({error})", "give a text file in UTF-8"
            ) from error
        prompts += [line for line in lines if line.strip()]
    if not prompts:
        raise UserError("prompt", "no prompt is given", 'add one: --prompt "What is the capital of France?"')
    empty = next((prompt for prompt in prompts if not prompt.strip()), None)
    if empty is not None:
        raise UserError("prompt", "a prompt is empty", "write something in it")
    return prompts


def _encoded(model: "TextModel", prompt: str, arguments: GenerateArguments) -> list[int]:
    """As a chat where the model has a template, else as plain text."""
    if arguments.raw or model.tokenizer.template is None:
        if arguments.system is not None:
            raise UserError(
                "usage", "--system needs a chat", "leave out --raw, or use a model with a template"
            )
        return model.tokenizer.encode(prompt)
    system = [] if arguments.system is None else [{"role": "system", "content": arguments.system}]
    return model.tokenizer.encode_chat([*system, {"role": "user", "content": prompt}])
