"""Rows that users bring: prompts, completions, pairs and conversations, from JSONL and Parquet files.

A row that cannot be used is named by its line and the reason, and counted; it is never dropped in silence.
"""

import importlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from antiphon.core.errors import UserError
from antiphon.worlds.text.chat import Message

Wanted = Literal["completion", "prompt", "pair"]
"""What a method reads: a prompt with its completion, prompts alone, or a prompt with two answers."""


@dataclass(frozen=True)
class Record:
    """One usable row.

    Attributes:
        line: of the file, from 1; of a Parquet file the row.
        prompt: a text, or the messages of a conversation so far.
        completion: what follows it, where the row has that.
        rejected: the worse answer of a pair, whose better one is then the completion.
    """

    line: int
    prompt: str | tuple[Message, ...]
    completion: str | None = None
    rejected: str | None = None

    @property
    def asked(self) -> str:
        """The prompt's text, of a conversation the last message: what a judge is shown."""
        return self.prompt if isinstance(self.prompt, str) else str(self.prompt[-1]["content"])


@dataclass(frozen=True)
class BadRow:
    """A row that cannot be used.

    Attributes:
        line: of the file, from 1.
        reason: why, as in "has no field 'completion'".
    """

    line: int
    reason: str

    def __str__(self) -> str:
        return f"line {self.line} {self.reason}"


@dataclass(frozen=True)
class Records:
    """What a file holds.

    Attributes:
        path: the file.
        good: usable rows, in order.
        bad: the others.
    """

    path: Path
    good: tuple[Record, ...]
    bad: tuple[BadRow, ...] = ()


class _Unusable(Exception):
    """Why a row is bad."""


def read_records(path: Path, wanted: Wanted) -> Records:
    """The rows of a file.

    A row is an object with ``prompt`` and ``completion``; ``prompt``, ``chosen`` and ``rejected``; or
    ``messages`` (``{"role", "content"}`` each), whose last one, the assistant's, is the completion. Prompts,
    completions and answers may be lists of messages too; ``chosen`` and ``rejected`` may both be whole
    conversations that differ in the last message only.

    Args:
        path: ``.parquet`` (needs pyarrow), anything else is read as JSON Lines.
        wanted: what of a row is needed.

    Raises:
        UserError: the file cannot be read, is empty, or has no usable row.
        ModuleNotFoundError: Parquet without pyarrow.
    """
    good: list[Record] = []
    bad: list[BadRow] = []
    for line, row in _rows(path):
        try:
            good.append(_record(line, row, wanted))
        except _Unusable as unusable:
            bad.append(BadRow(line, str(unusable)))
    if not good and not bad:
        raise UserError("data", f"{path} has no rows", "write one JSON object a line in it")
    if not good:
        raise UserError(
            "data", f"none of the {len(bad)} rows of {path} can be used: {bad[0]}", _MENDS[wanted]
        )
    return Records(path, tuple(good), tuple(bad))


_MENDS: Mapping[Wanted, str] = {
    "completion": 'write rows such as {"prompt": "…", "completion": "…"} or {"messages": […]}',
    "prompt": 'write rows such as {"prompt": "…"}',
    "pair": 'write rows such as {"prompt": "…", "chosen": "…", "rejected": "…"}',
}


def _rows(path: Path) -> Iterator[tuple[int, Any]]:
    """Every row with its number; what is no JSON comes as the reason."""
    if not path.is_file():
        raise UserError("file", f"there is no data file {path}", "give a JSONL or Parquet file")
    if path.suffix == ".parquet":
        yield from _parquet_rows(path)
        return
    try:
        lines = path.read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n")
    except OSError as error:
        raise UserError(
            "file", f"{path} cannot be read ({error.strerror or error})", "check its permissions"
        ) from error
    if lines[0].lstrip().startswith(b"["):
        raise UserError("data", f"{path} is one JSON array", "write one JSON object a line instead")
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            yield number, json.loads(line.decode())
        except ValueError as error:  # no JSON, or no UTF-8
            yield number, _Unusable(f"is no JSON ({error})")


