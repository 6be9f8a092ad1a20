"""``antiphon music train``: the music models, stage by stage."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from antiphon.cli.compilation import keep_compilations
from antiphon.cli.errors import Stopped
from antiphon.cli.nearest import nearest
from antiphon.cli.output import emit, say
from antiphon.cli.parsing import parse
from antiphon.core.errors import UserError

if TYPE_CHECKING:
    from antiphon.studies.music_base import Config
    from antiphon.train.run_directory import RunDirectory
    from antiphon.worlds.music.bundle import Bundle
    from antiphon.worlds.music.dataset import Dataset

_DATA = Path("data/music")


@dataclass(frozen=True)
class TrainArguments:
    """Train the music models: codec, tokens, decoder, planner, reward, judge, quality, fine, policy."""

    data: Path = _DATA
    """A data set that 'antiphon music data build' made."""

    size: Annotated[
        Literal["smoke", "laptop", "gpu"] | None,
        tyro.conf.arg(metavar="{smoke,laptop,gpu}", help_behavior_hint="(default: laptop, or as resumed)"),
    ] = None
    """Sizes of the networks and lengths of the trainings."""

    stages: Annotated[tuple[str, ...], tyro.conf.arg(metavar="STAGE …")] = ()
    """Only these; by default all that are not done yet."""

    resume: Path | None = None
    """Go on with this run directory."""

    start: Path | None = None
    """Begin with the networks of this bundle ('installed' for that of the package): those that --stages names
    are trained, the policy from where it stands, and the others are kept."""

    out: Path = Path("runs")
    """Where the run directory is made."""

    pack: Path | None = None
    """At the end write the models into this folder, ready for 'generate --bundle'."""

    set: Annotated[tuple[str, ...], tyro.conf.arg(metavar="FIELD=VALUE …")] = field(default_factory=tuple)
    """Change fields of the configuration."""

    json: bool = False
    """Make the last line of output one JSON object."""


def main(argv: Sequence[str]) -> int:
    """Trains the stages that are not done."""
    arguments = parse(TrainArguments, argv, "antiphon music train")
    keep_compilations()
    from antiphon.studies import music_base
    from antiphon.train.errors import Interrupted
    from antiphon.worlds.music.dataset import Dataset

    stages = arguments.stages or music_base.STAGES
    for stage in stages:
        if stage not in music_base.STAGES:
            raise UserError("usage", f"there is no stage {stage!r}", nearest(stage, music_base.STAGES))
    if arguments.start is not None and (arguments.resume is not None or not arguments.stages):
        what = "--resume" if arguments.resume is not None else "no --stages"
        raise UserError(
            "usage", f"--start stands with {what}", "give --start and the --stages to train, in a new run"
        )
    dataset = Dataset.open(arguments.data)
    bundle = None if arguments.start is None else _bundle(arguments.start)
    config, run = _run(arguments, dataset)
    if bundle is not None:
        music_base.begin_from(bundle, config, run, stages)
        stages = ("tokens", *stages)
    try:
        music_base.train(config, dataset, run, stages)
    except (KeyboardInterrupt, Interrupted) as error:
        words = ["antiphon", "music", "train", "--data", str(arguments.data), "--resume", str(run.path)]
        raise Stopped("the training was stopped", f"go on with: {shlex.join(words)}") from error
    if arguments.pack is not None:
        music_base.pack_run(config, dataset, run, arguments.pack)
    if arguments.json:
        emit({"run": run.path, "stages": stages, "pack": arguments.pack})
    else:
        print(run.path)
    return 0


def _bundle(folder: Path) -> "Bundle":
    from antiphon.worlds.music.bundle import DEFAULT, Bundle

    return Bundle.load(DEFAULT if str(folder) == "installed" else folder)


def _run(arguments: TrainArguments, dataset: "Dataset") -> "tuple[Config, RunDirectory]":
    """The configuration and its run directory; a resumed run keeps its own unless a size is named.

    Raises:
        UserError: a setting is wrong, the run was made with other ones, or the folder cannot be written.
    """
    from antiphon.cli.settings import from_saved, with_settings
    from antiphon.studies.music_base import PRESETS, Config, with_data
    from antiphon.train.errors import RunError
    from antiphon.train.run_directory import RunDirectory

    try:
        if arguments.resume is not None and arguments.size is None:
            config = from_saved(Config, RunDirectory.open(arguments.resume).config)
        else:
            config = PRESETS[arguments.size or "laptop"]
        config = with_data(with_settings(config, arguments.set), dataset)
        if arguments.resume is not None:
            return config, RunDirectory.resume(arguments.resume, config, say=say)
        size = arguments.size or "laptop"
        run = RunDirectory.create("music-base", config, seed=config.seed, size=size, root=arguments.out)
        return config, run
    except RunError as error:
        raise UserError("file", error.message, error.mend) from error
