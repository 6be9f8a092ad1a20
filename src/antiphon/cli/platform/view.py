"""``antiphon platform view``: policies and recordings as one page for the browser."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from antiphon.cli.output import emit
from antiphon.cli.parsing import parse
from antiphon.core.errors import UserError

if TYPE_CHECKING:
    from antiphon.worlds.platform.flight_log import FlightLog
    from antiphon.worlds.platform.policy_file import PlatformPolicy


@dataclass(frozen=True)
class ViewArguments:
    """Make one HTML page, without a network, in which policies fly and recordings are replayed."""

    sources: Annotated[tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="RUN|POLICY|LOG")] = ()
    """Policies (files, folders of trainings, bundled names) and recordings (.npz logs, ROS bags); by default
    all bundled policies."""

    out: Annotated[Path, tyro.conf.arg(aliases=["-o", "--file"])] = Path("platform.html")
    """The page to write."""

    title: str = "Floating platform"
    """Its heading."""

    open: bool = False
    """Show it in the browser."""

    json: bool = False
    """Make the last line of output one JSON object."""


def main(argv: Sequence[str]) -> int:
    """Writes the page."""
    arguments = parse(ViewArguments, argv, "antiphon platform view")
    from antiphon.worlds.platform.policy_file import write_file
    from antiphon.worlds.platform.policy_search import bundled_policies
    from antiphon.worlds.platform.viewer.page import viewer_page

    policies, logs = _collect(arguments.sources or tuple(bundled_policies()))
    page = viewer_page(policies, logs, arguments.title)
    write_file(arguments.out, page.encode())
    if arguments.open:
        import webbrowser

        webbrowser.open(arguments.out.resolve().as_uri())
    if arguments.json:
        emit(
            {
                "page": arguments.out,
                "policies": list(policies),
                "logs": list(logs),
                "bytes": len(page.encode()),
            }
        )
    else:
        print(arguments.out)
    return 0


def _collect(sources: Sequence[str]) -> tuple[dict[str, "PlatformPolicy"], dict[str, "FlightLog"]]:
    """Each source is a policy or a recording; its content says which."""
    from antiphon.worlds.platform.flight_log import is_log, load_log
    from antiphon.worlds.platform.policy_search import find_policy

    if not sources:
        raise UserError(
            "usage", "nothing is given to show", "name a policy, the folder of a training, or a log"
        )
    policies: dict[str, PlatformPolicy] = {}
    logs: dict[str, FlightLog] = {}
    for source in sources:
        path = Path(source)
        name = path.stem if path.is_file() else path.name or source
        kept = logs if is_log(path) else policies
        while name in kept:
            name = f"{name}′"
        if kept is logs:
            logs[name] = load_log(path)
        else:
            policies[name] = find_policy(source)
    return policies, logs
