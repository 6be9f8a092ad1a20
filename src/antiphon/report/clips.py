"""Clips side by side: a player, a spectrogram on which one can point and click, and the scores."""

import base64
from html import escape
from pathlib import Path

import numpy as np

from antiphon.core.errors import UserError
from antiphon.report.audio import media_type, samples
from antiphon.report.findings import value_html
from antiphon.report.scale import number, round_step
from antiphon.report.spectrogram import Spectrogram, log_mel, spectrogram
from antiphon.train.media import Clip, Pair

FREQUENCIES = (125, 500, 1000, 2000, 4000, 8000)


def pair_html(pair: Pair, directory: Path) -> str:
    """The clips of one prompt; their spectrograms share one scale of loudness, so they may be compared.

    Raises:
        UserError: a clip's file is gone, or is neither WAV nor FLAC.
    """
    for clip in pair.clips:
        if not (directory / clip.audio).is_file():
            raise UserError(
                "file", f"the clip {directory / clip.audio} is gone", "restore it or run the study again"
            )
    sounds = [samples(directory / clip.audio) for clip in pair.clips]
    loudest = [float(log_mel(*sound).max()) for sound in sounds if sound and len(sound[0])]
    ceiling = max(loudest, default=None)
    clips = []
    for clip, sound in zip(pair.clips, sounds, strict=True):
        picture = spectrogram(*sound, ceiling) if sound and len(sound[0]) else None
        clips.append(_clip_html(clip, picture, directory, pair.caption))
    note = f'<p class="note">{escape(pair.note)}</p>' if pair.note else ""
    return (
        f'<article class="pair"><h3>{escape(pair.caption)}</h3>{note}'
        f'<div class="clips">{"".join(clips)}</div></article>'
    )


def data_uri(data: bytes, kind: str) -> str:
    """Bytes inside the page itself."""
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


def _clip_html(clip: Clip, picture: Spectrogram | None, directory: Path, caption: str) -> str:
    path = directory / clip.audio
    sound = data_uri(path.read_bytes(), media_type(path))
    scores = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{value_html(value)}</dd></div>"
        for name, value in clip.scores.items()
    )
    spoken = escape(f"{caption}: {clip.label}")
    return (
        f'<div class="clip"><h4>{escape(clip.label)}</h4>{_picture(picture, clip.label) if picture else ""}'
        f'<audio controls preload="metadata" aria-label="{spoken}" src="{sound}"></audio>'
        f"{f'<dl class=scores>{scores}</dl>' if scores else ''}</div>"
    )


def _picture(picture: Spectrogram, label: str) -> str:
    """The image between its axes; places are percentages, so the axes follow the image to any width."""
    kilohertz = "".join(
        f'<span style="bottom:{100 * picture.height_of(hertz):.1f}%">{number(hertz / 1000)}</span>'
        for hertz in FREQUENCIES
        if picture.low_hz < hertz and picture.height_of(hertz) < 0.97
    )
    step = round_step(picture.seconds / 5)
    seconds = "".join(
        f'<span style="left:{100 * at / picture.seconds:.1f}%">{number(float(at))}</span>'
        for at in np.arange(0, picture.seconds * 0.96, step)
    )
    extent = f"{number(picture.seconds)} seconds, up to {number(picture.high_hz)} hertz"
    spoken = f"Log-mel spectrogram of {label}: {extent}"
    source = data_uri(picture.png, "image/png")
    return (
        f'<div class="spectrogram"><div class="frequency" aria-hidden="true"><b>kHz</b>{kilohertz}</div>'
        f'<div class="picture"><img alt="{escape(spoken)}" src="{source}"><i hidden></i></div>'
        f'<div class="time" aria-hidden="true">{seconds}<b>s</b></div></div>'
    )
