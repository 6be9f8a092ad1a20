"""A small decoder from nothing: sizes for a number of weights, and a tokenizer trained on the data."""

import re
from collections.abc import Iterable

import jax

from antiphon.core.errors import UserError
from antiphon.nets.llama import Llama
from antiphon.worlds.text.model import TextModel
from antiphon.worlds.text.tokenizer import Tokenizer

END, PAD = "<|end|>", "<|pad|>"

CHAT = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
"""The chat template of models that start from nothing."""

_HEAD, _WIDEST = 32, 2048


def sizes_for(weights: int, vocabulary: int, context: int) -> Llama:
    """The decoder whose number of weights comes closest: width in steps of 32, a layer for every 64.

    Raises:
        UserError: fewer weights than the smallest such decoder has, or more than the largest.
    """
    found = min(
        (_sizes(width, vocabulary, context) for width in range(32, _WIDEST + 1, 32)),
        key=lambda config: abs(weight_count(config) - weights),
    )
    count = weight_count(found)
    if not 0.5 <= count / max(weights, 1) <= 2:
        raise UserError(
            "model",
            f"no small decoder of {weights:,} weights speaks {vocabulary:,} tokens (the nearest: {count:,})",
            "ask for another size, as in new:4m, or another vocabulary",
        )
    return found


def weights_named(name: str) -> int:
    """The number of weights in ``new:4m``, ``new:300k``.

    Raises:
        UserError: there is none.
    """
    match = re.fullmatch(r"new:(\d+(?:\.\d+)?)([km])", name.lower())
    if match is None:
        raise UserError("model", f"{name} is no size of a new model", "write one such as new:4m or new:300k")
    return int(float(match[1]) * {"k": 1e3, "m": 1e6}[match[2]])


def weight_count(config: Llama) -> int:
    """Weights of a decoder, norms included."""
    shapes = jax.eval_shape(config.init, jax.random.key(0))
    return sum(leaf.size for leaf in jax.tree.leaves(shapes))


def train_tokenizer(texts: Iterable[str], vocabulary: int, *, chat: bool = False) -> Tokenizer:
    """A byte-level tokenizer of at most ``vocabulary`` tokens; it can spell every text.

    Args:
        texts: to learn from.
        vocabulary: tokens, those of bytes and the special ones included.
        chat: give it a chat template.

    Raises:
        UserError: too small a vocabulary for bytes.
        ModuleNotFoundError: without the package tokenizers.
    """
    import tokenizers

    special = [END, PAD, *(["<|system|>", "<|user|>", "<|assistant|>"] if chat else [])]
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    if vocabulary < len(alphabet) + len(special):
        raise UserError(
            "model",
            f"{vocabulary} tokens have no room for {len(alphabet)} bytes and {len(special)} special ones",
            "give --vocabulary 512 or more",
        )
    backend = tokenizers.Tokenizer(tokenizers.models.BPE())
    digits = tokenizers.pre_tokenizers.Digits(individual_digits=True)
    pieces = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.pre_tokenizer = tokenizers.pre_tokenizers.Sequence([digits, pieces])
    backend.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=special, initial_alphabet=alphabet, show_progress=False,
        min_frequency=2,
    )  # fmt: skip
    backend.train_from_iterator(texts, trainer)
    return Tokenizer(
        backend, stop=(0,), pad=1, template=CHAT if chat else None,
        names={"eos_token": END, "pad_token": PAD},
    )  # fmt: skip


def new_model(
    name: str, weights: int, tokenizer: Tokenizer, *, context: int = 512, seed: int = 0
) -> TextModel:
    """A decoder of random weights that speaks ``tokenizer``.

    Raises:
        UserError: see :func:`sizes_for`.
    """
    config = sizes_for(weights, tokenizer.vocabulary, context)
    return TextModel(name, config, config.init(jax.random.key(seed)), tokenizer)


def _sizes(width: int, vocabulary: int, context: int) -> Llama:
    heads = max(width // _HEAD // 2, 1)
    kv_heads = heads // 2 if heads % 2 == 0 else heads
    return Llama(
        vocabulary=vocabulary, width=width, layers=max(width // 64, 2), heads=heads, kv_heads=kv_heads,
        head_width=width // heads // 2 * 2, hidden=-(-8 * width // 3 // 32) * 32, context=context,
    )  # fmt: skip
