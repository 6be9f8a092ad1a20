"""A run directory read back as plain data, by itself: no study, no jax, whether the run finished or not."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from antiphon.core.errors import UserError
from antiphon.train.errors import RunError
from antiphon.train.files import read_json
from antiphon.train.findings import Finding
from antiphon.train.media import Media, read_media
from antiphon.train.metrics import Record, read_metrics
from antiphon.train.run_directory import RunDirectory


@dataclass(frozen=True)
class RunRecord:
    """What a run left behind.

    Attributes:
        directory: the run directory.
        description: ``config.json``: study, size, seed and the configuration.
        environment: ``environment.json``: versions, hardware, commit.
        metrics: records of ``metrics.jsonl``, oldest first.
        findings: ``findings.json``; empty while the run is not finished.
        media: figures, clips, tables and images.
    """

    directory: Path
    description: Mapping[str, Any]
    environment: Mapping[str, Any]
    metrics: tuple[Record, ...]
    findings: tuple[Finding, ...]
    media: Media

    @property
    def name(self) -> str:
        """Study and folder, short enough for a column's head."""
        return f"{self.description['study']} {self.directory.resolve().name}"


def read_record(directory: Path | str) -> RunRecord:
    """Reads a run directory; only ``config.json`` must be there.

    Raises:
        UserError: it is not a run directory, or a file in it is not what it should be.
    """
    try:
        run = RunDirectory.open(directory)
        environment = run.path / "environment.json"
        description = run.description
        if not isinstance(description, Mapping) or "study" not in description:
            raise RunError(
                f"File {run.path / 'config.json'} names no study", "restore it, or start a new run"
            )
        return RunRecord(
            directory=run.path,
            description=description,
            environment=read_json(environment) if environment.is_file() else {},
            metrics=tuple(read_metrics(run.metrics)),
            findings=tuple(run.read_findings()),
            media=read_media(run.path),
        )
    except RunError as error:
        raise UserError("file", error.message, error.mend) from error
    except (TypeError, AttributeError, KeyError) as error:
        raise UserError(
            "file", f"a file of the run {directory} is damaged ({error})", "restore it or run the study again"
        ) from error
