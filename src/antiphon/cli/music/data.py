"""``antiphon music data build``: a data set of captioned clips."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from antiphon.cli.music.folders import writable_folder
from antiphon.cli.output import emit, say
from antiphon.cli.parsing import parse
from antiphon.core.errors import UserError


@dataclass(frozen=True)
class DataArguments:
    """Build a data set of captioned clips from scores; go on where an earlier call stopped."""

    size: Literal["smoke", "laptop", "gpu"] = "laptop"
    """How many clips, how long."""

    out: Path = Path("data/music")
    """Folder of the data set."""

    workers: int = 2
    """Processes."""

    free_tempo: bool = False
    """Do not align notes with token frames."""

    font: str | None = None
    """SoundFont file; by default $ANTIPHON_SOUNDFONT or the one inside the pretty-midi package."""

    json: bool = False
    """Make the last line of output one JSON object."""


def main(argv: Sequence[str]) -> int:
    """Builds what is missing of a data set."""
    if not argv or argv[0] != "build":
        if argv and argv[0] in ("-h", "--help"):
            print("usage: antiphon music data build …")
            return 0
        raise UserError("usage", "antiphon music data needs the word build", "say: antiphon music data build")
    arguments = parse(DataArguments, argv[1:], "antiphon music data build")
    if arguments.workers < 1:
        raise UserError("usage", f"--workers is {arguments.workers}", "give at least 1")
    from antiphon.worlds.music.soundfont import find_font, load_font

    font = str(find_font(arguments.font))
    # A file that is no font is found out before the folder remembers it as the one it was begun with.
    load_font(font)
    from antiphon.studies.music_base.config import PRESETS
    from antiphon.worlds.music.dataset import build

    config = replace(PRESETS[arguments.size].data, grid_aligned=not arguments.free_tempo)
    done = total = 0
    with writable_folder(arguments.out):
        for done, total in build(config, arguments.out, workers=arguments.workers, font=font):
            say(f"{done} of {total} clips")
    if arguments.json:
        emit({"folder": arguments.out, "clips": total, "done": done})
    else:
        print(arguments.out)
    return 0
