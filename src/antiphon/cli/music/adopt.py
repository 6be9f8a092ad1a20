"""``antiphon music adopt``: a fine-tuned policy joins a bundle."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from antiphon.cli.output import emit
from antiphon.cli.parsing import parse
from antiphon.core.errors import UserError


@dataclass(frozen=True)
class AdoptArguments:
    """Add a fine-tuned policy to a bundle, stored as a quantised difference to its base."""

    policy: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="FILE")]
    """A policy-*.safetensors file that a musicrl run left."""

    name: str
    """What 'generate --model' will call it."""

    bundle: Path | None = None
    """Folder of models; by default the installed ones."""

    bits: Literal[4, 8] = 4
    """4 or 8 bits a weight of the difference."""

    json: bool = False
    """Make the last line of output one JSON object."""


def main(argv: Sequence[str]) -> int:
    """Adds the policy, with the run it comes from and the figures in its file."""
    arguments = parse(AdoptArguments, argv, "antiphon music adopt")
    if arguments.policy.suffix != ".safetensors":
        raise UserError("file", f"{arguments.policy} is no .safetensors file", "give one that a run left")
    from antiphon.train.errors import RunError
    from antiphon.worlds.music.bundle import DEFAULT, Bundle, add_policy

    bundle = Bundle.load(arguments.bundle or DEFAULT)
    params = bundle.named_policy(str(arguments.policy))
    try:
        error = add_policy(bundle.folder, arguments.name, params, _origin(arguments.policy), arguments.bits)
    except RunError as refused:
        raise UserError("file", refused.message, refused.mend) from refused
    if arguments.json:
        emit({"name": arguments.name, "relative_error": error, "folder": bundle.folder})
    else:
        print(f"{arguments.name}: difference stored with a relative error of {error:.3f}")
    return 0


def _origin(file: Path) -> dict[str, Any]:
    """What the manifest remembers: the file, the run beside it, its curve, and the figures in the header."""
    from antiphon.nets.weights import load_metadata
    from antiphon.train.files import read_json

    beside, header = file.parent / "config.json", load_metadata(file)
    run = read_json(beside) if beside.exists() else None
    settings = run.get("config") if isinstance(run, dict) else None
    if not isinstance(settings, dict):
        run = None  # a config.json of something else
    else:
        settings.pop("bundle", None)  # a path of one machine, which says nothing elsewhere
    return {
        "file": file.name,
        "run": run,
        "curve": _curve(file.parent / "metrics.jsonl", file.stem.replace("policy-", "arm-")),
        "figures": header.get("figures", {}) if isinstance(header, dict) else {},
    }


def _curve(metrics: Path, fit: str, points: int = 20) -> dict[str, list[float]]:
    """KL and rewards of the fine-tuning, means of at most ``points`` blocks of successive updates."""
    from antiphon.train.metrics import read_metrics

    records = [r.values for r in read_metrics(metrics) if r.fit == fit] if metrics.exists() else []
    width = max(1, -(-len(records) // points))
    blocks = [records[i : i + width] for i in range(0, len(records) - width + 1, width)]
    names = [name for name in (records[0] if records else ()) if name == "kl" or name.startswith("reward")]
    return {name: [sum(r[name] for r in block) / width for block in blocks] for name in names}
