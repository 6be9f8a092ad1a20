"""The robustness matrix: everybody under everything."""

import importlib.util
from collections.abc import Mapping, Sequence

import numpy as np

from antiphon.studies.platform import claims
from antiphon.studies.platform.config import Config
from antiphon.studies.platform.learning import Learned
from antiphon.studies.platform.trainings import TASK, bundled_robust, chosen
from antiphon.train.findings import Finding
from antiphon.train.media import Image, Table
from antiphon.train.pieces import done_once
from antiphon.train.progress import say
from antiphon.train.run_directory import RunDirectory
from antiphon.worlds.platform.controllers.controller import Controller
from antiphon.worlds.platform.controllers.named import find_controller
from antiphon.worlds.platform.pilots import can_be_told
from antiphon.worlds.platform.protocol import PolicyPilot, Protocol
from antiphon.worlds.platform.robustness import Row, conditions, robustness_row
from antiphon.worlds.platform.robustness_tables import (
    draw_dead,
    draw_matrix,
    figures_of,
    matrix_cells,
    row_json,
    row_of_json,
)
from antiphon.worlds.platform.tasks import find_task

PLAIN, ROBUST = "ours", "ours + randomisation"


def matrix(config: Config, run: RunDirectory, learned: Mapping[str, Learned]) -> list[Row]:
    """One row for each pilot; those that can be told of dead valves have a second one, for lqr-saving."""
    task, chosen = find_task(TASK), conditions()
    rows = []
    for name, pilot, told in _pilots(config, learned):
        protocol = Protocol(envs=config.matrix_episodes, seed=config.seed)
        patterns = config.pattern_episodes
        if name == "mpc":
            protocol = Protocol(envs=config.mpc_episodes, seed=config.seed)
            patterns = -(-config.mpc_episodes // 4)
        say(f"matrix: {name}{', told' if told else ''}")

        def make(
            name=name, pilot=pilot, told=told, protocol=protocol, patterns=patterns
        ) -> dict[str, np.ndarray]:
            row = robustness_row(name, pilot, task, chosen, protocol, pattern_episodes=patterns, told=told)
            return {"row": np.array(row_json(row))}

        piece = f"matrix/{name.replace(' ', '')}{'-told' if told else ''}"
        rows.append(row_of_json(str(done_once(run, piece, make)["row"][()])))
    return rows


def _pilots(config: Config, learned: Mapping[str, Learned]) -> list[tuple[str, Controller, bool]]:
    task = find_task(TASK)
    pilots: list[tuple[str, Controller, bool]] = []
    if "drift preset" in learned:
        pilots.append(("drift preset", PolicyPilot.of(learned["drift preset"].policy, task), False))
    pilots.append((PLAIN, PolicyPilot.of(chosen(config, learned), task), False))
    robust = learned[ROBUST].policy if ROBUST in learned else bundled_robust()
    if robust is not None:
        pilot = PolicyPilot.of(robust, task)
        pilots.append((ROBUST, pilot, False))
        if can_be_told(pilot):
            pilots.append((ROBUST, pilot, True))
    pilots += [(name, find_controller(name, task), False) for name in config.rivals]
    pilots += [(name, find_controller(name, task), True) for name in config.rivals if name == "lqr-saving"]
    if config.mpc_episodes:
        pilots.append(("mpc", find_controller("mpc", task), False))
    return pilots


def robustness(rows: Sequence[Row]) -> list[Finding]:
    """Findings, on the policy that was trained under disturbances where there is one."""
    untold = {row.pilot: row for row in rows if not row.told}
    plain, robust = untold[PLAIN], untold.get(ROBUST)
    if robust is None:
        reason = "no policy was trained under disturbances at this size"
        some = (claims.FLOOR, claims.ONE_DEAD, claims.TWO_DEAD, claims.RANDOMISED, claims.RIVALS)
        return [claim.untested(reason) for claim in some]
    kept = robust.figures["floor-0.25"]["PT5"].estimate / robust.figures["nominal"]["PT5"].estimate
    bare = plain.figures["floor-0.25"]["PT5"].estimate / plain.figures["nominal"]["PT5"].estimate
    one, two = robust.figures["failure-1"]["ever_2cm"], robust.figures["failure-2 spanning"]["ever_2cm"]
    under, bare_under = robust.figures["all"]["PT5"], plain.figures["all"]["PT5"]
    gain = under.estimate - bare_under.estimate
    # Two halves of different rows: their errors add in squares.
    reach = float(np.hypot(under.high - under.low, bare_under.high - bare_under.low) / 2)
    return [
        claims.FLOOR.measured(kept, holds=kept >= 0.95, note=f"without randomisation {bare:.3f}"),
        claims.ONE_DEAD.measured(
            one.estimate,
            interval=(one.low, one.high),
            holds=one.estimate >= 0.97,
            note=f"{one.n} episodes; without randomisation "
            f"{plain.figures['failure-1']['ever_2cm'].estimate:.3f}",
        ),
        claims.TWO_DEAD.measured(
            two.estimate,
            interval=(two.low, two.high),
            holds=two.estimate >= 0.95,
            note=f"{two.n} episodes over the 16 pairs; the 12 others "
            f"{robust.figures['failure-2 not spanning']['ever_2cm'].estimate:.3f}; without randomisation "
            f"{plain.figures['failure-2 spanning']['ever_2cm'].estimate:.3f}",
        ),
        claims.RANDOMISED.measured(
            gain,
            interval=(gain - reach, gain + reach),
            holds=gain - reach > 0,
            note=f"PT5 under all at once {under.estimate:.3f}, without it {bare_under.estimate:.3f}; "
            f"undisturbed {robust.figures['nominal']['PT5'].estimate:.3f} and "
            f"{plain.figures['nominal']['PT5'].estimate:.3f}",
        ),
        _rivals(
            robust,
            plain,
            [
                row
                for name, row in untold.items()
                if name in ("lqr", "lqr-saving", "lqr-observer", "lqr-round", "mpc")
            ],
        ),
    ]


def _rivals(robust: Row, plain: Row, others: Sequence[Row]) -> Finding:
    """The robust policy against the best of the others, condition by condition; in the note both of ours."""
    lost, both = [], []
    for condition, found in robust.figures.items():
        best = max(others, key=lambda row, c=condition: row.figures[c]["PT5"].estimate)
        theirs, ours = best.figures[condition]["PT5"].estimate, found["PT5"].estimate
        if ours < theirs:
            lost.append(f"{condition} ({best.pilot} {theirs:.3f}, ours {ours:.3f})")
        if max(ours, plain.figures[condition]["PT5"].estimate) < theirs:
            both.append(condition)
    won, total = len(robust.figures) - len(lost), len(robust.figures)
    said = f"beaten under: {', '.join(lost)}" if lost else "not beaten under any"
    also = f"both our policies are beaten under: {', '.join(both)}" if both else "never both of ours"
    return claims.RIVALS.measured(
        f"{won} of {total} conditions", holds=not lost, note=f"{said}; {also}; nobody was told what is dead"
    )


def tables(rows: Sequence[Row]) -> tuple[Table, ...]:
    """A table for each figure of the matrix."""
    pilots = tuple(f"{row.pilot}{', told' if row.told else ''} ({row.episodes})" for row in rows)
    return tuple(
        Table(
            f"Robustness: {figure}",
            ("condition", *pilots),
            tuple(tuple(cells) for cells in matrix_cells(rows, figure)),
            note="In brackets: episodes of each condition. ± is half of a 95 % interval.",
        )
        for figure in figures_of(rows)
        if figure in ("PT5", "PT1", "OT5", "ever_2cm", "air_use")
    )


def images(run: RunDirectory, rows: Sequence[Row]) -> tuple[Image, ...]:
    """Heat maps, if matplotlib is there."""
    if importlib.util.find_spec("matplotlib") is None:
        say("heat maps are left out: matplotlib is not installed (pip install 'antiphon[report]')")
        return ()
    draw_matrix(run.media / "matrix.png", rows, "PT5", "Time within 5 cm of the goal")
    draw_matrix(run.media / "arrivals.png", rows, "ever_2cm", "Episodes that come within 2 cm")
    draw_dead(run.media / "dead.png", rows)
    return (
        Image("Time within 5 cm under each disturbance", "media/matrix.png"),
        Image("Episodes that come within 2 cm under each disturbance", "media/arrivals.png"),
        Image(
            "Episodes that arrive with one (diagonal) and two dead valves; dots: no full control is left",
            "media/dead.png",
        ),
    )
