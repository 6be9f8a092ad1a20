"""``antiphon platform export``: a policy for the robot, as ONNX and as a NumPy file."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from antiphon.cli.output import emit
from antiphon.cli.parsing import parse
from antiphon.core.errors import UserError


@dataclass(frozen=True)
class ExportArguments:
    """Write a policy for use elsewhere, with its units, frames, rate and valve order inside."""

    policy: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="DIR|POLICY")]
    """The folder of a training, a policy file, or a bundled name such as go-to-pose."""

    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])] = Path(".")
    """Folder for the files."""

    name: str = ""
    """Their name without ending; by default that of the task."""

    onnx: bool = False
    """Write NAME.onnx, for any ONNX runtime."""

    npz: bool = False
    """Write NAME.npz, which needs NumPy alone."""

    json: bool = False
    """Make the last line of output one JSON object."""


def main(argv: Sequence[str]) -> int:
    """Writes the files that were asked for; both if none was named."""
    arguments = parse(ExportArguments, argv, "antiphon platform export")
    if "/" in arguments.name or arguments.name in (".", ".."):
        raise UserError(
            "usage", f"--name {arguments.name} is a path", "give a name, and the folder with --out"
        )
    from antiphon.worlds.platform.onnx_file import save_onnx
    from antiphon.worlds.platform.policy_search import find_policy

    policy = find_policy(arguments.policy)
    both = not (arguments.onnx or arguments.npz)
    stem = arguments.out / (arguments.name or policy.metadata.task)
    files = []
    if arguments.onnx or both:
        files.append(save_onnx(policy, stem.with_name(f"{stem.name}.onnx")))
    if arguments.npz or both:
        files.append(policy.save(stem.with_name(f"{stem.name}.npz")))
    facts = policy.metadata
    if arguments.json:
        emit({"files": files, "task": facts.task, "observation": facts.observation, "rate_hz": facts.rate_hz})
    else:
        print("\n".join(map(str, files)))
    return 0
