"""``antiphon music``: generate clips, build data, train the models, list what is installed."""

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from antiphon.cli.compilation import keep_compilations
from antiphon.cli.nearest import nearest
from antiphon.cli.output import emit, say, show_table
from antiphon.cli.parsing import parse
from antiphon.core.errors import UserError


@dataclass(frozen=True)
class GenerateArguments:
    """Turn captions into audio with the bundled models."""

    captions: Annotated[tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="CAPTION")]
    """What to play, in English: instrument, tempo, mood, accompaniment."""

    n: Annotated[int, tyro.conf.arg(aliases=["-n"])] = 1
    """Clips for each caption."""

    model: str = "base"
    """base, r, or a .safetensors file."""

    seed: int = 0
    """Same seed, same machine, same bits."""

    seconds: float | None = None
    """Length of each clip; by default that of the training clips."""

    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])] = Path("out")
    """Folder for the files, made if need be."""

    format: Annotated[str, tyro.conf.arg(metavar="wav|flac")] = "wav"
    """16-bit WAV or FLAC, 16 kHz mono."""

    temperature: float = 0.99
    """Of sampling."""

    guidance: float = 1.75
    """How strongly the caption is followed; 1 turns guidance off."""

    polish: int = 8
    """Griffin-Lim iterations after decoding; 0 for none."""

    continuation: Annotated[Path | None, tyro.conf.arg(name="continue", metavar="FILE")] = None
    """Go on with this audio file instead of beginning anew."""

    bundle: Path | None = None
    """Folder of models; by default the installed ones."""

    json: bool = False
    """Make the last line of output one JSON object."""


@dataclass(frozen=True)
class DataArguments:
    """Build a data set of captioned clips from scores; go on where an earlier call stopped."""

    size: Annotated[str, tyro.conf.arg(metavar="smoke|laptop|gpu")] = "laptop"
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


@dataclass(frozen=True)
class TrainArguments:
    """Train the music models stage by stage: codec, tokens, planner, reward, judge, quality, fine, policy."""

    data: Path = Path("data/music")
    """A data set that 'antiphon music data build' made."""

    size: Annotated[str, tyro.conf.arg(metavar="smoke|laptop|gpu")] = "laptop"
    """Sizes of the networks and lengths of the trainings."""

    stages: Annotated[tuple[str, ...], tyro.conf.arg(metavar="STAGE …")] = ()
    """Only these; by default all that are not done yet."""

    resume: Path | None = None
    """Go on with this run directory."""

    out: Path = Path("runs")
    """Where the run directory is made."""

    pack: Path | None = None
    """At the end write the models into this folder, ready for 'generate --bundle'."""

    set: Annotated[tuple[str, ...], tyro.conf.arg(metavar="FIELD=VALUE …")] = field(default_factory=tuple)
    """Change fields of the configuration."""

    json: bool = False
    """Make the last line of output one JSON object."""


@dataclass(frozen=True)
class ModelsArguments:
    """List the installed models with their figures and checksums."""

    bundle: Path | None = None
    """Folder of models; by default the installed ones."""

    json: bool = False
    """Make the last line of output one JSON object."""


def main(argv: Sequence[str]) -> int:
    """Runs one verb."""
    verbs: dict[str, Callable[[Sequence[str]], int]] = {
        "generate": _generate, "data": _data, "train": _train, "models": _models,
    }  # fmt: skip
    about = {
        "generate": "captions to audio files", "data": "build a data set of captioned clips",
        "train": "train the models", "models": "what is installed",
    }  # fmt: skip
    if not argv or argv[0] in ("-h", "--help"):
        print("usage: antiphon music VERB …\n")
        for name, text in about.items():
            print(f"  {name:<10}{text}")
        return 0
    if argv[0] not in verbs:
        raise UserError("usage", f"antiphon music has no verb {argv[0]!r}", nearest(argv[0], tuple(verbs)))
    return verbs[argv[0]](argv[1:])


