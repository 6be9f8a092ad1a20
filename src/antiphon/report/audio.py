"""Audio files of a run: their bytes for the page, and their samples for a picture of them."""

import io
import wave
from pathlib import Path

import numpy as np
from jaxtyping import Float

from antiphon.core.errors import UserError

MEDIA_TYPES = {".wav": "audio/wav", ".flac": "audio/flac"}


def media_type(path: Path) -> str:
    """The MIME type by the file's ending.

    Raises:
        UserError: the file is neither WAV nor FLAC.
    """
    kind = MEDIA_TYPES.get(path.suffix.lower())
    if kind is None:
        raise UserError("file", f"{path} is not a WAV or FLAC file", "write the clip as 16-bit WAV or FLAC")
    return kind


def samples(path: Path) -> tuple[Float[np.ndarray, " T"], int] | None:
    """Mono samples in [-1, 1] and the sampling rate in Hz, or None if nothing here can decode the file.

    16-bit WAV needs nothing installed; everything else goes through ``soundfile`` where it is there. A page
    without one spectrogram is still a page, so there is no error.
    """
    data = path.read_bytes()
    try:
        with wave.open(io.BytesIO(data)) as file:
            if file.getsampwidth() == 2:
                pcm = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")
                frames = pcm.reshape(-1, file.getnchannels()).astype(np.float64) / 32768.0
                return frames.mean(axis=1), file.getframerate()
    except (wave.Error, EOFError):
        pass
    try:
        import soundfile
    except ImportError:
        return None
    try:
        frames, rate = soundfile.read(io.BytesIO(data), dtype="float64", always_2d=True)
    except soundfile.LibsndfileError:
        return None
    return frames.mean(axis=1), int(rate)
