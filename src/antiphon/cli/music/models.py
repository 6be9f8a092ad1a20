"""``antiphon music models``: what a bundle holds."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from antiphon.cli.output import emit, show_table
from antiphon.cli.parsing import parse


@dataclass(frozen=True)
class ModelsArguments:
    """List the installed models with their figures and checksums."""

    bundle: Path | None = None
    """Folder of models; by default the installed ones."""

    json: bool = False
    """Make the last line of output one JSON object."""


def main(argv: Sequence[str]) -> int:
    """Lists files with size and checksum, and each policy's figures as the manifest has them."""
    arguments = parse(ModelsArguments, argv, "antiphon music models")
    from antiphon.worlds.music.bundle import DEFAULT, Bundle

    bundle = Bundle.load(arguments.bundle or DEFAULT)
    sizes = {name: _size(bundle.folder / name) for name in bundle.files}
    figures = {name: dict(flat(bundle.made(name).get("figures") or {})) for name in bundle.policies}
    if arguments.json:
        facts = {"sha256": bundle.files, "figures": figures, "made": bundle.manifest["made"]}
        emit({"folder": bundle.folder, "policies": bundle.policies, "files": sizes, **facts})
        return 0
    rows = [(name, sizes[name], sha256[:12]) for name, sha256 in bundle.files.items()]
    show_table(("file", "size", "sha256"), rows, title=str(bundle.folder))
    print()
    rows = [(policy, name, _said(value)) for policy in figures for name, value in figures[policy].items()]
    rows += [(policy, "no figures in the manifest", "") for policy in figures if not figures[policy]]
    show_table(("policy", "figure", "value"), rows)
    return 0


def flat(figures: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested figures as ``(dotted name, value)``."""
    for name, value in figures.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _said(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_said, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _size(path: Path) -> str:
    return f"{path.stat().st_size / 1e6:.2f} MB" if path.exists() else "missing"
