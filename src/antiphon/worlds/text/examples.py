"""Rows as token ids in arrays of one width, and the batch of every step."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np
from jaxtyping import Array, Float32, Int32

from antiphon.core.errors import UserError
from antiphon.nets.llama_decoding import Prompts
from antiphon.worlds.text.records import BadRow, Record, Records
from antiphon.worlds.text.tokenizer import Tokenizer

_ROUND = 8  # widths are multiples of this, so that similar files share a compiled program


@dataclass(frozen=True)
class Answers:
    """Completions of N prompts.

    Attributes:
        tokens: ``[N, T]``, padded on the right.
        mask: 1 on their tokens, the stop included, ``[N, T]``.
    """

    tokens: Int32[np.ndarray, "N T"]
    mask: Float32[np.ndarray, "N T"]


@dataclass(frozen=True)
class Examples:
    """Tokenised rows.

    Attributes:
        prompts: ``tokens`` ``[N, P]`` and ``length`` ``[N]``.
        answers: completions, of pairs the better ones; ``None`` where only prompts were wanted.
        rejected: the worse ones of pairs.
        lines: of the file, ``[N]``.
        asked: prompts as texts, by their token ids.
        bad: rows that are too long, or that the chat template refuses.
    """

    prompts: Prompts
    answers: Answers | None
    rejected: Answers | None
    lines: Int32[np.ndarray, " N"]
    asked: dict[tuple[int, ...], str] = field(repr=False)
    bad: tuple[BadRow, ...] = ()

    def __len__(self) -> int:
        return len(self.lines)

    @property
    def tokens(self) -> int:
        """Tokens of all rows, padding left out, the worse answers too."""
        answers = [part for part in (self.answers, self.rejected) if part is not None]
        return int(np.sum(self.prompts.length)) + sum(int(part.mask.sum()) for part in answers)

    @property
    def padding(self) -> float:
        """Share of the arrays that is padding."""
        answers = [part for part in (self.answers, self.rejected) if part is not None]
        slots = self.prompts.tokens.size + sum(part.tokens.size for part in answers)
        return 1.0 - self.tokens / slots


def tokenise(
    records: Records,
    tokenizer: Tokenizer,
    context: int,
    *,
    answers: bool,
    new_tokens: int | None = None,
    prompt_tokens: int | None = None,
    plain: bool = False,
    sampled: bool = False,
) -> Examples:
    """Token ids of the rows, completions with the stop behind them.

    Args:
        records: the rows.
        tokenizer: of the model.
        context: positions the model has.
        answers: whether completions are wanted, which the rows must then have.
        new_tokens: width T of completions; that of the longest if not given.
        prompt_tokens: longest prompt to keep; the context decides if not given.
        plain: text prompts are continued as they are, even if there is a chat template.
        sampled: the model writes completions of T tokens itself, for which every prompt must leave room.

    Raises:
        UserError: no row fits, or the model has no end token.
    """
    if not tokenizer.stop:
        raise UserError("tokenizer", "the model has no end-of-text token", "set eos_token in its tokenizer")
    rows: list[tuple[Record, list[int], list[list[int]]]] = []
    bad: list[BadRow] = []
    for record in records.good:
        try:
            prompt = prompt_ids(record, tokenizer, plain)
        except UserError as error:
            bad.append(BadRow(record.line, f"cannot be a prompt: {error.message}"))
            continue
        texts = [record.completion, record.rejected] if answers else []
        follow = [
            [*tokenizer.encode(text, plain=True), tokenizer.stop[0]] for text in texts if text is not None
        ]
        reason = _too_long(prompt, follow, context, new_tokens, prompt_tokens, sampled)
        if reason is None:
            rows.append((record, prompt, follow))
        else:
            bad.append(BadRow(record.line, reason))
    if not rows:
        raise UserError(
            "data",
            f"none of the {len(bad)} rows of {records.path} fits the model: {bad[0]}",
            "shorten the texts, or use a model with a longer context",
        )
    limit = context - (new_tokens or 1) if sampled else context
    width = min(_rounded(max(len(prompt) for _, prompt, _ in rows)), limit)
    new = new_tokens or _rounded(max((len(f) for *_, follow in rows for f in follow), default=1))
    tokens, length = _padded([prompt for _, prompt, _ in rows], width, tokenizer.pad)

    def side(place: int) -> Answers | None:
        if any(len(follow) <= place for *_, follow in rows):
            return None
        ids, counts = _padded([follow[place] for *_, follow in rows], new, tokenizer.pad)
        return Answers(ids, (np.arange(new) < counts[:, None]).astype(np.float32))

    return Examples(
        # Arrays of the host; the loop brings them to the device.
        prompts=Prompts(cast(Array, tokens), cast(Array, length)),
        answers=side(0),
        rejected=side(1),
        lines=np.array([record.line for record, *_ in rows], np.int32),
        asked={tuple(prompt): record.asked for record, prompt, _ in rows},
        bad=tuple(bad),
    )


def rows_of_step(count: int, batch: int, seed: int) -> Callable[[int], Int32[np.ndarray, " B"]]:
    """Which rows step i reads: every row once before any comes again, in an order of its own each time.

    A function of i alone, so that a resumed run reads what an uninterrupted one does.

    Args:
        count: rows, N.
        batch: rows a step, B; more than N repeats some.
        seed: of the orders.
    """
    orders: dict[int, np.ndarray] = {}

    def order(epoch: int) -> np.ndarray:
        if epoch not in orders:
            if len(orders) > 2:
                orders.clear()
            orders[epoch] = np.random.default_rng((seed, epoch)).permutation(count).astype(np.int32)
        return orders[epoch]

    def rows(step: int) -> np.ndarray:
        places = np.arange(step * batch, (step + 1) * batch)
        return np.array([order(int(place // count))[place % count] for place in places], np.int32)

    return rows


def prompt_ids(record: Record, tokenizer: Tokenizer, plain: bool = False) -> list[int]:
    """Token ids of a prompt: a conversation by the chat template, and a text too where there is one.

    Args:
        record: the row.
        tokenizer: of the model.
        plain: continue texts as they are even so.

    Raises:
        UserError: messages without a chat template, or that it refuses.
    """
    if not isinstance(record.prompt, str):
        return tokenizer.encode_chat(record.prompt)
    if plain or tokenizer.template is None:
        return tokenizer.encode(record.prompt)
    return tokenizer.encode_chat([{"role": "user", "content": record.prompt}])


def _too_long(
    prompt: Sequence[int],
    follow: Sequence[Sequence[int]],
    context: int,
    new_tokens: int | None,
    prompt_tokens: int | None,
    sampled: bool,
) -> str | None:
    longest = max(map(len, follow), default=0)
    if prompt_tokens is not None and len(prompt) > prompt_tokens:
        return f"has a prompt of {len(prompt)} tokens, more than the {prompt_tokens} allowed"
    if new_tokens is not None and longest > new_tokens:
        return f"has a completion of {longest} tokens, more than the {new_tokens} allowed"
    room = max(longest, (new_tokens or 1) if sampled else 1)
    if len(prompt) + room > context:
        return (
            f"has a prompt of {len(prompt)} tokens, which with {room} more exceeds the context of {context}"
        )
    return None


def _padded(rows: Sequence[Sequence[int]], width: int, pad: int) -> tuple[np.ndarray, np.ndarray]:
    tokens = np.full((len(rows), width), pad, np.int32)
    for target, row in zip(tokens, rows, strict=True):
        target[: len(row)] = row
    return tokens, np.array([len(row) for row in rows], np.int32)


def _rounded(width: int) -> int:
    return -(-width // _ROUND) * _ROUND
