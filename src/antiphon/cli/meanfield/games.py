"""``antiphon meanfield games``: what can stand after ``--game``."""

from collections.abc import Sequence
from dataclasses import dataclass

from antiphon.cli.output import emit, show_table
from antiphon.cli.parsing import parse


@dataclass(frozen=True)
class GamesArguments:
    """The games of the zoo."""

    json: bool = False
    """Make the last line of output one JSON object."""


def main(argv: Sequence[str]) -> int:
    """Prints names and what they mean."""
    arguments = parse(GamesArguments, argv, "antiphon meanfield games")
    from antiphon.worlds.meanfield.zoo import GAMES

    if arguments.json:
        emit({"games": [{"name": entry.name, "about": entry.about} for entry in GAMES]})
    else:
        show_table(("game", "about"), [(entry.name, entry.about) for entry in GAMES])
    return 0
