"""``antiphon platform identify``: a platform's figures from a recorded flight."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from antiphon.cli.compilation import keep_compilations
from antiphon.cli.output import emit, say, show_table
from antiphon.cli.parsing import parse
from antiphon.core.errors import UserError


@dataclass(frozen=True)
class IdentifyArguments:
    """Find mass, inertia, thrust, centre of mass and drag from logged poses and valves."""

    log: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="LOG")]
    """A recording: the .npz that 'ros2 --log' wrote, or a ROS bag."""

    fix: tuple[str, ...] = ()
    """Figures that are known, in SI units, as in --fix mass=5.4; without mass, thrust or inertia only ratios
    can be found. Of: mass, inertia, thrust, com_x, com_y, linear_drag, angular_drag."""

    each_valve: bool = False
    """A thrust for every valve instead of one for all."""

    push: bool = False
    """Also a constant push from outside, as of a floor that is not level."""

    window: float = 4.0
    """Seconds that are simulated in one piece."""

    gap: float = 0.5
    """Longest time without a pose that is no gap, s."""

    skip_gaps: bool = False
    """Cut around gaps instead of refusing the log."""

    delay: float = 0.0
    """From a command to its valve, s."""

    json: bool = False
    """Make the last line of output one JSON object."""


def main(argv: Sequence[str]) -> int:
    """Fits, and prints every figure with its interval and unit."""
    arguments = parse(IdentifyArguments, argv, "antiphon platform identify")
    fixed = dict(_known(word) for word in arguments.fix)
    keep_compilations()
    import dataclasses

    from antiphon.worlds.platform.flight_log import load_log
    from antiphon.worlds.platform.identify import identify, table_rows
    from antiphon.worlds.platform.log_windows import Cutting

    cutting = Cutting(arguments.window, arguments.gap, arguments.skip_gaps, arguments.delay)
    found = identify(
        load_log(arguments.log), fixed, each_valve=arguments.each_valve, push=arguments.push, cutting=cutting
    )
    for remark in found.remarks:
        say(remark)
    if arguments.json:
        emit(
            {
                "figures": {name: dataclasses.asdict(one) for name, one in found.figures.items()},
                "fixed": found.fixed,
                "remarks": found.remarks,
                "position_noise": found.position_noise,
                "heading_noise": found.heading_noise,
                "poses": found.poses,
                "seconds": found.seconds,
                "windows": found.windows,
            }
        )
        return 0
    show_table(("figure", "value", "95 % interval", "unit"), table_rows(found))
    print(
        f"{found.poses} poses in {found.windows} windows, {found.seconds:.0f} s; poses scatter by "
        f"{1000 * found.position_noise:.2g} mm and {found.heading_noise:.2g} rad"
    )
    return 0


def _known(word: str) -> tuple[str, float]:
    """NAME=NUMBER.

    Raises:
        UserError: it is something else.
    """
    name, sign, number = word.partition("=")
    try:
        if not sign:
            raise ValueError(word)
        return name.strip().replace("-", "_"), float(number)
    except ValueError as error:
        raise UserError(
            "usage", f"--fix {word!r} is not NAME=NUMBER", "write it as in --fix mass=5.4"
        ) from error
