"""Audio files in and out: whatever the user has becomes mono at the model's rate, and a note says how."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
from jaxtyping import Float, Float32

from antiphon.core.errors import UserError

_FORMATS = {".wav": "WAV", ".flac": "FLAC"}


@dataclass(frozen=True, eq=False)
class Recording:
    """Sound read from a file.

    Attributes:
        samples: mono, full scale is 1.
        sample_rate: in Hz.
        note: what was changed on the way in, as one sentence to show the user; empty if nothing was.
    """

    samples: Float32[np.ndarray, " T"]
    sample_rate: int
    note: str


def read_audio(path: str | os.PathLike[str], sample_rate: int = 16000) -> Recording:
    """Read an audio file as mono at the given rate; WAV, FLAC, Ogg and whatever else libsndfile reads.

    Channels are averaged; another rate is resampled band-limited (soxr, very high quality).

    Raises:
        UserError: the file is missing, unreadable, empty, or holds values that are not numbers.
    """
    soundfile = _soundfile()
    file = Path(path)
    if not file.is_file():
        what = "is a folder" if file.is_dir() else "does not exist"
        raise UserError("file", f"{file} {what}", "give the path of an audio file")
    try:
        frames, rate = soundfile.read(file, dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, OSError, TypeError) as error:
        # TypeError: a .raw file, whose format libsndfile cannot know.
        raise UserError(
            "file", f"{file} cannot be read as audio ({_first_line(error)})", "convert it to WAV or FLAC"
        ) from None
    if not frames.size:
        raise UserError("file", f"{file} holds no samples", "give a recording that is not empty")
    if not np.isfinite(frames).all():
        raise UserError("file", f"{file} holds values that are not finite", "export it again from its source")
    done: list[str] = []
    samples = frames[:, 0]
    if frames.shape[1] > 1:
        done.append(f"mixed {frames.shape[1]} channels to mono")
        samples = frames.mean(axis=1)
    if rate != sample_rate:
        done.append(f"resampled from {rate} Hz to {sample_rate} Hz")
        samples = _resampled(samples, rate, sample_rate)
    note = f"{file.name}: {' and '.join(done)}." if done else ""
    return Recording(np.ascontiguousarray(samples, dtype=np.float32), sample_rate, note)


def write_audio(
    path: str | os.PathLike[str],
    samples: Float[np.ndarray, " T"],
    sample_rate: int = 16000,
    dither_seed: int | None = None,
) -> int:
    """Write mono 16-bit WAV or FLAC, by the ending of the name; the same input gives the same bytes.

    The file appears whole or not at all: it is written beside its place under another name, then moved there.

    Args:
        path: where to; an existing file is replaced.
        samples: full scale is 1; what lies outside is clipped.
        sample_rate: in Hz.
        dither_seed: if given, triangular noise of one 16-bit step each way, from this seed, is added first.

    Returns:
        How many samples were clipped.

    Raises:
        UserError: unknown ending, not mono, values that are not finite, no folder, no permission, no space.
    """
    soundfile = _soundfile()
    file = Path(path)
    if file.suffix.lower() not in _FORMATS:
        raise UserError("usage", f"{file} ends in '{file.suffix}'", "choose a name ending in .wav or .flac")
    codes, clipped = quantise(samples, dither_seed)
    if not file.parent.is_dir():
        raise UserError("file", f"the folder {file.parent} does not exist", "create it first")
    if file.is_dir():
        raise UserError("file", f"{file} is a folder", "choose a file name inside it")
    beside = file.with_name(f".{file.name}.{secrets.token_hex(4)}.part")
    try:
        soundfile.write(beside, codes, sample_rate, subtype="PCM_16", format=_FORMATS[file.suffix.lower()])
        _check_whole(soundfile, beside, len(codes))
        os.replace(beside, file)
    except (soundfile.SoundFileError, OSError) as error:
        raise UserError(
            "file",
            f"{file} could not be written ({_first_line(error)}), nothing was left behind",
            "free some space, or choose a folder you may write to",
        ) from None
    finally:
        beside.unlink(missing_ok=True)  # after any failure, an interrupt included
    return clipped


def quantise(samples: Float[np.ndarray, " T"], dither_seed: int | None) -> tuple[np.ndarray, int]:
    """16-bit codes of the samples (1.0 is 32767 after clipping), and how many were clipped."""
    wave = np.asarray(samples, dtype=np.float64)
    if wave.ndim != 1 or not wave.size:
        raise UserError(
            "field", f"the audio to write has shape {wave.shape}", "give one channel with at least one sample"
        )
    if not np.isfinite(wave).all():
        raise UserError(
            "field", "the audio to write holds values that are not finite", "look for a division by zero"
        )
    clipped = int(np.count_nonzero(np.abs(wave) > 1.0))
    scaled = wave * 32768.0
    if dither_seed is not None:
        noise = np.random.default_rng(dither_seed).random((2, len(wave)))
        scaled = scaled + (noise[0] - noise[1])
    return np.clip(np.rint(scaled), -32768, 32767).astype(np.int16), clipped


def _check_whole(soundfile: ModuleType, file: Path, frames: int) -> None:
    """A full disk can end a write early without an error from the library; the length tells."""
    if soundfile.info(file).frames != frames:
        raise OSError("the disk is probably full")
    with open(file, "rb+") as handle:
        os.fsync(handle.fileno())  # delayed writing would otherwise hide a full disk until after the move


def _resampled(samples: np.ndarray, rate: int, sample_rate: int) -> np.ndarray:
    try:
        import soxr
    except ModuleNotFoundError:
        raise _extra("soxr") from None
    return np.asarray(soxr.resample(samples, rate, sample_rate, quality="VHQ"))


def _soundfile() -> ModuleType:
    try:
        import soundfile
    except ModuleNotFoundError:
        raise _extra("soundfile") from None
    return soundfile


def _extra(package: str) -> UserError:
    return UserError(
        "missing-extra", f"audio files need the package {package}", "run `pip install 'antiphon[music]'`"
    )


def _first_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
