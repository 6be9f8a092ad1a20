"""Which policy somebody means: a file, the folder of a training, or the name of a bundled one."""

from pathlib import Path

from antiphon.core.errors import UserError
from antiphon.worlds.platform.policy_file import PlatformPolicy, load_policy
from antiphon.worlds.platform.tasks import SPATIAL_TASKS, nearest

BUNDLE = Path(__file__).parents[2] / "assets" / "platform"
"""Policies that come with antiphon: ``TASK.npz``, and ``TASK-robust.npz`` of one that finds things out."""


def bundled_policies(folder: Path = BUNDLE) -> dict[str, Path]:
    """Bundled policies of the planar platform by name."""
    spatial = {task.name for task in SPATIAL_TASKS}
    return {path.stem: path for path in sorted(folder.glob("*.npz")) if path.stem not in spatial}


def bundled_spatial_policies(folder: Path = BUNDLE) -> dict[str, Path]:
    """Bundled policies of the platform in space by name."""
    known = {task.name: folder / f"{task.name}.npz" for task in SPATIAL_TASKS}
    return {name: path for name, path in known.items() if path.is_file()}


def find_policy(source: str | Path, folder: Path = BUNDLE) -> PlatformPolicy:
    """Loads a policy.

    Args:
        source: a policy file, a folder that holds ``policy.npz`` or one policy file, or a bundled name.
        folder: where bundled policies are.

    Raises:
        UserError: nothing of that name is a policy; the nearest names are offered.
    """
    path = Path(source)
    if path.is_file():
        return load_policy(path)
    if path.is_dir():
        files = [path / "policy.npz"] if (path / "policy.npz").is_file() else sorted(path.glob("*.npz"))
        if len(files) != 1:
            found = f"{len(files)} .npz files and no policy.npz" if files else "no policy.npz"
            raise UserError("file", f"folder {path} holds {found}", "name the policy file itself")
        return load_policy(files[0])
    known = bundled_policies(folder) | bundled_spatial_policies(folder)
    if str(source) in known:
        return load_policy(known[str(source)])
    mend = "give a policy file or the folder of a training"
    if known:
        mend += f"; of the bundled ones {nearest(str(source), list(known))}"
    raise UserError("file", f"there is no policy {str(source)!r}", mend)