def _parquet_rows(path: Path) -> Iterator[tuple[int, Any]]:
    arrow, parquet = map(importlib.import_module, ("pyarrow", "pyarrow.parquet"))
    try:
        number = 0
        for batch in parquet.ParquetFile(path).iter_batches():
            for row in batch.to_pylist():
                number += 1
                # A column that other rows have is null here.
                yield number, {name: value for name, value in row.items() if value is not None}
    except (arrow.ArrowException, OSError) as error:
        raise UserError("file", f"{path} is no Parquet file ({error})", "copy or fetch it again") from error


def _record(line: int, row: Any, wanted: Wanted) -> Record:
    if isinstance(row, _Unusable):
        raise row
    if not isinstance(row, Mapping):
        raise _Unusable(f"holds {_kind(row)} instead of an object")
    if wanted == "pair":
        return _pair(line, row)
    if "prompt" not in row and "messages" in row:
        messages = _messages(row["messages"], "messages")
        answered = messages[-1]["role"] == "assistant"
        if wanted == "prompt":
            asked = messages[:-1] if answered else messages
            if not asked:
                raise _Unusable("has messages without a question")
            return Record(line, asked, _text_of(messages[-1], "messages") if answered else None)
        if not answered:
            raise _Unusable("has messages whose last one is not the assistant's")
        if len(messages) == 1:
            raise _Unusable("has messages without a question")
        return Record(line, messages[:-1], _text_of(messages[-1], "messages"))
    prompt = _prompt(row)
    if wanted == "prompt" and "completion" not in row:
        return Record(line, prompt)
    return Record(line, prompt, _answer(row, "completion"))


def _pair(line: int, row: Mapping[str, Any]) -> Record:
    if "prompt" in row:
        prompt = _prompt(row)
        chosen, rejected = _answer(row, "chosen"), _answer(row, "rejected")
    else:
        for name in ("chosen", "rejected"):
            if not isinstance(row.get(name), Sequence) or isinstance(row[name], str):
                raise _Unusable(f"has no field 'prompt', and {name!r} is no conversation{_known(row)}")
        first, second = _messages(row["chosen"], "chosen"), _messages(row["rejected"], "rejected")
        if len(first) < 2 or first[:-1] != second[:-1]:
            raise _Unusable("has chosen and rejected conversations that differ before their last message")
        prompt, chosen, rejected = first[:-1], _text_of(first[-1], "chosen"), _text_of(second[-1], "rejected")
    if chosen == rejected:
        raise _Unusable("has the same text in 'chosen' and 'rejected'")
    return Record(line, prompt, chosen, rejected)


def _prompt(row: Mapping[str, Any]) -> str | tuple[Message, ...]:
    prompt = _field(row, "prompt")
    if not isinstance(prompt, str):
        return _messages(prompt, "prompt")
    if not prompt.strip():
        raise _Unusable("has an empty 'prompt'")
    return prompt


def _answer(row: Mapping[str, Any], name: str) -> str:
    value = _field(row, name)
    if not isinstance(value, str):
        messages = _messages(value, name)
        if len(messages) != 1:
            raise _Unusable(f"has {len(messages)} messages in {name!r} where one belongs")
        return _text_of(messages[0], name)
    if not value.strip():
        raise _Unusable(f"has an empty {name!r}")
    return value


def _field(row: Mapping[str, Any], name: str) -> Any:
    if name not in row:
        raise _Unusable(f"has no field {name!r}{_known(row)}")
    value = row[name]
    if not isinstance(value, str) and (isinstance(value, Mapping) or not isinstance(value, Sequence)):
        raise _Unusable(f"has {_kind(value)} in {name!r} where text belongs")
    return value


def _messages(value: Any, name: str) -> tuple[Message, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence) or not value:
        raise _Unusable(f"has no list of messages in {name!r}")
    for place, message in enumerate(value):
        if not isinstance(message, Mapping) or not isinstance(message.get("role"), str):
            raise _Unusable(f"has no role in message {place} of {name!r}")
        _text_of(message, name)
    return tuple(value)


def _text_of(message: Message, name: str) -> str:
    text = message.get("content")
    if not isinstance(text, str) or not text.strip():
        raise _Unusable(f"has a message without text in {name!r}")
    return text


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def _known(row: Mapping[str, Any]) -> str:
    return f" (its fields: {', '.join(map(str, row))})" if row else " (it has no fields)"
