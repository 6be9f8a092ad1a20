"""Arguments into a frozen dataclass by tyro, with a wrong argument said in one sentence."""

import contextlib
import io
import re
from collections.abc import Sequence
from typing import Any, TypeVar

from antiphon.core.errors import UserError

Arguments = TypeVar("Arguments")

_FRAME = re.compile(r"\x1b\[[0-9;]*m|[│╭╮╰╯─]+")


def parse(
    kind: type[Arguments],
    argv: Sequence[str],
    prog: str,
    default: Arguments | None = None,
    markers: Sequence[Any] = (),
) -> Arguments:
    """Reads ``argv`` into the dataclass ``kind``; ``--help`` prints and leaves.

    Args:
        kind: a frozen dataclass whose docstrings are the help.
        argv: what follows the command's name.
        prog: the command as it was typed, for the help.
        default: values for what ``argv`` leaves out.
        markers: tyro's own switches for the whole dataclass.

    Raises:
        UserError: an argument is unknown, missing, or of the wrong type.
    """
    import tyro

    said = io.StringIO()
    config = (tyro.conf.FlagCreatePairsOff, *markers)
    try:
        with contextlib.redirect_stderr(said):
            if default is None:
                return tyro.cli(kind, args=list(argv), prog=prog, config=config)
            return tyro.cli(kind, args=list(argv), prog=prog, config=config, default=default)
    except SystemExit as left:
        if left.code in (0, None):
            raise
        raise UserError("usage", f"{prog}: {_sentence(said.getvalue())}", f"see '{prog} --help'") from None


def _sentence(box: str) -> str:
    """What tyro says in a framed box over several lines, as one line without its frame and its footer."""
    lines = [_FRAME.sub(" ", line) for line in box.splitlines()[1:]]
    text = " ".join(" ".join(lines).split()).split(" For full helptext")[0]
    text = text.replace("(required)", "").strip()
    return text[:1].lower() + text[1:].rstrip(". ") if text else "these arguments do not fit"
