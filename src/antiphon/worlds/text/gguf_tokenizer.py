"""The tokenizer inside a GGUF file: byte-level BPE, or SentencePiece's BPE with scores."""

from typing import TYPE_CHECKING

from antiphon.core.errors import UserError
from antiphon.worlds.text.gguf import GGUF
from antiphon.worlds.text.tokenizer import Tokenizer

if TYPE_CHECKING:
    import tokenizers

_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{DIGITS}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_LLAMA3, _QWEN2 = _WORDS.replace("{DIGITS}", "{1,3}"), _WORDS.replace("{DIGITS}", "")
_SPLITS = {
    "gpt-2": None, "default": None, "smollm": None,
    "llama-bpe": _LLAMA3, "llama3": _LLAMA3, "llama-v3": _LLAMA3,
    "qwen2": _QWEN2, "deepseek-r1-qwen": _QWEN2,
}  # fmt: skip
"""Names of pre-tokenizers, and the pattern that cuts a text into words; ``None`` for GPT-2's own."""

_CONTROL, _USER_DEFINED = 3, 4


def gguf_tokenizer(file: GGUF) -> Tokenizer:
    """The tokenizer that a file carries.

    Raises:
        UserError: it carries none, or one of a kind that is not known here.
    """
    import tokenizers

    kind = file.value("tokenizer.ggml.model")
    tokens: list[str] = file.value("tokenizer.ggml.tokens")
    if kind == "gpt2":
        backend = _byte_level(file, tokens)
    elif kind == "llama":
        backend = _sentence_piece(file, tokens)
    else:
        raise UserError(
            "tokenizer", f"{file.path} has a tokenizer {kind!r}, which is not known here", "use gpt2 or llama"
        )
    types = file.metadata.get("tokenizer.ggml.token_type", [1] * len(tokens))
    special = [token for token, type_ in zip(tokens, types, strict=True) if type_ == _CONTROL]
    backend.add_special_tokens([tokenizers.AddedToken(t, special=True, normalized=False) for t in special])
    added = [token for token, type_ in zip(tokens, types, strict=True) if type_ == _USER_DEFINED]
    backend.add_tokens([tokenizers.AddedToken(token, normalized=False) for token in added])
    ids = {
        name: file.metadata.get(f"tokenizer.ggml.{key}_token_id")
        for name, key in {
            "bos_token": "bos", "eos_token": "eos", "pad_token": "padding", "unk_token": "unknown",
        }.items()
    }  # fmt: skip
    stops = [
        ids["eos_token"],
        *(file.metadata.get(f"tokenizer.ggml.{key}_token_id") for key in ("eot", "eom")),
    ]
    stop = tuple(dict.fromkeys(i for i in stops if i is not None))
    begins = file.metadata.get("tokenizer.ggml.add_bos_token", kind == "llama")
    pad = ids["pad_token"]
    return Tokenizer(
        backend,
        stop,
        pad if pad is not None else (stop or (0,))[0],
        ids["bos_token"] if begins else None,
        file.metadata.get("tokenizer.chat_template"),
        {name: tokens[i] for name, i in ids.items() if i is not None},
    )


def _byte_level(file: GGUF, tokens: list[str]) -> "tokenizers.Tokenizer":
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

    name = file.metadata.get("tokenizer.ggml.pre", "default")
    if name not in _SPLITS:
        raise UserError(
            "tokenizer",
            f"{file.path} cuts words by the rule {name!r}, which is not known here",
            f"use one of: {', '.join(_SPLITS)}",
        )
    merges = [tuple(merge.split(" ", 1)) for merge in file.value("tokenizer.ggml.merges")]
    backend = Tokenizer(
        models.BPE(
            vocab={token: i for i, token in enumerate(tokens)},
            merges=merges,
            ignore_merges=name.startswith("llama"),
        )
    )
    pattern = _SPLITS[name]
    bytes_ = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=pattern is None)
    if pattern is not None:
        cut = pre_tokenizers.Split(Regex(pattern), "isolated", invert=False)
        backend.pre_tokenizer = pre_tokenizers.Sequence([cut, bytes_])
    elif name == "smollm":
        digits = pre_tokenizers.Digits(individual_digits=True)
        backend.pre_tokenizer = pre_tokenizers.Sequence([digits, bytes_])
    else:
        backend.pre_tokenizer = bytes_
    if pattern is _QWEN2:
        backend.normalizer = normalizers.NFC()
    backend.decoder = decoders.ByteLevel()
    return backend


def _sentence_piece(file: GGUF, tokens: list[str]) -> "tokenizers.Tokenizer":
    from tokenizers import Tokenizer, decoders, models, normalizers

    vocabulary = {token: i for i, token in enumerate(tokens)}
    scores = file.value("tokenizer.ggml.scores")
    unknown = file.metadata.get("tokenizer.ggml.unknown_token_id", 0)
    backend = Tokenizer(
        models.BPE(
            vocab=vocabulary,
            merges=_merges(tokens, vocabulary, scores),
            unk_token=tokens[unknown],
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    prefix = file.metadata.get("tokenizer.ggml.add_space_prefix", True)
    space = normalizers.Replace(" ", "▁")
    backend.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), space] if prefix else [space])
    strip = [decoders.Strip(" ", 1, 0)] if prefix else []
    backend.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), *strip]
    )
    return backend


def _merges(tokens: list[str], vocabulary: dict[str, int], scores: list[float]) -> list[tuple[str, str]]:
    """Pairs of tokens that make a token, the best score of the result first.

    SentencePiece joins the neighbours whose union has the best score; listing every pair in that order makes
    BPE do the same.
    """
    found = []
    for token, score in zip(tokens, scores, strict=True):
        for cut in range(1, len(token)):
            first, second = token[:cut], token[cut:]
            if first in vocabulary and second in vocabulary:
                found.append((-score, vocabulary[first], vocabulary[second], first, second))
    return [(first, second) for *_, first, second in sorted(found)]
