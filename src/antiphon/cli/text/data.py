"""``antiphon text data build``: texts to train on, made on this machine."""

import hashlib
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from antiphon.cli.output import emit, say
from antiphon.cli.parsing import parse
from antiphon.core.errors import UserError
from antiphon.core.files import whole_file

SOURCES = ("debian",)


@dataclass(frozen=True)
class BuildArguments:
    """Make texts to train on: debian, descriptions to synopses and English to German, through apt."""

    source: tyro.conf.Positional[Literal["debian"]]
    """What to make them from."""

    out: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """Folder for the files."""

    json: bool = False
    """Make the last line of output one JSON object."""


def main(argv: Sequence[str]) -> int:
    """Writes JSONL files of train, validation and test, and what they are."""
    if argv and argv[0] in ("-h", "--help"):
        print("usage: antiphon text data build debian --out DIR")
        return 0
    if not argv or argv[0] != "build":
        word = f"no verb {argv[0]!r}" if argv else "no verb"
        raise UserError(
            "usage", f"antiphon text data was given {word}", "write antiphon text data build debian"
        )
    arguments = parse(BuildArguments, argv[1:], "antiphon text data build")
    if arguments.out is None:
        raise UserError("usage", "no --out is given", "name the folder to write")
    out = arguments.out
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UserError("file", f"{out} cannot be made ({reason})", "choose another folder") from error
    from antiphon.worlds.text import debian
    from antiphon.worlds.text.debian_index import fetch_index

    say("fetching the archive's index through apt, about 18 MB")
    with tempfile.TemporaryDirectory() as state:
        index = fetch_index(Path(state))
    english, german = (
        debian.descriptions(index.packages, index.translations[language], language)
        for language in ("en", "de")
    )
    tasks = {
        "synopsis": debian.synopsis_rows(english),
        "translation": debian.translation_rows(english, german),
    }
    files = {}
    for task, rows in tasks.items():
        for part, chosen in debian.split(rows).items():
            lines = [
                json.dumps({"prompt": r.prompt, "completion": r.completion}, ensure_ascii=False)
                for r in chosen
            ]
            data = ("\n".join(lines) + "\n").encode()
            with whole_file(out / f"{task}-{part}.jsonl") as file:
                file.write(data)
            files[f"{task}-{part}.jsonl"] = {"rows": len(chosen), "sha256": hashlib.sha256(data).hexdigest()}
    manifest = {
        "source": f"Debian, {index.archive.split()[-1]}",  # release and component; mirrors hold the same
        "made": time.strftime("%Y-%m-%d"),
        "licence": "each text has the licence of its package's packaging (debian/copyright)",
        "descriptions": len(english),
        "translated": len(german),
        "files": files,
    }
    with whole_file(out / "manifest.json") as file:
        file.write(json.dumps(manifest, indent=2).encode() + b"\n")
    if arguments.json:
        emit({"folder": out, **manifest})
    else:
        for name, about in files.items():
            print(f"{out / name}: {about['rows']} rows")
        say("each text has the licence of its package's packaging, so do not pass the files on unread")
    return 0
