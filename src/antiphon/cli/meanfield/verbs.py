"""The verbs of ``antiphon meanfield``, each a module that is imported only when it is asked for."""

import importlib
from collections.abc import Sequence

from antiphon.cli.nearest import nearest
from antiphon.core.errors import UserError

VERBS = {
    "solve": "find an equilibrium, and print how far from one each policy is",
    "simulate": "play a solved game with N players, and with one of them deviating",
    "imitate": "learn from an expert's demonstrations, and print the Nash imitation gap",
    "plot": "draw a solved game",
    "games": "the games there are",
}


def main(argv: Sequence[str]) -> int:
    """Runs one verb.

    Raises:
        UserError: there is no such verb, or it cannot use its arguments.
    """
    if not argv or argv[0] in ("-h", "--help"):
        lines = [f"  {name:<10}{about}" for name, about in VERBS.items()]
        print("\n".join(["usage: antiphon meanfield VERB …", "", *lines]))
        return 0
    if argv[0] not in VERBS:
        raise UserError("usage", f"antiphon meanfield has no verb {argv[0]!r}", nearest(argv[0], VERBS))
    return importlib.import_module(f"antiphon.cli.meanfield.{argv[0]}").main(argv[1:])
