"""``antiphon platform robustness``: every disturbance against every pilot."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from antiphon.cli.compilation import keep_compilations
from antiphon.cli.output import emit, say, show_table
from antiphon.cli.parsing import parse
from antiphon.core.errors import UserError

if TYPE_CHECKING:
    from antiphon.worlds.platform.robustness import Row


@dataclass(frozen=True)
class RobustnessArguments:
    """Fly the same episodes under every disturbance, and under every one and two dead valves."""

    pilots: Annotated[
        tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="DIR|POLICY|CONTROLLER")
    ] = ()
    """Policy files, folders of trainings, bundled names, controllers (lqr, lqr-saving, lqr-observer,
    lqr-round, mpc, pid); by default the bundled policies of the task, lqr-saving and lqr-observer."""

    task: str = "go-to-pose"
    """What all of them do; one that stays."""

    conditions: tuple[str, ...] = ()
    """Disturbances; by default those of the matrix. An unknown name lists all."""

    protocol: str = "authors"
    """authors or training, as for evaluate."""

    envs: int = 256
    """Episodes of each condition."""

    pattern_envs: int = 64
    """Episodes of each of the 8 single and 28 double failures; 0 leaves them out."""

    mpc_envs: int = 16
    """The same for mpc, which is slow: this many of each condition, and a quarter of it of each failure."""

    told: Annotated[bool, tyro.conf.arg(name="tell-dead-valves")] = False
    """Also fly with each who can be told told which valves are dead: a second row."""

    seed: int = 0
    """Of spawns and disturbances."""

    out: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """Folder for robustness.json, robustness.md and, with matplotlib, pictures."""

    json: bool = False
    """Make the last line of output one JSON object."""


def main(argv: Sequence[str]) -> int:
    """Flies, prints PT5 (or VT) and writes the rest."""
    arguments = parse(RobustnessArguments, argv, "antiphon platform robustness")
    keep_compilations()
    began = time.monotonic()
    rows = _rows(arguments)
    files = [] if arguments.out is None else _write(rows, arguments.out, arguments.task)
    from antiphon.worlds.platform.robustness_tables import as_json, figures_of, matrix_cells

    if arguments.json:
        emit(
            {
                "task": arguments.task,
                "protocol": arguments.protocol,
                "seed": arguments.seed,
                "rows": as_json(rows),
                "files": files,
                "seconds_flown": time.monotonic() - began,
            }
        )
        return 0
    chief = figures_of(rows)[0]
    shown = [chief, *(name for name in ("ever_2cm",) if name in figures_of(rows))]
    for figure in shown:
        show_table((figure, *(_name(row) for row in rows)), matrix_cells(rows, figure))
    for path in files:
        print(path)
    return 0


def _rows(arguments: RobustnessArguments) -> "list[Row]":
    import dataclasses

    from antiphon.worlds.platform.pilots import can_be_told, find_pilot
    from antiphon.worlds.platform.policy_search import bundled_policies, find_policy
    from antiphon.worlds.platform.protocol import find_protocol
    from antiphon.worlds.platform.robustness import MATRIX, conditions, robustness_row
    from antiphon.worlds.platform.tasks import find_task

    task = find_task(arguments.task)
    if arguments.pattern_envs < 0:
        raise UserError("usage", f"{arguments.pattern_envs} episodes of a pattern", "give at least 0")
    chosen = conditions(arguments.conditions or MATRIX)
    names = arguments.pilots or (
        *(name for name in bundled_policies() if find_policy(name).metadata.task == task.name),
        "lqr-saving",
        "lqr-observer",
    )
    pilots = [(name, find_pilot(name, task.name)[1]) for name in names]
    protocol = find_protocol(arguments.protocol)
    rows = []
    for name, pilot in pilots:
        envs, patterns = arguments.envs, arguments.pattern_envs
        if name == "mpc":
            envs, patterns = min(envs, arguments.mpc_envs), min(patterns, -(-arguments.mpc_envs // 4))
            say(f"mpc is slow: {envs} episodes of each condition, {patterns} of each failure")
        for told in (False, True) if arguments.told and can_be_told(pilot) else (False,):
            label = f"{name}{', told' if told else ''}"
            watch = _Watch(label)
            rows.append(
                robustness_row(
                    name, pilot, task, chosen,
                    dataclasses.replace(protocol, envs=envs, seed=arguments.seed),
                    pattern_episodes=patterns, told=told, watch=watch.update,
                )
            )  # fmt: skip
    return rows


def _write(rows: "list[Row]", folder: Path, task: str) -> list[Path]:
    import importlib.util

    from antiphon.train.files import write_json
    from antiphon.worlds.platform.policy_file import write_file
    from antiphon.worlds.platform.robustness_tables import (
        as_json,
        as_markdown,
        draw_dead,
        draw_matrix,
        figures_of,
    )

    files = [folder / "robustness.json", folder / "robustness.md"]
    write_file(files[1], as_markdown(rows, f"Robustness: {task}").encode())
    write_json(files[0], as_json(rows))
    if importlib.util.find_spec("matplotlib") is None:
        say("pictures are left out: matplotlib is not installed (pip install 'antiphon[report]')")
        return files
    for figure in (name for name in ("PT5", "PT1", "ever_2cm", "VT") if name in figures_of(rows)):
        files.append(folder / f"{figure}.png")
        draw_matrix(files[-1], rows, figure, f"{task}: {figure}")
    if any(row.dead for row in rows):
        files.append(folder / "dead-valves.png")
        draw_dead(files[-1], rows)
    return files


def _name(row: "Row") -> str:
    return f"{row.pilot}{', told' if row.told else ''} ({row.episodes})"


class _Watch:
    """A line when a quarter more is flown, so that a slow pilot is seen to move."""

    def __init__(self, name: str) -> None:
        self._name, self._said = name, 0

    def update(self, done: int, total: int) -> None:
        if done == total or done - self._said >= total / 4:
            self._said = done
            say(f"{self._name}: {done} of {total} episodes")
