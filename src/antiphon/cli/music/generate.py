"""``antiphon music generate``: captions to audio files."""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from antiphon.cli.compilation import keep_compilations
from antiphon.cli.music.folders import refused, writable_folder
from antiphon.cli.output import emit, say
from antiphon.cli.parsing import parse
from antiphon.core.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from antiphon.worlds.music.bundle import Bundle
    from antiphon.worlds.music.generate import Generated


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

    format: Literal["wav", "flac"] = "wav"
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


def main(argv: Sequence[str]) -> int:
    """Generates clips: all of them are written, or none."""
    arguments = parse(GenerateArguments, argv, "antiphon music generate")
    if not arguments.captions:
        raise UserError(
            "caption", "no caption is given", 'add one: antiphon music generate "slow waltz for harp"'
        )
    if arguments.n < 1:
        raise UserError("usage", f"-n is {arguments.n}", "ask for at least one clip")
    # The cheap checks come before jax is loaded, the others before anything is drawn.
    from antiphon.worlds.music.text_features import check_caption

    captions = [check_caption(text) for text in arguments.captions for _ in range(arguments.n)]
    keep_compilations()
    from antiphon.worlds.music.bundle import DEFAULT, Bundle
    from antiphon.worlds.music.codec import FRAME_SECONDS
    from antiphon.worlds.music.generate import check_sampling, frames_of, generate
    from antiphon.worlds.music.spectrum import SAMPLE_RATE

    check_sampling(arguments.seed, arguments.temperature, arguments.guidance, arguments.polish)
    seconds = arguments.seconds
    if seconds is not None:
        frames_of(seconds)
    bundle = Bundle.load(arguments.bundle or DEFAULT)
    policy = bundle.named_policy(arguments.model)
    with writable_folder(arguments.out):
        start = None if arguments.continuation is None else _tokens_of(bundle, arguments.continuation)
        if start is not None and seconds is None:
            seconds = (len(start) + bundle.sizes.frames / 2) * FRAME_SECONDS
        began = time.perf_counter()
        made = generate(
            bundle, captions, model=policy, seed=arguments.seed, seconds=seconds,
            temperature=arguments.temperature, guidance=arguments.guidance, polish=arguments.polish,
            start=start,
        )  # fmt: skip
        took = time.perf_counter() - began
        files = _write(arguments, captions, made)
    length = made.audio.shape[1] / SAMPLE_RATE
    factor = length * len(captions) / took
    if arguments.json:
        facts = {"seconds": length, "real_time_factor": factor, "seed": arguments.seed}
        emit({"files": files, **facts, "model": arguments.model})
    else:
        print("\n".join(map(str, files)))
        speed = f"{factor:.1f} times real time, compilation included"
        say(f"{len(files)} clips of {length:.2f} s in {took:.1f} s ({speed})")
    return 0


def _write(arguments: GenerateArguments, captions: Sequence[str], made: "Generated") -> list[Path]:
    """Audio and tokens of every clip; if the disk refuses one, new files of the others are taken back."""
    import numpy as np

    from antiphon.core.files import whole_file
    from antiphon.worlds.music.audio_files import write_audio
    from antiphon.worlds.music.spectrum import SAMPLE_RATE

    files, fresh = [], []
    try:
        for i, caption in enumerate(captions):
            words = "-".join(re.findall(r"[a-z0-9]+", caption.lower()))[:60] or "clip"
            name = f"{words}-{Path(arguments.model).stem}-s{arguments.seed}-{i}"
            audio = arguments.out / f"{name}.{arguments.format}"
            tokens = arguments.out / f"{name}.tokens.npy"
            fresh += [path for path in (audio, tokens) if not path.exists()]
            write_audio(audio, made.audio[i], SAMPLE_RATE)
            try:
                with whole_file(tokens) as file:
                    np.save(file, made.tokens[i].astype(np.int16))
            except OSError as error:
                raise refused(tokens, error) from error
            files.append(audio)
    except BaseException:
        for path in fresh:
            path.unlink(missing_ok=True)
        raise
    return files


def _tokens_of(bundle: "Bundle", path: Path) -> "np.ndarray":
    """Tokens ``[F, Q]`` of an audio file, cut to whole frames.

    Raises:
        UserError: the file cannot be read, or is too short or too long to be continued.
    """
    import jax
    import numpy as np

    from antiphon.worlds.music.audio_files import read_audio
    from antiphon.worlds.music.codec import FRAME, FRAME_SECONDS, Codec
    from antiphon.worlds.music.generate import SECONDS_MAX, peak_of

    recording = read_audio(path)
    if recording.note:
        say(recording.note)
    frames = len(recording.samples) // FRAME
    if not 0 < frames < SECONDS_MAX / FRAME_SECONDS:
        raise UserError(
            "file",
            f"{path} has {len(recording.samples) / recording.sample_rate:.2f} s",
            f"give at least one frame of 40 ms, and less than the {SECONDS_MAX:g} s that can be generated",
        )
    wave = recording.samples[: frames * FRAME]
    wave = 0.7 * wave / peak_of(wave)
    return np.asarray(jax.jit(Codec.encode)(bundle.codec, wave[None]))[0]
