"""The verbs of ``antiphon text``, each a module that is imported only when it is asked for."""

import importlib
from collections.abc import Sequence

from antiphon.cli.nearest import nearest
from antiphon.core.errors import UserError

VERBS = {
    "train": "a model learns from your rows, by any method",
    "generate": "prompts to completions",
    "data": "texts to train on, made on this machine",
    "arena": "models against each other, by a judge",
    "export": "a model, its adapter merged, as a Hugging Face folder",
}


def main(argv: Sequence[str]) -> int:
    """Runs one verb.

    Raises:
        UserError: there is no such verb, or it cannot use its arguments.
    """
    if not argv or argv[0] in ("-h", "--help"):
        lines = [f"  {name:<10}{about}" for name, about in VERBS.items()]
        print("\n".join(["usage: antiphon text VERB …", "", *lines]))
        return 0
    if argv[0] not in VERBS:
        raise UserError("usage", f"antiphon text has no verb {argv[0]!r}", nearest(argv[0], VERBS))
    return importlib.import_module(f"antiphon.cli.text.{argv[0]}").main(argv[1:])
