"""``antiphon text train``: a language model learns from a file of rows, by any method."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, make_dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from antiphon.cli.compilation import keep_compilations
from antiphon.cli.errors import Stopped
from antiphon.cli.nearest import nearest
from antiphon.cli.output import emit, say
from antiphon.cli.parsing import parse
from antiphon.cli.settings import from_saved
from antiphon.core.errors import UserError
from antiphon.studies.text_training.settings import SETTINGS, TextTraining


@dataclass(frozen=True)
class Where:
    """What is no setting of the training itself."""

    out: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """Folder for the model, with --lora for the adapter; runs/text/METHOD if not given."""

    resume: Path | None = None
    """Go on with the training in this folder, with the settings it was begun with."""

    json: bool = False
    """Make the last line of output one JSON object."""


def main(argv: Sequence[str]) -> int:
    """Trains, and writes the model.

    Raises:
        Stopped: Ctrl-C ended it; it can be resumed.
    """
    if not argv or argv[0] in ("-h", "--help"):
        print(_overview())
        return 0
    name, words = argv[0], list(argv[1:])
    if name.startswith("-"):
        raise UserError(
            "usage", "no method is named", f"name one of: {', '.join(SETTINGS)}, before the options"
        )
    if name not in SETTINGS:
        raise UserError("usage", f"there is no method {name!r}", nearest(name, SETTINGS))
    where, training, settings, run = _read(name, SETTINGS[name], words)
    keep_compilations()
    from antiphon.studies.text_training.training import train_text

    out = where.out or (where.resume if run is not None and where.resume != run else None)
    out = out or (run.parents[2] if run is not None else Path("runs/text") / name)
    trained = train_text(name, training, settings, out=out, resume=run, say=say)
    if trained.stopped is not None:
        raise Stopped(trained.stopped, f"go on with: antiphon text train {name} --resume {out}")
    if where.json:
        emit(
            {
                "model": trained.path,
                "method": name,
                "run": trained.run,
                "steps": trained.steps,
                "rows": trained.rows,
                "bad_rows": [{"line": row.line, "reason": row.reason} for row in trained.bad],
                "tokens_per_second": trained.tokens_per_second,
                "matmul_share": trained.matmul_share,
                "peak_memory": trained.peak_memory,
                "metrics": trained.metrics,
            }
        )
    else:
        say(f"peak memory {trained.peak_memory / 2**30:.2f} GiB, run {trained.run}")
        print(trained.path)
    return 0


def _read(name: str, kind: type, words: Sequence[str]) -> tuple[Where, TextTraining, Any, Path | None]:
    """The options of a method, on top of those of the run that is resumed.

    Raises:
        UserError: an option that does not fit.
    """
    prog = f"antiphon text train {name}"
    # One flat list of options from three dataclasses: where, shared, and the method's own.
    flat = tyro.conf.OmitArgPrefixes
    Options = make_dataclass(
        "Options",
        [("settings", flat[kind], kind()), ("training", flat[TextTraining], TextTraining()),
         ("where", flat[Where], Where())],
        frozen=True,
    )  # fmt: skip
    Options.__doc__ = kind.__doc__
    given = parse(Options, words, prog)
    if given.where.resume is None:
        return given.where, given.training, given.settings, None
    from antiphon.studies.text_training.training import newest_run

    run = newest_run(given.where.resume, name)
    saved = json.loads((run / "config.json").read_text(encoding="utf-8"))["config"]
    began = Options(
        settings=from_saved(kind, saved["settings"]), training=from_saved(TextTraining, saved["training"])
    )
    again = parse(Options, words, prog, began)
    return given.where, again.training, again.settings, run


def _overview() -> str:
    lines = [f"  {name:<18}{(kind.__doc__ or '').splitlines()[0]}" for name, kind in SETTINGS.items()]
    return "\n".join(
        [
            "usage: antiphon text train METHOD --model MODEL --data FILE …",
            "",
            *lines,
            "",
            "'antiphon text train METHOD --help' lists the options.",
        ]
    )
