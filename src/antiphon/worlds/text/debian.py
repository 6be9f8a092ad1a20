"""Debian's package descriptions as two tasks: long description to one-line synopsis, English to German.

Nothing of Debian is shipped here: a description is part of its package's packaging and has that package's
licence, many of them copyleft, and the index does not say which. So the texts are made on the user's own
machine from the index of the archive that its apt knows.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

PARTS = ("train", "validation", "test")

_FEWEST, _MOST = 15, 120  # words of a body: below there is nothing to sum up, above it is documentation
_SIBLING = 120  # characters: packages built from one source share at least so much of their bodies
_BULLET = re.compile(r"^\s*[-*+•]\s")


@dataclass(frozen=True)
class Description:
    """What the archive says of a package in one language.

    Attributes:
        package: name.
        source: the source package, by which the parts are split.
        key: MD5 of the English description, by which translations are joined.
        synopsis: one line.
        paragraphs: the long description.
    """

    package: str
    source: str
    key: str
    synopsis: str
    paragraphs: tuple[str, ...]


@dataclass(frozen=True)
class Row:
    """One example.

    Attributes:
        source: of the package.
        prompt: what is asked.
        completion: the answer, which begins with a space.
    """

    source: str
    prompt: str
    completion: str


def stanzas(text: str) -> Iterator[dict[str, str]]:
    """Fields of every paragraph of an index; of a line that goes on, the first space is left out."""
    for block in text.split("\n\n"):
        fields: dict[str, str] = {}
        name = ""
        for line in block.split("\n"):
            if line.startswith((" ", "\t")) and name:
                fields[name] += "\n" + line[1:]
            elif ":" in line:
                name, _, value = line.partition(":")
                fields[name] = value.strip()
        if fields:
            yield fields


def descriptions(packages: str, translations: str, language: str) -> list[Description]:
    """Descriptions in one language.

    Args:
        packages: the index ``Packages``, for the sources.
        translations: the index ``Translation-LANGUAGE``.
        language: such as ``en``.
    """
    sources = {
        fields["Package"]: fields.get("Source", fields["Package"]).split(" ")[0]
        for fields in stanzas(packages)
        if "Package" in fields
    }
    found = []
    for fields in stanzas(translations):
        said = fields.get(f"Description-{language}")
        package, key = fields.get("Package"), fields.get("Description-md5")
        if said is None or package is None or key is None or package not in sources:
            continue
        synopsis, _, body = said.partition("\n")
        found.append(Description(package, sources[package], key, synopsis.strip(), paragraphs_of(body)))
    return found


def paragraphs_of(body: str) -> tuple[str, ...]:
    """A long description's paragraphs, their lines joined; a list item is one, and a dot a blank line."""
    paragraphs: list[list[str]] = [[]]
    for line in body.split("\n"):
        text = line.strip()
        if text in ("", "."):
            paragraphs.append([])
        elif _BULLET.match(line):
            paragraphs.append([text])
        else:
            paragraphs[-1].append(text)
    return tuple(" ".join(lines) for lines in paragraphs if lines)


def synopsis_rows(english: Iterable[Description]) -> list[Row]:
    """Descriptions of 15 to 120 words with their synopses; of siblings that share a body only the first."""
    rows, seen = [], set()
    for description in sorted(english, key=lambda d: d.package):
        body = "\n".join(description.paragraphs)
        words = len(body.split())
        if not _FEWEST <= words <= _MOST or len(description.synopsis.split()) < 2:
            continue
        if body[:_SIBLING] in seen:
            continue
        seen.add(body[:_SIBLING])
        rows.append(Row(description.source, f"{body}\n\nSynopsis:", f" {description.synopsis}"))
    return rows


def translation_rows(english: Iterable[Description], german: Iterable[Description]) -> list[Row]:
    """Synopses and paragraphs in both languages, by their order where both have as many; each once."""
    there = {description.key: description for description in german}
    rows, seen = [], set()
    for description in sorted(english, key=lambda d: d.package):
        other = there.get(description.key)
        if other is None or len(other.paragraphs) != len(description.paragraphs):
            continue
        pairs = zip(
            (description.synopsis, *description.paragraphs), (other.synopsis, *other.paragraphs), strict=True
        )
        for one, two in pairs:
            # What is the same in both is a name or was never translated.
            if one == two or one in seen or len(one.split()) < 2 or not two:
                continue
            seen.add(one)
            rows.append(Row(description.source, f"{one}\n\nGerman:", f" {two}"))
    return rows


def part_of(source: str) -> str:
    """Train, validation or test, by the source package: 90, 5 and 5 of a hundred."""
    place = int(hashlib.sha256(source.encode()).hexdigest(), 16) % 100
    return PARTS[0] if place < 90 else PARTS[1] if place < 95 else PARTS[2]


def split(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Rows by part."""
    return {part: [row for row in rows if part_of(row.source) == part] for part in PARTS}
