"""Bach's four-part chorales from the corpus that music21 installs, as scores.

music21 needs about 0.2 s for a piece, so the whole set is read once and kept as one ``.npz`` in the user's
cache folder; the name of that file is a hash of the source files and of the versions involved, so it can
never be stale.
"""

import hashlib
import json
import logging
import os
import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from antiphon.core.errors import UserError
from antiphon.worlds.music.score import MODES, Key, Score, rows

_FORMAT = 1  # raise when what is kept, or how a chorale is read, changes
_VOICES = ("Soprano", "Alto", "Tenor", "Bass")
_log = logging.getLogger(__name__)


def cache_folder() -> Path:
    """Where parsed scores are kept: ``$XDG_CACHE_HOME/antiphon/music``, or below ``~/.cache``."""
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "antiphon" / "music"


def load_chorales(
    paths: Sequence[Path],
    source: str,
    licence: str,
    cache: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[list[Score], list[str]]:
    """Four-part scores of MusicXML files, soprano first, and one sentence for each file that is none.

    Args:
        paths: the files, in the order wanted.
        source: collection identifier put into the scores.
        licence: licence put into the scores.
        cache: folder for the parsed set; None for ``cache_folder()``.
        progress: called with (files read, files in all) when the files are read for the first time.

    Raises:
        UserError: when music21 is not installed.
    """
    folder = cache_folder() if cache is None else cache
    kept = folder / f"chorales-{_fingerprint(paths)}.npz"
    if kept.is_file():
        return _restore(kept, source, licence)
    _log.info("reading %d chorales with music21, once; they are kept in %s", len(paths), kept)
    scores: list[Score] = []
    skipped: list[str] = []
    for done, path in enumerate(paths, start=1):
        try:
            scores.append(read_chorale(path, source, licence))
        except UserError as error:
            if error.kind == "missing-extra":
                raise
            skipped.append(str(error))
        if progress is not None:
            progress(done, len(paths))
    _keep(kept, scores, skipped)
    return scores, skipped


def read_chorale(path: Path, source: str, licence: str) -> Score:
    """One chorale as printed (repeats once), ties joined, with music21.

    Key: the mode written in the file's key signature, else music21's key analysis (Krumhansl–Schmuckler).

    Raises:
        UserError: when music21 is not installed, or the file has not one soprano, alto, tenor and bass each.
    """
    try:
        from music21 import converter
    except ImportError:
        raise missing_music21() from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # music21's remarks on odd but readable MusicXML
        piece: Any = converter.parse(str(path), format="musicxml", forceSource=True)
        named = [
            [part for part in piece.parts if str(part.partName or part.id).startswith(name)]
            for name in _VOICES
        ]
        if any(len(found) != 1 for found in named):
            names = ", ".join(repr(str(part.partName or part.id)) for part in piece.parts)
            raise UserError("file", f"{path.name}: parts {names} are no four-part chorale", "leave it out")
        parts = [found[0] for found in named]
        key = _key(piece, parts[0])
        time = next(iter(parts[0].recurse().getElementsByClass("TimeSignature")), None)
        if time is None:
            raise UserError("file", f"{path.name}: has no time signature", "leave it out")
        bar = 4.0 * time.numerator / time.denominator
        first = float(next(iter(parts[0].getElementsByClass("Measure"))).duration.quarterLength)
        pickup = first if first < bar else 0.0
        voices = tuple(_voice(part, pickup) for part in parts)
    return Score(
        _title(path.stem), source, licence, key, (time.numerator, time.denominator), "chorale", voices
    )


def missing_music21() -> UserError:
    """The error for an environment without music21."""
    return UserError(
        "missing-extra", "scores need the package music21", "run `pip install 'antiphon[music]'`"
    )


def _voice(part: Any, pickup: float) -> np.ndarray:
    onsets: list[float] = []
    durations: list[float] = []
    pitches: list[float] = []
    for note in part.stripTies().flatten().notes:
        if float(note.duration.quarterLength) <= 0:  # a grace note
            continue
        for pitch in note.pitches:
            onsets.append(float(note.offset) - pickup)
            durations.append(float(note.duration.quarterLength))
            pitches.append(float(pitch.midi))
    return rows(onsets, durations, pitches)


def _key(piece: Any, soprano: Any) -> Key:
    written = next(iter(soprano.recurse().getElementsByClass("KeySignature")), None)
    known = getattr(written, "mode", None) in MODES and hasattr(written, "tonic")
    found: Any = written if known else piece.analyze("key")
    return Key(found.tonic.pitchClass, found.mode)


def _title(stem: str) -> str:
    """``Aus meines Herzens Grunde (BWV 269)`` where music21 knows the hymn, else ``BWV 18.5 (lz)``."""
    from music21.corpus.chorales import ChoraleListRKBWV

    number, _, variant = stem.lower().removeprefix("bwv").partition("-")
    for entry in ChoraleListRKBWV().byRiemenschneider.values():
        if str(entry["bwv"]).lower() == number:
            return f"{entry['title']} (BWV {number}{'-' if variant else ''}{variant})"
    return f"BWV {number}" + (f" ({variant})" if variant else "")


def _fingerprint(paths: Sequence[Path]) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        reader = version("music21")
    except PackageNotFoundError:
        raise missing_music21() from None
    digest = hashlib.sha256(f"{_FORMAT} {reader}".encode())
    for path in paths:
        digest.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:20]


def _keep(path: Path, scores: Sequence[Score], skipped: Sequence[str]) -> None:
    about = {
        "skipped": list(skipped),
        "scores": [
            {
                "title": score.title,
                "key": [score.key.tonic, score.key.mode],
                "meter": list(score.meter),
                "lengths": [len(voice) for voice in score.voices],
            }
            for score in scores
        ],
    }
    notes = (
        np.concatenate([voice for score in scores for voice in score.voices]) if scores else np.zeros((0, 3))
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".npz", delete=False) as file:
        np.savez_compressed(file, notes=notes, about=np.array(json.dumps(about)))
    os.replace(file.name, path)  # whole or not at all, even with two processes at it


def _restore(path: Path, source: str, licence: str) -> tuple[list[Score], list[str]]:
    with np.load(path) as kept:
        notes, about = kept["notes"], json.loads(str(kept["about"]))
    scores: list[Score] = []
    at = 0
    for entry in about["scores"]:
        voices: list[np.ndarray] = []
        for length in entry["lengths"]:
            voices.append(notes[at : at + length])
            at += length
        key, meter = Key(*entry["key"]), (entry["meter"][0], entry["meter"][1])
        scores.append(Score(entry["title"], source, licence, key, meter, "chorale", tuple(voices)))
    return scores, about["skipped"]
