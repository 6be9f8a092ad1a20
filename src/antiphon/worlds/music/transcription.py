"""Which notes does a recording play? Posteriors of the basic-pitch network and the notes read off them.

The network (Bittner et al., "A lightweight instrument-agnostic model for polyphonic note transcription and
multipitch estimation", arXiv 2203.09893; Apache-2.0) is the 230 kB ONNX file inside the installed
``basic_pitch`` wheel. The package itself is never imported, because that looks for TensorFlow.

Differs from the package: windows advance by a whole number of network frames (142 of 256 samples), so the
stitched frames are equidistant and no time correction is needed; the note decoder is our own and simpler.
"""

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int

from antiphon.core.errors import UserError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

MODEL_RATE = 22_050
HOP = 256
FRAME_RATE = MODEL_RATE / HOP
"""Frames per second of every posterior in this module, 86.13."""
LOWEST_PITCH = 21  # A0, the lowest of the 88 keys
_WINDOW, _WINDOW_FRAMES = 43_844, 172
_MARGIN = 15  # frames at either end of a window that lack context and are thrown away
_KEPT = _WINDOW_FRAMES - 2 * _MARGIN


@dataclass(frozen=True)
class Posteriors:
    """What the network believes, per clip, frame (:data:`FRAME_RATE`) and key (``LOWEST_PITCH + index``).

    Attributes:
        notes: probability that the pitch sounds, ``[B, T, 88]``.
        onsets: probability that a note of that pitch begins, ``[B, T, 88]``.
    """

    notes: Float[np.ndarray, "B T 88"]
    onsets: Float[np.ndarray, "B T 88"]


@dataclass(frozen=True)
class NoteEvents:
    """Notes ordered by start: times in seconds, pitch as MIDI number, strength = mean posterior in 0..1."""

    start: Float[np.ndarray, " M"]
    end: Float[np.ndarray, " M"]
    pitch: Int[np.ndarray, " M"]
    strength: Float[np.ndarray, " M"]


@dataclass(frozen=True)
class NoteScore:
    """Precision, recall and their harmonic mean of a transcription, each in 0..1."""

    precision: float
    recall: float
    f1: float


