"""``antiphon music evaluate``: every figure of the models beside real clips, the codec and random tokens."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import Any

from antiphon.cli.compilation import keep_compilations
from antiphon.cli.output import emit, say, show_table
from antiphon.cli.parsing import parse


@dataclass(frozen=True)
class EvaluateArguments:
    """Judge the models on test clips of a data set: tunes and combinations they have never seen."""

    data: Path = Path("data/music")
    """A data set that 'antiphon music data build' made."""

    bundle: Path | None = None
    """Folder of models; by default the installed ones."""

    clips: int = 256
    """Test clips, a multiple of 16."""

    notes: bool = True
    """Also transcribe: scale, mode, polyphony, note F1. The slowest judge."""

    seed: int = 0
    """Of sampling."""

    json: bool = False
    """Make the last line of output one JSON object."""


def main(argv: Sequence[str]) -> int:
    """Prints tables of outside judges, the codec, retrieval and the planner."""
    arguments = parse(EvaluateArguments, argv, "antiphon music evaluate")
    keep_compilations()
    from antiphon.studies import music_columns
    from antiphon.worlds.music.bundle import DEFAULT, Bundle
    from antiphon.worlds.music.dataset import Dataset

    bundle, dataset = Bundle.load(arguments.bundle or DEFAULT), Dataset.open(arguments.data)
    clips = music_columns.load_clips(dataset, arguments.clips)
    say("Planner and retrieval.")
    found: dict[str, Any] = {
        "planner": music_columns.planner_figures(bundle, clips),
        "retrieval": music_columns.retrieval_figures(bundle, clips, min(256, arguments.clips)),
    }
    if arguments.notes:
        say("Codec.")
        found["codec"] = music_columns.codec_figures(bundle, dataset, clips)
    say("Outside judges.")
    found["columns"] = music_columns.columns(bundle, clips, arguments.seed, notes=arguments.notes)
    if arguments.json:
        emit(found)
        return 0
    for name in ("planner", "codec"):
        if name in found:
            show_table((name, "value"), [(k, str(v)) for k, v in found[name].items()])
            print()
    first = next(iter(found["retrieval"].values()))
    rows = [(k, *(f"{x:.3f}" for x in v.values())) for k, v in found["retrieval"].items()]
    show_table(("retrieval", *first), rows)
    print()
    first = next(iter(found["columns"].values()))
    rows = [(k, *(_cell(x) for x in v.values())) for k, v in found["columns"].items()]
    show_table(("judges", *first), rows)
    return 0


def _cell(value: Any) -> str:
    if is_dataclass(value) and not isinstance(value, type):
        interval = asdict(value)
        return f"{interval['estimate']:.3f}±{(interval['high'] - interval['low']) / 2:.3f}"
    return f"{value:.2f}"
