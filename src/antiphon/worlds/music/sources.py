"""Which scores may be used, under what licence, and how they are divided for training and testing.

Nothing is redistributed: tunes are read where the user has installed music21 (or from the user's own
folder). A collection is in the allow-list only if its terms are known and permit training; the ones left out
stand in ``EXCLUDED`` with the reason.
"""

import hashlib
import importlib.util
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from antiphon.core.errors import UserError
from antiphon.worlds.music.abc_notation import parse_book
from antiphon.worlds.music.chorales import load_chorales, missing_music21
from antiphon.worlds.music.score import Score, melody

Split = Literal["train", "valid", "test"]


@dataclass(frozen=True)
class Collection:
    """A set of scores that may be used.

    Attributes:
        name: identifier.
        folder: folder inside music21's corpus.
        suffix: of its files; ``.abc`` is read by antiphon, ``.mxl`` by music21.
        about: what it is.
        licence: of the encodings, in a few words; the music itself is out of copyright by age.
    """

    name: str
    folder: str
    suffix: str
    about: str
    licence: str


_TERMS = (
    "public-domain music; encoding in music21's corpus by permission of its encoder, no licence of its own"
)

COLLECTIONS = {
    collection.name: collection
    for collection in (
        Collection("ryansMammoth", "ryansMammoth", ".abc", "Ryan's Mammoth Collection, Boston 1883", _TERMS),
        Collection("oneills1850", "oneills1850", ".abc", "O'Neill's Music of Ireland, Chicago 1903", _TERMS),
        Collection("airdsAirs", "airdsAirs", ".abc", "Aird's Airs, six volumes, Glasgow 1782-1801", _TERMS),
        Collection("chorales", "bach", ".mxl", "Bach's four-part chorales", _TERMS),
    )
}
EXCLUDED = {
    "palestrina": "every file reserves the rights to all derivative electronic formats",
    "essenFolksong": "the permission covers non-commercial use only",
}
DEFAULT = tuple(COLLECTIONS)


@dataclass(frozen=True)
class SourceFile:
    """A file that was read: its path below the corpus or folder, its hash, the number of scores in it."""

    path: str
    sha256: str
    scores: int


@dataclass(frozen=True)
class Library:
    """What was read, and everything that was not taken.

    Attributes:
        scores: in a fixed order: by collection, file, place in the file.
        errors: one sentence for each piece that could not be read.
        duplicates: titles of pieces whose melody equals an earlier one note for note, up to transposition.
        files: for the manifest of whatever is trained on them.
    """

    scores: tuple[Score, ...]
    errors: tuple[str, ...]
    duplicates: tuple[str, ...]
    files: tuple[SourceFile, ...]


def load_scores(collections: Sequence[str] = DEFAULT) -> list[Score]:
    """The scores of the named collections without duplicates, in a fixed order.

    Raises:
        UserError: for a collection that is unknown or excluded, or without music21.
    """
    return list(load_library(collections).scores)


def load_library(collections: Sequence[str] = DEFAULT, cache: Path | None = None) -> Library:
    """As ``load_scores``, with what was left out and the hashes of the files.

    Args:
        collections: names from ``COLLECTIONS``.
        cache: folder for parsed chorales, None for the user's cache folder.
    """
    if isinstance(collections, str):
        collections = (collections,)
    chosen = [_collection(name) for name in dict.fromkeys(collections)]
    corpus = corpus_folder()
    parts: list[Library] = []
    for collection in chosen:
        paths = sorted((corpus / collection.folder).glob(f"*{collection.suffix}"))
        if not paths:
            raise UserError(
                "file",
                f"collection {collection.name}: the corpus holds no {collection.folder}/*{collection.suffix}",
                "install music21 with its corpus: `pip install --force-reinstall music21`",
            )
        if collection.suffix == ".abc":
            parts.append(_read_abc(paths, corpus, collection.name, collection.licence))
        else:
            scores, skipped = load_chorales(paths, collection.name, collection.licence, cache)
            parts.append(_library(scores, skipped, [_source_file(path, corpus, 1) for path in paths]))
    return _library(
        [score for part in parts for score in part.scores],
        [error for part in parts for error in part.errors],
        [file for part in parts for file in part.files],
        [title for part in parts for title in part.duplicates],
    )


def load_abc_folder(path: Path | str, licence: str = "the user's own") -> Library:
    """Every tune of every ``.abc`` file below a folder (or of one file), in the order of their paths.

    Args:
        path: folder or file.
        licence: put into the scores.

    Raises:
        UserError: when there is no such folder, or no tune in it that can be read.
    """
    root = Path(path)
    if not root.exists():
        raise UserError("file", f"{root} does not exist", "give a folder with .abc files")
    paths = (
        sorted(p for p in root.rglob("*") if p.suffix.lower() == ".abc" and p.is_file())
        if root.is_dir()
        else [root]
    )
    if not paths:
        raise UserError("file", f"{root} holds no .abc file", "give a folder with files that end in .abc")
    base = root if root.is_dir() else root.parent
    library = _read_abc(paths, base, root.stem, licence)
    if not library.scores:
        raise UserError(
            "file", f"{root}: no tune could be read; the first error is {library.errors[0]}", "mend the files"
        )
    return library


