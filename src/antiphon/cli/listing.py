"""``antiphon list``: the studies, methods and worlds there are."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from antiphon.cli.output import show_table
from antiphon.cli.parsing import parse
from antiphon.studies import registry


@dataclass(frozen=True)
class ListArguments:
    """The studies, methods and worlds there are."""

    json: bool = False
    """Make the last line of output one JSON object."""


def main(argv: Sequence[str]) -> int:
    """Lists what there is."""
    arguments = parse(ListArguments, argv, "antiphon list")
    if arguments.json:
        studies = [{"name": e.name, "paper": e.paper, "title": e.title} for e in registry.STUDIES]
        listed = {"studies": studies, "methods": list(registry.METHODS), "worlds": list(registry.WORLDS)}
        print(json.dumps(listed, ensure_ascii=False))
        return 0
    show_table(("study", "paper", "title"), [(e.name, e.paper, e.title) for e in registry.STUDIES])
    print(f"\nmethods: {', '.join(registry.METHODS)}\nworlds:  {', '.join(registry.WORLDS)}")
    return 0
