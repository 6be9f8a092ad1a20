"""Texts from prompts: tokens in, one compiled loop, tokens out."""

from collections.abc import Sequence
from dataclasses import replace

import jax
import numpy as np

from antiphon.core.errors import UserError
from antiphon.nets.llama_decoding import Prompts
from antiphon.nets.llama_sampling import Completions, Decoding, generate
from antiphon.worlds.text.model import TextModel, pad_prompts

_GENERATE = jax.jit(generate, static_argnames=("config", "decoding"))


def complete(
    model: TextModel,
    prompts: Sequence[Sequence[int]],
    *,
    decoding: Decoding | None = None,
    temperature: float = 0.0,
    seed: int = 0,
) -> tuple[list[str], Completions]:
    """Completions of tokenised prompts.

    Args:
        model: the model.
        prompts: token ids, from ``model.tokenizer.encode`` or ``encode_chat``.
        decoding: how; by default 128 tokens. Stop and pad tokens are always the tokenizer's.
        temperature: 0 takes the likeliest token.
        seed: same seed, same machine, same completions.

    Returns:
        The texts, and what they were made of.

    Raises:
        UserError: no prompt, an empty one, or one longer than the context.
    """
    wanted = decoding or Decoding(new_tokens=128)
    wanted = replace(wanted, stop=model.tokenizer.stop, pad=model.tokenizer.pad)
    rows = pad_prompts(prompts, model.tokenizer.pad)
    made = _GENERATE(
        model.params,
        model.config,
        _rounded_up(rows, model, wanted),
        jax.random.key(seed),
        wanted,
        temperature,
    )
    tokens, length = np.asarray(made.tokens), np.asarray(made.length)
    texts = [model.tokenizer.decode(row[:end]) for row, end in zip(tokens, length, strict=True)]
    return texts, made


def _rounded_up(prompts: Prompts, model: TextModel, decoding: Decoding) -> Prompts:
    """Prompts padded to a multiple of 32 tokens, so that nearby lengths share a compiled program."""
    width = prompts.tokens.shape[1]
    limit = model.config.context - decoding.new_tokens
    if width > limit:
        raise UserError(
            "prompt",
            f"a prompt of {width} tokens and {decoding.new_tokens} new ones exceed the context of "
            f"{model.config.context} tokens of {model.name}",
            "shorten the prompt, or ask for fewer new tokens",
        )
    target = min(-(-width // 32) * 32, limit)
    tokens = np.pad(np.asarray(prompts.tokens), ((0, 0), (0, target - width)), constant_values=decoding.pad)
    return Prompts(jax.numpy.asarray(tokens), prompts.length)
