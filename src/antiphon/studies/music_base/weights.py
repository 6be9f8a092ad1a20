"""The files that stages leave in the run directory, and what is said where one is missing."""

from pathlib import Path

from antiphon.core.errors import UserError
from antiphon.nets.weights import save_tree
from antiphon.train.files import disk_errors
from antiphon.train.progress import say
from antiphon.train.run_directory import RunDirectory


def weights_path(run: RunDirectory, name: str) -> Path:
    """Where a stage leaves its weights."""
    return run.path / f"{name}.safetensors"


def is_finished(run: RunDirectory, name: str) -> bool:
    """Whether a stage has left its weights; says so if it has."""
    path = weights_path(run, name)
    if path.exists():
        say(f"{name}: already trained, {path}")
    return path.exists()


def keep_weights(run: RunDirectory, name: str, params: object) -> None:
    """Leave the weights of a stage.

    Raises:
      RunError: the disk refused.
    """
    path = weights_path(run, name)
    with disk_errors(path):
        save_tree(path, params)


def needed(path: Path, stage: str) -> Path:
    """The path, if a stage has left that file.

    Raises:
      UserError: it has not.
    """
    if not path.exists():
        raise UserError("stage", f"this stage needs {path}, which is not there", f"run stage {stage} first")
    return path
