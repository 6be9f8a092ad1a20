"""Checkpoints that are whole or skipped: a state, its step and a manifest with a checksum."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from antiphon.nets import weights
from antiphon.train.errors import RunError
from antiphon.train.files import disk_errors, read_json, write_json

State = TypeVar("State")


@dataclass(frozen=True)
class Checkpoint(Generic[State]):
    """A state read back.

    Attributes:
        state: The pytree.
        step: Steps done when it was saved.
        metadata: What was saved beside it.
        path: The file it came from.
    """

    state: State
    step: int
    metadata: dict[str, Any]
    path: Path


@dataclass(frozen=True)
class CheckpointFolder:
    """The checkpoints of one fit: ``step-N.safetensors`` and, written after it, the manifest ``step-N.json``.

    Attributes:
        path: The folder; made at the first save.
        keep: How many of the newest to keep; two survive damage to the newest.
    """

    path: Path
    keep: int = 2

    def __post_init__(self) -> None:
        if self.keep < 1:
            raise RunError(f"keep={self.keep} checkpoints cannot be resumed from", "keep at least one")

    def save(self, state: Any, step: int, metadata: dict[str, Any] | None = None) -> Path:
        """Save a state atomically, then drop the oldest beyond ``keep``.

        Args:
            state: Any pytree of arrays, PRNG keys and numbers; every bit is kept.
            step: Steps done.
            metadata: JSON values for the manifest.

        Returns:
            The safetensors file.

        Raises:
            RunError: The disk refused; earlier checkpoints are untouched and nothing half-written stays.
        """
        target = self.path / f"step-{step:09d}.safetensors"
        with disk_errors(target):
            self.path.mkdir(parents=True, exist_ok=True)
            for orphan in self.path.glob(".*.tmp"):  # left by a process that was killed while writing
                orphan.unlink(missing_ok=True)
        try:
            with disk_errors(target):
                sha256 = weights.save_tree(target, state)
                size = target.stat().st_size
            # The manifest comes second: weights without one are never read.
            manifest = {"step": step, "sha256": sha256, "bytes": size, "metadata": metadata or {}}
            write_json(target.with_suffix(".json"), manifest)
        except RunError:
            for part in (target.with_suffix(".json"), target):
                with contextlib.suppress(OSError):
                    part.unlink()
            raise
        for old in self.steps()[: -self.keep]:
            manifest_path = self.path / f"step-{old:09d}.json"
            with disk_errors(manifest_path):
                manifest_path.unlink(missing_ok=True)
                manifest_path.with_suffix(".safetensors").unlink(missing_ok=True)
        return target

    def steps(self) -> list[int]:
        """Steps that have a manifest, oldest first; their files may still be damaged."""
        return sorted(int(path.stem.removeprefix("step-")) for path in self.path.glob("step-*.json"))

    def latest_good(
        self, like: State, *, say: Callable[[str], None] | None = None
    ) -> Checkpoint[State] | None:
        """The newest checkpoint whose checksum is right; damaged ones are skipped.

        Args:
            like: Pytree with the structure, shapes, dtypes and placement wanted.
            say: Told, in a sentence each, of the checkpoints skipped.

        Returns:
            The checkpoint, or ``None`` if there is no good one.

        Raises:
            WeightsError: A whole checkpoint does not fit ``like`` (the first such leaf is named).
        """
        for step in reversed(self.steps()):
            path = self.path / f"step-{step:09d}.safetensors"
            try:
                manifest = read_json(path.with_suffix(".json"))
                sha256, metadata = manifest["sha256"], manifest["metadata"]
                weights.verify(path, sha256)
            except (weights.WeightsError, RunError, KeyError, TypeError) as error:
                if say is not None:
                    reason = (
                        error.message
                        if isinstance(error, weights.WeightsError | RunError)
                        else "bad manifest"
                    )
                    say(f"Skipped the checkpoint at step {step}: {reason}.")
                continue
            state = weights.load_tree(path, like, exact_dtype=True)
            return Checkpoint(state, step, metadata, path)
        return None
