"""One study, from its configuration to its findings and its report: what ``run`` and ``verify`` share."""

import shlex
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from antiphon.cli.errors import Stopped
from antiphon.cli.nearest import nearest
from antiphon.cli.output import say
from antiphon.cli.settings import from_saved, seeded, with_settings
from antiphon.core.errors import UserError
from antiphon.studies import registry

if TYPE_CHECKING:
    from antiphon.train.findings import Finding
    from antiphon.train.run_directory import RunDirectory


@dataclass(frozen=True)
class Outcome:
    """A run that came to its findings.

    Attributes:
        run: the run directory.
        size: the preset it started from; None where the run does not say.
        seed: its seed.
        seconds: wall time of this session.
        findings: what was measured.
        report: the page.
    """

    run: Path
    size: str | None
    seed: int
    seconds: float
    findings: "tuple[Finding, ...]"
    report: Path

    def as_json(self) -> dict[str, Any]:
        """The stable object of ``--json``, with the report's path beside it."""
        return {
            name: getattr(self, name) for name in ("run", "size", "seed", "seconds", "findings", "report")
        }

    @property
    def failed(self) -> "list[Finding]":
        """The claims that were tested and do not hold."""
        return [finding for finding in self.findings if finding.holds is False]


@dataclass(frozen=True)
class Prepared:
    """A run directory, and the configuration to run in it."""

    config: Any
    run: "RunDirectory"


def find_study(name: str) -> registry.StudyEntry:
    """The study of that name, written with hyphens or as its module is.

    Raises:
        UserError: there is none.
    """
    entry = next((entry for entry in registry.STUDIES if entry.name == name.replace("_", "-")), None)
    if entry is None:
        mend = nearest(name, [entry.name for entry in registry.STUDIES])
        raise UserError("study", f"there is no study {name!r}", mend)
    return entry


def start(
    entry: registry.StudyEntry, size: str, seed: int | None, settings: tuple[str, ...], root: Path
) -> Prepared:
    """Makes a new run directory.

    Raises:
        UserError: the study has no such preset, a setting is wrong, or ``root`` cannot be written.
    """
    from antiphon.train.errors import RunError
    from antiphon.train.run_directory import RunDirectory

    presets = entry.load().PRESETS
    if size not in presets:
        raise UserError("size", f"study {entry.name} has no size {size!r}", nearest(size, presets))
    # --seed has the last word over a seed among the settings.
    config, seed = seeded(with_settings(presets[size], settings), seed)
    try:
        return Prepared(config, RunDirectory.create(entry.name, config, seed=seed, size=size, root=root))
    except RunError as error:
        raise UserError("file", error.message, error.mend) from error


def take_up(
    entry: registry.StudyEntry, directory: Path, size: str | None, seed: int | None, settings: tuple[str, ...]
) -> Prepared:
    """Opens a run directory to go on with it, with the configuration that it was made with.

    Raises:
        UserError: it is no run of this study, or was made with other settings than those given.
    """
    from antiphon.train.errors import RunError
    from antiphon.train.run_directory import RunDirectory

    try:
        made = RunDirectory.open(directory).description
        if made["study"] != entry.name:
            raise UserError(
                "study",
                f"{directory} is a run of {made['study']}, not of {entry.name}",
                f"use: antiphon run {made['study']} --resume {shlex.quote(str(directory))}",
            )
        for name, given in (("size", size), ("seed", seed)):
            if given is not None and given != made[name]:
                raise UserError(
                    name, f"{directory} was made with {name} {made[name]}, not {given}", f"leave out --{name}"
                )
        config = with_settings(from_saved(entry.load().Config, made["config"]), settings)
        return Prepared(config, RunDirectory.resume(directory, config, say=say))
    except (RunError, KeyError, TypeError) as error:
        message, mend = (
            getattr(error, "message", f"{directory} is damaged"),
            getattr(error, "mend", "start a new run"),
        )
        raise UserError("file", message, mend) from error


def carry_out(entry: registry.StudyEntry, prepared: Prepared) -> Outcome:
    """Runs the study, keeps its findings and builds its report.

    Raises:
        Stopped: somebody stopped it; the sentence holds the command that resumes it.
    """
    from antiphon.report.page import write_report
    from antiphon.train.errors import Interrupted

    run, began = prepared.run, time.monotonic()
    about = run.description
    say(f"{entry.name}: {run.path}")
    try:
        findings = entry.load().run(prepared.config, run)
    except (KeyboardInterrupt, Interrupted) as error:
        resume = f"antiphon run {entry.name} --resume {shlex.quote(str(run.path))}"
        raise Stopped(f"{entry.name} was stopped", f"go on with: {resume}") from error
    finally:
        run.record_devices()
    run.write_findings(findings)
    report = write_report(run.path, entry.title, entry.paper)
    seconds = round(time.monotonic() - began, 3)
    return Outcome(run.path, about.get("size"), about["seed"], seconds, tuple(findings), report)
