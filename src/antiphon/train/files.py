"""The files of a run: JSON values and bytes written atomically, disk errors in one sentence."""

import contextlib
import dataclasses
import errno
import json
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from antiphon.core.files import whole_file
from antiphon.train.errors import RunError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextlib.contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn an ``OSError`` while writing ``path`` into a ``RunError`` that names the path and the mend."""
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        if error.errno in _FULL:
            raise RunError(
                f"Could not write {path}: {reason.lower()}", "free some disk space, then resume the run"
            ) from error
        raise RunError(
            f"Could not write {path}: {reason.lower()}", "check that the folder is writable"
        ) from error


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that a reader finds the old content or the new, never a part.

    Raises:
        RunError: The disk refused; the destination is then untouched.
    """
    with disk_errors(path), whole_file(path) as file:
        file.write(data)


def plain(value: Any) -> Any:
    """A JSON value: dataclasses become objects, tuples and arrays lists, paths strings.

    Numbers that are not finite become the strings ``"NaN"``, ``"Infinity"`` and ``"-Infinity"``, since JSON
    has none of them; ``number`` turns these back.

    Raises:
        RunError: The value has no JSON form.
    """
    if value is None or isinstance(value, bool | str | int):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else _not_finite(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted(plain(item) for item in value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    to_list = getattr(value, "tolist", None)  # NumPy and jax arrays and scalars, without importing either
    if callable(to_list):
        return plain(to_list())
    raise RunError(
        f"A {type(value).__name__} cannot be written as JSON",
        "use numbers, strings, lists, mappings or dataclasses",
    )


def number(value: Any) -> Any:
    """The inverse of ``plain`` for one number: ``"NaN"`` and the infinities back to floats."""
    return float(value) if value in ("NaN", "Infinity", "-Infinity") else value


def write_json(path: Path, value: Any) -> None:
    """Write a value as indented JSON, atomically."""
    text = json.dumps(plain(value), indent=2, allow_nan=False, ensure_ascii=False)
    write_atomically(path, text.encode() + b"\n")


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        RunError: It is missing or damaged.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RunError(f"File {path} does not exist", "check that the path is a run directory") from error
    except ValueError as error:
        raise RunError(f"File {path} is not JSON ({error})", "restore it, or start a new run") from error


def _not_finite(value: float) -> str:
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
