"""``antiphon platform train``: a policy for a task of the planar platform, learnt in simulation."""

import json
import math
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from antiphon.cli.compilation import keep_compilations
from antiphon.cli.errors import Stopped
from antiphon.cli.output import emit, say
from antiphon.cli.parsing import parse
from antiphon.core.errors import UserError

if TYPE_CHECKING:
    from antiphon.studies.platform_training import Standing
    from antiphon.train.run_directory import RunDirectory

_LINE_INTERVAL = 5.0  # seconds between lines where no terminal shows a moving one


@dataclass(frozen=True)
class TrainArguments:
    """Train a policy by PPO; the policy so far is kept when Ctrl-C ends the training."""

    task: str = "go-to-pose"
    """What to learn; an unknown name lists all."""

    seconds: float | None = None
    """Train for this time after the compilation; 60 if --steps is not given either."""

    steps: int | None = None
    """Train for this many control steps of all environments together."""

    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])] = Path("runs/platform")
    """Folder for policy.npz, and for the checkpoints in its folder training."""

    resume: Path | None = None
    """Go on with a training that was interrupted: the folder that --out named. Its settings are kept."""

    seed: int = 0
    """Of networks, environments and actions."""

    envs: int = 2048
    """Environments side by side."""

    energy: float | None = None
    """What open valves cost; more saves air. By default 0.2, where a velocity is kept 0.5 to 1, or 0.03 a
    valve with --observation drift."""

    robust: bool = False
    """Train a policy that finds out in flight which valves are dead and what pushes it, under dead valves,
    uneven floors, noise and other masses."""

    disturb: tuple[str, ...] = ()
    """Disturbances to train under, all at once, as in --disturb floor-0.25 latency; none by default."""

    observation: Literal["body", "adaptive", "drift"] | None = None
    """What the policy sees: errors in the body frame (19 numbers), these and what it has found out about
    valves and pushes (30), or the original ten. By default body, or adaptive with --robust."""

    json: bool = False
    """Make the last line of output one JSON object."""


def main(argv: Sequence[str]) -> int:
    """Trains, and writes ``policy.npz``."""
    arguments = _resumed(parse(TrainArguments, argv, "antiphon platform train"))
    keep_compilations()
    from antiphon.studies.platform_presets import platform_method
    from antiphon.studies.platform_training import Budget, train_policy

    seconds = 60.0 if arguments.seconds is None and arguments.steps is None else arguments.seconds
    budget = Budget(seconds, arguments.steps)
    method = platform_method(
        arguments.task, robust=arguments.robust, energy=arguments.energy, disturb=arguments.disturb,
        observation=arguments.observation, envs=arguments.envs,
    )  # fmt: skip
    path = arguments.out / "policy.npz"
    _require_writable(arguments.out)
    run = _run_directory(arguments)
    shown = _Display(arguments.task)
    trained = train_policy(
        method, arguments.seed, budget, watch=shown.update, keep=lambda p: p.save(path), run=run
    )
    shown.close()
    trained.policy.save(path)
    if not trained.finished:
        raise Stopped(
            f"the training was stopped after {trained.steps} steps, and the policy so far is {path}",
            f"use it as it is, or go on with: antiphon platform train --resume {arguments.out}",
        )
    if arguments.json:
        emit(
            {
                "policy": path,
                "task": arguments.task,
                "seed": arguments.seed,
                "steps": trained.steps,
                "seconds": trained.seconds,
                "steps_per_second": trained.steps_per_second,
                "compile_seconds": trained.compile_seconds,
            }
        )
    else:
        print(path)
    return 0


def _settings(arguments: TrainArguments) -> dict[str, object]:
    """What decides about the result."""
    other = ("out", "resume", "json")
    return {
        field.name: getattr(arguments, field.name) for field in fields(arguments) if field.name not in other
    }


def _resumed(arguments: TrainArguments) -> TrainArguments:
    """The arguments of the training to go on with, or the arguments as they are.

    Raises:
        UserError: no training is there, or settings are given beside --resume.
    """
    folder = arguments.resume
    if folder is None:
        return arguments
    if _settings(arguments) != _settings(TrainArguments()) or arguments.out != TrainArguments().out:
        raise UserError(
            "usage",
            "--resume goes on with the settings that the training was begun with",
            "leave all but --resume and --json away",
        )
    saved = _newest_training(folder)
    if saved is None:
        raise UserError(
            "file",
            f"there is no training to resume in {folder}",
            "give the folder that --out named, runs/platform if it named none",
        )
    settings = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in json.loads((saved / "config.json").read_text())["config"].items()
    }
    return replace(arguments, out=folder, **settings)


def _newest_training(folder: Path) -> Path | None:
    found = sorted(path.parent for path in (folder / "training").glob("*/config.json"))
    return found[-1] if found else None


def _run_directory(arguments: TrainArguments) -> "RunDirectory":
    from antiphon.train.run_directory import RunDirectory

    saved = _newest_training(arguments.out) if arguments.resume is not None else None
    if saved is not None:
        return RunDirectory.resume(saved, _settings(arguments), say=say)
    return RunDirectory.create("training", _settings(arguments), seed=arguments.seed, root=arguments.out)


def _require_writable(folder: Path) -> None:
    """Before minutes are spent.

    Raises:
        UserError: the folder cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UserError("file", f"{folder} cannot be made ({reason})", "choose another folder") from error
    if not os.access(folder, os.W_OK):
        raise UserError("file", f"{folder} cannot be written", "choose a folder you may write to")


class _Display:
    """One moving line on a terminal, a line every few seconds elsewhere."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._live = sys.stderr.isatty()
        self._quiet = os.environ.get("ANTIPHON_PROGRESS") == "quiet"
        self._last = -math.inf
        if not self._quiet:
            say(f"{name}: compiling")

    def update(self, standing: "Standing") -> None:
        """An iteration is over."""
        now = time.monotonic()
        if self._quiet or (now - self._last < _LINE_INTERVAL and not self._live and standing.share < 1.0):
            return
        self._last = now
        line = self._line(standing)
        if self._live:
            sys.stderr.write(f"\r\x1b[2K{line}")
            sys.stderr.flush()
        else:
            say(line)

    def close(self) -> None:
        """Leaves the last line as it is."""
        if self._live and not self._quiet:
            sys.stderr.write("\n")

    def _line(self, standing: "Standing") -> str:
        m, words = standing.metrics, [f"{self._name}: {standing.share:4.0%}"]
        words.append(f"{standing.steps / 1e6:.2f} M steps")
        if standing.seconds > 0 and standing.share > 0:
            left = standing.seconds * (1.0 / standing.share - 1.0)
            words += [f"{standing.steps / standing.seconds / 1e3:.0f} k steps/s", f"{left:.0f} s left"]
        words += [f"reward {m['reward']:.3f}", f"success {m['success']:.2f}"]
        if "velocity" in self._name:
            words.append(f"velocity error {m['velocity_error']:.3f} m/s")
        else:
            words.append(f"error {m['position_error']:.3f} m")
        return " · ".join([*words, f"air {m['air_use']:.2f}"])