def corpus_folder() -> Path:
    """The corpus inside the installed music21, found without importing it.

    Raises:
        UserError: when music21 is not installed.
    """
    spec = importlib.util.find_spec("music21")
    if spec is None or not spec.submodule_search_locations:
        raise missing_music21()
    return Path(spec.submodule_search_locations[0]) / "corpus"


def split(score: Score) -> Split:
    """Where a piece belongs: 90 % train, 5 % valid, 5 % test, by a hash of its normalised title.

    The same on every machine, and the same for settings of one tune in several collections that print its
    name alike.
    """
    name = normalise_title(score.title).encode() or _melody_bytes(score)
    place = int.from_bytes(hashlib.sha256(name).digest()[:8], "big") % 100
    return "train" if place < 90 else "valid" if place < 95 else "test"


def divide(scores: Sequence[Score]) -> dict[Split, list[Score]]:
    """The scores by ``split``, without known tunes in disguise: books name one tune in many ways.

    Left out are pieces of valid and test that open with the same 24 intervals as one of train, and pieces of
    test that open as one of valid does.
    """
    parts: dict[Split, list[Score]] = {"train": [], "valid": [], "test": []}
    for score in scores:
        parts[split(score)].append(score)
    heard: set[bytes] = set()
    for name, members in parts.items():
        openings = [_opening(score) for score in members]
        parts[name] = [
            score for score, opening in zip(members, openings, strict=True) if opening not in heard
        ]
        heard.update(openings)
    return parts


_KINDS = [
    "reel",
    "jig",
    "hornpipe",
    "strathspey",
    "clog",
    "waltz",
    "march",
    "polka",
    "air",
    "slip",
    "quickstep",
    "highland",
    "fling",
    "lancashire",
]
_ARTICLES = {"the", "a", "an"}


def normalise_title(title: str) -> str:
    """A title without case, accents, punctuation, articles, brackets, and the kind of dance at its end.

    ``"THE ACACIA -- REEL."`` and ``"Acacia Reel, The"`` both give ``"acacia"``.
    """
    plain = unicodedata.normalize("NFKD", title.casefold())
    plain = "".join(sign for sign in plain if not unicodedata.combining(sign))
    plain = re.sub(r"[’'`]", "", re.sub(r"\([^)]*\)", " ", plain) if not plain.startswith("(") else plain)
    words = [word for word in re.findall(r"[a-z0-9.]*[a-z0-9]", plain) if word not in _ARTICLES]
    while len(words) > 1 and words[-1] in _KINDS:
        words.pop()
    return " ".join(words)


def _collection(name: str) -> Collection:
    if name in COLLECTIONS:
        return COLLECTIONS[name]
    choices = f"take any of {', '.join(COLLECTIONS)}"
    if name in EXCLUDED:
        raise UserError("usage", f"collection {name!r} is left out because {EXCLUDED[name]}", choices)
    raise UserError("usage", f"there is no collection {name!r}", choices)


def _read_abc(paths: Sequence[Path], base: Path, source: str, licence: str) -> Library:
    scores: list[Score] = []
    errors: list[str] = []
    files: list[SourceFile] = []
    for path in paths:
        content = path.read_bytes()
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = content.decode("latin-1")  # what ABC files were written in before UTF-8
        name = path.relative_to(base).as_posix()
        book = parse_book(text, source, licence, name)
        scores += book.scores
        errors += [str(error) for error in book.errors]
        files.append(SourceFile(name, hashlib.sha256(content).hexdigest(), len(book.scores)))
    return _library(scores, errors, files)


def _library(
    scores: Sequence[Score],
    errors: Sequence[str],
    files: Sequence[SourceFile],
    duplicates: Sequence[str] = (),
) -> Library:
    """A library without the pieces whose melody came before."""
    heard: set[bytes] = set()
    kept: list[Score] = []
    dropped = list(duplicates)
    for score in scores:
        melody = hashlib.sha256(_melody_bytes(score)).digest()
        if melody in heard:
            dropped.append(score.title)
        else:
            heard.add(melody)
            kept.append(score)
    return Library(tuple(kept), tuple(errors), tuple(dropped), tuple(files))


def _melody_bytes(score: Score) -> bytes:
    """The first voice relative to its first note, in 1/96 of a quarter: equal for transposed copies."""
    grid = np.round((score.voices[0] - score.voices[0][0] * [1, 0, 1]) * [96, 96, 1]).astype("<i4")
    # Chorales share sopranos, so the other voices count as well.
    others = [
        np.round((v - score.voices[0][0] * [1, 0, 1]) * [96, 96, 1]).astype("<i4") for v in score.voices[1:]
    ]
    return b"|".join(voice.tobytes() for voice in [grid, *others])


def _opening(score: Score) -> bytes:
    """The first 24 intervals of the melody in semitones (a shorter melody whole)."""
    return np.diff(melody(score)[:25, 2]).astype("<i4").tobytes()


def _source_file(path: Path, base: Path, scores: int) -> SourceFile:
    return SourceFile(
        path.relative_to(base).as_posix(), hashlib.sha256(path.read_bytes()).hexdigest(), scores
    )
