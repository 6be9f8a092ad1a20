"""``antiphon bench``: the programs under ``benches/`` of a checkout, and the figures that they print.

A bench is a program ``benches/WORLD/NAME.py`` or ``benches/WORLD_NAME.py`` that needs no arguments, measures
peers beside antiphon when given ``--peers``, and prints one JSON object as its last line.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

import antiphon
from antiphon.cli.compilation import keep_compilations
from antiphon.cli.nearest import nearest
from antiphon.cli.output import emit, say
from antiphon.cli.parsing import parse
from antiphon.core.errors import UserError


@dataclass(frozen=True)
class BenchArguments:
    """Measure speed and memory with the programs under benches/."""

    world: Annotated[
        tyro.conf.Positional[str | None], tyro.conf.arg(metavar="WORLD", help_behavior_hint="(default: all)")
    ] = None
    """Only the benches of this world."""

    peers: bool = False
    """Measure other libraries beside antiphon, where they are installed."""

    json: bool = False
    """Make the last line of output one JSON object."""


def main(argv: Sequence[str]) -> int:
    """Runs the benches one after the other, each in a process of its own so that none warms another."""
    arguments = parse(BenchArguments, argv, "antiphon bench")
    root = benches_folder()
    chosen = benches_of(root, arguments.world)
    keep_compilations()
    results, failed = [], []
    for path in chosen:
        name = path.relative_to(root).with_suffix("").as_posix()
        say(f"bench {name}")
        command = [sys.executable, str(path), *(["--peers"] if arguments.peers else [])]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            say(f"antiphon: bench {name} left with status {done.returncode}.")
            failed.append(name)
            continue
        results.append({"bench": name, "result": last_object(done.stdout)})
        if not arguments.json:
            print(done.stdout, end="", flush=True)
    if arguments.json:
        emit({"benches": results, "failed": failed})
    return int(bool(failed))


def benches_folder(source: Path | None = None) -> Path:
    """``benches/`` of the checkout that antiphon is imported from.

    Raises:
        UserError: antiphon was installed without its sources.
    """
    package = source or Path(antiphon.__file__).resolve().parent
    folder = package.parent.parent / "benches"
    if package.parent.name != "src" or not folder.is_dir():
        raise UserError(
            "file",
            "the benches are not part of the installed package",
            "run 'antiphon bench' from a checkout installed with: pip install -e .",
        )
    return folder


def benches_of(root: Path, world: str | None) -> list[Path]:
    """The bench programs of one world, or of all.

    Raises:
        UserError: there is none.
    """
    paths = sorted(
        path for path in (*root.glob("*.py"), *root.glob("*/*.py")) if not path.name.startswith("_")
    )
    worlds = {path: path.parent.name if path.parent != root else path.stem.split("_")[0] for path in paths}
    chosen = [path for path in paths if world is None or worlds[path] == world]
    if not chosen:
        known = sorted(set(worlds.values()))
        message = f"there is no bench of {world!r}" if world else f"there is no bench under {root}"
        raise UserError(
            "world", message, nearest(world or "", known) if known else "write one as benches/WORLD_NAME.py"
        )
    return chosen


def last_object(text: str) -> Any:
    """The JSON object on the last line, or None."""
    lines = text.strip().splitlines()
    try:
        return json.loads(lines[-1]) if lines else None
    except ValueError:
        return None