def load_transcriber(threads: int = 1) -> "InferenceSession":
    """The basic-pitch network as an onnxruntime session on the CPU.

    Args:
        threads: cores that one call may use; 0 leaves it to onnxruntime.

    Raises:
        UserError: onnxruntime or basic_pitch is not installed.
    """
    spec = importlib.util.find_spec("basic_pitch")
    if spec is None or not spec.submodule_search_locations:
        raise UserError(
            "missing-extra",
            "The transcription network comes with the package basic_pitch, which is not installed",
            "run `pip install --no-deps basic-pitch` (without --no-deps it may pull in TensorFlow)",
        )
    if importlib.util.find_spec("onnxruntime") is None:
        raise UserError(
            "missing-extra",
            "Transcription needs onnxruntime, which is not installed",
            "run `pip install antiphon[music]`",
        )
    import onnxruntime

    path = Path(spec.submodule_search_locations[0]) / "saved_models" / "icassp_2022" / "nmp.onnx"
    if not path.is_file():
        raise UserError(
            "file", f"The network nmp.onnx is missing in {path.parent}", "install basic-pitch 0.4.0 or later"
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def transcribe(
    session: "InferenceSession", wave: Float[np.ndarray, "B N"], sample_rate: int, windows_per_call: int = 16
) -> Posteriors:
    """Note and onset posteriors of a batch of mono clips.

    Args:
        session: from :func:`load_transcriber`.
        wave: samples in -1..1.
        sample_rate: of ``wave``, Hz; resampled to 22.05 kHz where it differs.
        windows_per_call: two-second windows that go through the network together (memory, about 20 MB each).

    Returns:
        Posteriors with ``T = ceil(N / sample_rate * FRAME_RATE)``; frame ``t`` is centred on ``t /
        FRAME_RATE``.
    """
    resampled = _resample(np.asarray(wave, np.float32), sample_rate)
    batch, length = resampled.shape
    frames = -(-length // HOP)
    count = max(1, -(-frames // _KEPT))
    total = (count - 1) * _KEPT * HOP + _WINDOW
    before = _MARGIN * HOP
    padded = np.pad(resampled, ((0, 0), (before, max(0, total - before - length))))
    starts = np.arange(count) * _KEPT * HOP
    windows = np.stack([padded[:, s : s + _WINDOW] for s in starts], axis=1).reshape(
        batch * count, _WINDOW, 1
    )

    outputs = ["StatefulPartitionedCall:1", "StatefulPartitionedCall:2"]  # notes, onsets
    parts = [
        session.run(outputs, {"serving_default_input_2:0": windows[i : i + windows_per_call]})
        for i in range(0, len(windows), windows_per_call)
    ]
    notes, onsets = (
        np.concatenate([np.asarray(part[k]) for part in parts])[:, _MARGIN:-_MARGIN]
        .reshape(batch, count * _KEPT, 88)[:, :frames]
        for k in (0, 1)
    )  # fmt: skip
    return Posteriors(notes, onsets)


def _resample(wave: Float[np.ndarray, "B N"], sample_rate: int) -> Float[np.ndarray, "B M"]:
    if sample_rate == MODEL_RATE:
        return wave
    import soxr

    return np.ascontiguousarray(soxr.resample(wave.T, sample_rate, MODEL_RATE).T)


def note_events(
    notes: Float[np.ndarray, "T 88"],
    onsets: Float[np.ndarray, "T 88"],
    onset_threshold: float = 0.65,
    note_threshold: float = 0.4,
    gap_seconds: float = 0.05,
    shortest_seconds: float = 0.08,
) -> NoteEvents:
    """Notes of one clip: every onset peak opens a note, which lasts while its posterior stays up.

    The two thresholds are stricter than the package's (0.5 and 0.3), because overtones of rendered
    instruments would otherwise count as notes: note F1 against the score is 0.79 instead of 0.69 on 300
    rendered clips.

    Args:
        notes: note posteriors of the clip.
        onsets: onset posteriors of the clip.
        onset_threshold: least height of an onset peak.
        note_threshold: least note posterior of a sounding frame.
        gap_seconds: a note survives a dip below the threshold of up to this length.
        shortest_seconds: shorter notes are dropped.
    """
    gap, shortest = round(gap_seconds * FRAME_RATE), shortest_seconds * FRAME_RATE
    left = np.pad(onsets[:-1], ((1, 0), (0, 0)))
    right = np.pad(onsets[1:], ((0, 1), (0, 0)))
    peaks = (onsets >= onset_threshold) & (onsets > left) & (onsets >= right)
    rows = []
    for key in np.flatnonzero(peaks.any(axis=0)):
        begins = np.flatnonzero(peaks[:, key])
        for begin, limit in zip(begins, [*begins[1:], len(notes)], strict=True):
            sounding = np.flatnonzero(notes[begin:limit, key] >= note_threshold)
            # The note posterior may rise a little after the onset; later on, a dip longer than the gap ends
            # the note.
            breaks = np.flatnonzero(np.diff(sounding, prepend=0) > gap + 1)
            held = sounding[: breaks[0]] if len(breaks) else sounding
            if len(held) and held[-1] + 1 >= shortest:
                end = begin + held[-1] + 1
                rows.append((begin, end, key + LOWEST_PITCH, notes[begin:end, key].mean()))
    table = np.array(sorted(rows), float).reshape(-1, 4)
    return NoteEvents(
        table[:, 0] / FRAME_RATE, table[:, 1] / FRAME_RATE, table[:, 2].astype(int), table[:, 3]
    )


def note_f1(
    reference_start: Float[np.ndarray, " R"],
    reference_pitch: Int[np.ndarray, " R"],
    start: Float[np.ndarray, " M"],
    pitch: Int[np.ndarray, " M"],
    tolerance: float = 0.05,
) -> NoteScore:
    """Agreement of two note lists: equal pitch and starts at most ``tolerance`` seconds apart, one to one.

    The matching is a maximum one: inside a pitch all tolerances are equal, so pairing in time order is
    optimal. Two empty lists agree perfectly.
    """
    matched = 0
    for value in np.intersect1d(reference_pitch, pitch):
        wanted = np.sort(reference_start[reference_pitch == value])
        found = np.sort(start[pitch == value])
        i = j = 0
        while i < len(wanted) and j < len(found):
            # The slack forgives float rounding at exactly the tolerance.
            if abs(wanted[i] - found[j]) <= tolerance + 1e-9:
                matched, i, j = matched + 1, i + 1, j + 1
            elif wanted[i] < found[j]:
                i += 1
            else:
                j += 1
    if not len(reference_start) and not len(start):
        return NoteScore(1.0, 1.0, 1.0)
    precision = matched / len(start) if len(start) else 0.0
    recall = matched / len(reference_start) if len(reference_start) else 0.0
    return NoteScore(precision, recall, 2 * matched / (len(start) + len(reference_start)))
