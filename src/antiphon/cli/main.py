"""``antiphon``: finds the command, runs it, and turns what went wrong into a sentence and an exit status.

A command is a module of this package with ``main(argv) -> int`` that reads its own arguments; it is imported
only when it is asked for, so that ``antiphon --help`` loads neither tyro nor jax.
"""

import importlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from antiphon import __version__


@dataclass(frozen=True)
class Command:
    """A command by name.

    Attributes:
        name: what is typed after ``antiphon``.
        usage: its arguments, for the overview.
        about: one line on what it does.
        module: the module whose ``main`` runs it.
    """

    name: str
    usage: str
    about: str
    module: str


COMMANDS: tuple[Command, ...] = (
    Command("list", "", "studies, methods and worlds", "antiphon.cli.listing"),
    Command("run", "STUDY", "run a study and measure its paper's claims", "antiphon.cli.run"),
    Command("verify", "", "run every study; one table of claims", "antiphon.cli.verify"),
    Command("report", "DIR", "build the page of a run directory again", "antiphon.cli.report"),
    Command("compare", "DIR DIR…", "findings and final metrics side by side", "antiphon.cli.compare"),
    Command("bench", "[WORLD]", "speed and memory, beside peers with --peers", "antiphon.cli.bench"),
    Command("text", "VERB", "train, compare and complete with language models", "antiphon.cli.text"),
    Command("music", "VERB", "generate, listen and judge in the music world", "antiphon.cli.music"),
    Command("platform", "VERB", "train, look at and fly a floating platform", "antiphon.cli.platform"),
    Command("meanfield", "VERB", "solve, play and draw games of very many players", "antiphon.cli.meanfield"),
)


def overview() -> str:
    """What ``antiphon --help`` prints."""
    width = max(len(f"{command.name} {command.usage}") for command in COMMANDS) + 3
    lines = [f"  {f'{command.name} {command.usage}':<{width}}{command.about}" for command in COMMANDS]
    return "\n".join(
        [
            "usage: antiphon COMMAND …",
            "",
            "Policies from feedback that is not a ready-made reward.",
            "",
            *lines,
            "",
            "'antiphon COMMAND --help' says more; --json makes the last line of output one JSON object.",
        ]
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        argv: the words after ``antiphon``; those of this process if not given.

    Returns:
        0 done; 1 a run failed or was stopped, or ``--strict`` and a claim failed; 2 wrong usage or bad input.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        status = _dispatch(words)
        # What is still in the buffer may meet a closed pipe too.
        sys.stdout.flush()
        return status
    except SystemExit as left:
        return left.code if isinstance(left.code, int) else int(left.code is not None)
    except BrokenPipeError:
        # The reader, such as `head`, has had enough. Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (Exception, KeyboardInterrupt) as error:
        from antiphon.cli.errors import explain

        return explain(error, as_json="--json" in words)


def _dispatch(words: list[str]) -> int:
    if words and words[0] in ("--help", "-h", "help"):
        print(overview())
        return 0
    if words and words[0] in ("--version", "-V"):
        print(f"antiphon {__version__}")
        return 0
    command = next((command for command in COMMANDS if words and command.name == words[0]), None)
    if command is None:
        from antiphon.cli.nearest import nearest
        from antiphon.core.errors import UserError

        names = [command.name for command in COMMANDS]
        if not words or words[0].startswith("-"):
            raise UserError("usage", "no command was given", f"choose one of: {', '.join(names)}")
        raise UserError("usage", f"there is no command {words[0]!r}", nearest(words[0], names))
    return importlib.import_module(command.module).main(words[1:])
