"""The verbs of ``antiphon music``, each a module that is imported only when it is asked for."""

import importlib
from collections.abc import Sequence

from antiphon.cli.nearest import nearest
from antiphon.core.errors import UserError

VERBS = {
    "generate": "captions to audio files",
    "data": "build a data set of captioned clips",
    "train": "train the models",
    "adopt": "add a fine-tuned policy to a bundle",
    "evaluate": "judge the models beside real clips, the codec and random tokens",
    "models": "what is installed",
}


def main(argv: Sequence[str]) -> int:
    """Runs one verb.

    Raises:
        UserError: there is no such verb, or it cannot use its arguments.
    """
    if not argv or argv[0] in ("-h", "--help"):
        lines = [f"  {name:<10}{about}" for name, about in VERBS.items()]
        print("\n".join(["usage: antiphon music VERB …", "", *lines]))
        return 0
    if argv[0] not in VERBS:
        raise UserError("usage", f"antiphon music has no verb {argv[0]!r}", nearest(argv[0], VERBS))
    return importlib.import_module(f"antiphon.cli.music.{argv[0]}").main(argv[1:])
