"""One run, one directory: its configuration, surroundings, numbers, findings, checkpoints and media."""

import contextlib
import errno
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from antiphon.train.environment import describe_devices, describe_environment
from antiphon.train.errors import RunError
from antiphon.train.files import disk_errors, plain, read_json, write_json
from antiphon.train.findings import Finding, read_findings, write_findings

try:
    import fcntl
except (
    ImportError
):  # Windows has no advisory locks of this kind; the guard against two writers is then absent
    fcntl = None


@dataclass(frozen=True)
class RunDirectory:
    """A directory ``runs/STUDY/<time>-s<seed>``.

    Attributes:
        path: The directory.
    """

    path: Path

    @classmethod
    def create(
        cls, study: str, config: Any, *, seed: int, size: str | None = None, root: Path | str = "runs"
    ) -> "RunDirectory":
        """Make a new run directory.

        Args:
            study: Name of the study, the folder under ``root``.
            config: Frozen dataclass or mapping; saved, and compared when the run is resumed.
            seed: Seed of the run.
            size: Preset the configuration came from, for the record.
            root: Where runs are kept.

        Returns:
            The run. The directory appears whole, under a name nobody else has.

        Raises:
            RunError: The configuration has no JSON form, or the disk refused.
        """
        folder = Path(root) / study
        description = {"study": study, "size": size, "seed": seed, "config": plain(config)}
        name = f"{time.strftime('%Y%m%dT%H%M%S')}-s{seed}"
        draft = folder / f".{name}.{os.getpid()}.tmp"
        try:
            with disk_errors(folder):
                for part in ("checkpoints", "media"):
                    (draft / part).mkdir(parents=True)
            write_json(draft / "config.json", description)
            write_json(draft / "environment.json", describe_environment())
            with disk_errors(folder):
                return cls(_rename_to_free_name(draft, folder / name))
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise

    @classmethod
    def open(cls, path: Path | str) -> "RunDirectory":
        """Open an existing run to read it.

        Raises:
            RunError: The path is not a run directory.
        """
        path = Path(path)
        if not (path / "config.json").is_file():
            raise RunError(
                f"{path} is not a run directory (no config.json)", "give a folder like runs/STUDY/TIME-sSEED"
            )
        return cls(path)

    @classmethod
    def resume(
        cls, path: Path | str, config: Any, *, say: Callable[[str], None] | None = None
    ) -> "RunDirectory":
        """Open an existing run to continue it, with the configuration it was made with.

        Args:
            path: The run directory.
            config: Must equal the saved one.
            say: Told if this machine or its software differ from the first session's.

        Raises:
            RunError: Not a run directory, or the configuration differs (the first such field is named).
        """
        run = cls.open(path)
        difference = _first_difference(run.config, plain(config), "config")
        if difference is not None:
            field, saved, given = difference
            raise RunError(
                f"Run {path} was made with {field} = {saved} but {given} is given",
                "resume with the saved configuration, or start a new run",
            )
        run._note_other_surroundings(say)
        return run

    @property
    def description(self) -> dict[str, Any]:
        """``{study, size, seed, config}`` as saved."""
        return read_json(self.path / "config.json")

    @property
    def config(self) -> Any:
        """The configuration as plain JSON values."""
        return self.description["config"]

    @property
    def seed(self) -> int:
        """The seed of the run."""
        return self.description["seed"]

    @property
    def study(self) -> str:
        """The name of the study."""
        return self.description["study"]

    @property
    def metrics(self) -> Path:
        """The file of numbers over time."""
        return self.path / "metrics.jsonl"

    @property
    def checkpoints(self) -> Path:
        """The folder of checkpoints, one folder inside for each fit."""
        return self.path / "checkpoints"

    @property
    def media(self) -> Path:
        """The folder of pictures, sounds and films."""
        return self.path / "media"

    def write_findings(self, findings: Sequence[Finding]) -> None:
        """Save the findings of the study, atomically."""
        write_findings(self.path / "findings.json", findings)

    def read_findings(self) -> list[Finding]:
        """The findings saved so far; none if the study has not finished."""
        path = self.path / "findings.json"
        return read_findings(path) if path.exists() else []

    def record_devices(self) -> None:
        """Complete ``environment.json`` once jax is loaded; a run may be made before that."""
        environment = read_json(self.path / "environment.json")
        if environment.get("devices") is None:
            write_json(self.path / "environment.json", environment | {"devices": describe_devices()})

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Keep other processes from writing this run; the hold ends with the process, however it ends.

        Raises:
            RunError: Another process is writing this run.
        """
        with disk_errors(self.path):
            lock = open(self.path / ".lock", "ab")  # noqa: SIM115 - closed below, outside the disk errors
        with lock:
            if fcntl is not None:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError as error:
                    raise RunError(
                        f"Run {self.path} is being written by another process",
                        "wait for it, or stop it first",
                    ) from error
            yield

    def _note_other_surroundings(self, say: Callable[[str], None] | None) -> None:
        saved = read_json(self.path / "environment.json")
        now = describe_environment()
        compared = ("versions", "cpu", "devices")
        if now["devices"] is None or saved.get("devices") is None:
            compared = ("versions", "cpu")
        difference = None
        for part in compared:
            difference = difference or _first_difference(saved.get(part), now[part], part)
        if difference is None:
            return
        sessions = [*saved.get("resumed_on", []), now]
        write_json(self.path / "environment.json", saved | {"resumed_on": sessions})
        if say is not None:
            field, before, after = difference
            say(f"{field} was {before} and is now {after}, so the last bits of this run may differ.")


def _rename_to_free_name(draft: Path, wanted: Path) -> Path:
    for attempt in range(1, 1000):
        path = wanted if attempt == 1 else wanted.with_name(f"{wanted.name}-{attempt}")
        try:
            os.rename(
                draft, path
            )  # refuses a folder that is not empty, so two runs of one second cannot meet
            return path
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.EACCES) or not path.exists():
                raise
    raise RunError(f"No free name beside {wanted}", "clear out old runs")


def _first_difference(saved: Any, given: Any, name: str) -> tuple[str, str, str] | None:
    if isinstance(saved, dict) and isinstance(given, dict):
        for key in [*saved, *(key for key in given if key not in saved)]:
            missing = "nothing"
            if key not in saved or key not in given:
                return f"{name}.{key}", repr(saved.get(key, missing)), repr(given.get(key, missing))
            found = _first_difference(saved[key], given[key], f"{name}.{key}")
            if found is not None:
                return found
        return None
    return None if saved == given else (name, repr(saved), repr(given))