def _generate(argv: Sequence[str]) -> int:
    arguments = parse(GenerateArguments, argv, "antiphon music generate")
    if not arguments.captions:
        raise UserError("caption", "no caption is given", 'add one: antiphon music generate "slow waltz for harp"')
    if arguments.n < 1:
        raise UserError("usage", f"-n is {arguments.n}", "ask for at least one clip")
    if arguments.format not in ("wav", "flac"):
        raise UserError("usage", f"format {arguments.format!r} is not known", "choose wav or flac")
    from antiphon.worlds.music.text_features import check_caption

    captions = [check_caption(text) for text in arguments.captions for _ in range(arguments.n)]
    arguments.out.mkdir(parents=True, exist_ok=True)
    keep_compilations()
    import numpy as np

    from antiphon.train.files import write_atomically
    from antiphon.worlds.music.audio_files import write_audio
    from antiphon.worlds.music.bundle import DEFAULT, Bundle
    from antiphon.worlds.music.generate import generate
    from antiphon.worlds.music.spectrum import SAMPLE_RATE

    bundle = Bundle.load(arguments.bundle or DEFAULT)
    start = None if arguments.continuation is None else _tokens_of(bundle, arguments.continuation)
    seconds = arguments.seconds
    if start is not None and seconds is None:
        seconds = len(start) / 25 + bundle.sizes.frames / 50
    began = time.perf_counter()
    made = generate(
        bundle, captions, model=arguments.model, seed=arguments.seed, seconds=seconds,
        temperature=arguments.temperature, guidance=arguments.guidance, polish=arguments.polish, start=start,
    )  # fmt: skip
    took = time.perf_counter() - began
    files = []
    for i, caption in enumerate(captions):
        slug = "-".join(re.findall(r"[a-z0-9]+", caption.lower()))[:60] or "clip"
        path = arguments.out / f"{slug}-{Path(arguments.model).stem}-s{arguments.seed}-{i}.{arguments.format}"
        write_audio(path, made.audio[i], SAMPLE_RATE)
        write_atomically(path.with_suffix(".tokens.npy"), _npy(made.tokens[i].astype(np.int16)))
        files.append(str(path))
    length = made.audio.shape[1] / SAMPLE_RATE
    factor = length * len(captions) / took
    if arguments.json:
        emit({"files": files, "seconds": length, "real_time_factor": factor, "seed": arguments.seed, "model": arguments.model})
    else:
        print("\n".join(files))
        say(f"{len(files)} clips of {length:.2f} s in {took:.1f} s ({factor:.1f} times real time, compilation included)")
    return 0


def _npy(array) -> bytes:
    from io import BytesIO

    import numpy as np

    buffer = BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def _tokens_of(bundle, path: Path):
    """Tokens ``[F, Q]`` of an audio file, cut to whole frames."""
    import jax
    import numpy as np

    from antiphon.worlds.music.audio_files import read_audio
    from antiphon.worlds.music.codec import FRAME, Codec

    recording = read_audio(path)
    if recording.note:
        say(recording.note)
    whole = len(recording.samples) // FRAME * FRAME
    if not whole:
        raise UserError("file", f"{path} is shorter than one frame of 40 ms", "give a longer recording")
    wave = recording.samples[:whole]
    wave = 0.7 * wave / max(float(np.abs(wave).max()), 1e-3)
    return np.asarray(jax.jit(Codec.encode)(bundle.codec, wave[None]))[0]


def _data(argv: Sequence[str]) -> int:
    if not argv or argv[0] != "build":
        if argv and argv[0] in ("-h", "--help"):
            print("usage: antiphon music data build …")
            return 0
        raise UserError("usage", "antiphon music data needs the word build", "say: antiphon music data build")
    arguments = parse(DataArguments, argv[1:], "antiphon music data build")
    from dataclasses import replace

    from antiphon.studies.music_base import PRESETS
    from antiphon.worlds.music.dataset import build
    from antiphon.worlds.music.soundfont import find_font

    config = replace(_preset(PRESETS, arguments.size).data, grid_aligned=not arguments.free_tempo)
    font = str(find_font(arguments.font))
    done = total = 0
    for done, total in build(config, arguments.out, workers=arguments.workers, font=font):
        say(f"{done} of {total} clips")
    if arguments.json:
        emit({"folder": arguments.out, "clips": total, "done": done})
    else:
        print(arguments.out)
    return 0


def _preset(presets, size: str):
    if size not in presets:
        raise UserError("usage", f"there is no size {size!r}", f"choose {', '.join(presets)}")
    return presets[size]


def _train(argv: Sequence[str]) -> int:
    arguments = parse(TrainArguments, argv, "antiphon music train")
    keep_compilations()
    from antiphon.cli.settings import with_settings
    from antiphon.studies import music_base
    from antiphon.train.run_directory import RunDirectory
    from antiphon.worlds.music.dataset import Dataset

    stages = arguments.stages or music_base.STAGES
    for stage in stages:
        if stage not in music_base.STAGES:
            raise UserError("usage", f"there is no stage {stage!r}", f"choose {', '.join(music_base.STAGES)}")
    dataset = Dataset.open(arguments.data)
    config = with_settings(_preset(music_base.PRESETS, arguments.size), arguments.set)
    config = music_base.with_data(config, dataset)
    if arguments.resume is not None:
        run = RunDirectory.resume(arguments.resume, config, say=say)
    else:
        run = RunDirectory.create("music-base", config, seed=config.seed, size=arguments.size, root=arguments.out)
    music_base.train(config, dataset, run, stages)
    if arguments.pack is not None:
        music_base.pack_run(config, run, arguments.pack)
    if arguments.json:
        emit({"run": run.path, "stages": stages, "pack": arguments.pack})
    else:
        print(run.path)
    return 0


def _models(argv: Sequence[str]) -> int:
    arguments = parse(ModelsArguments, argv, "antiphon music models")
    from antiphon.worlds.music.bundle import DEFAULT, Bundle

    bundle = Bundle.load(arguments.bundle or DEFAULT)
    rows = []
    for path in sorted(bundle.folder.glob("*.safetensors")):
        rows.append((path.name, f"{path.stat().st_size / 1e6:.2f} MB"))
    if arguments.json:
        emit({"folder": bundle.folder, "policies": bundle.policies, "files": dict(rows), "made": bundle.manifest["made"]})
    else:
        show_table(("file", "size"), rows)
    return 0
