"""The games by name, and games from a person's own file."""

import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from antiphon.core.errors import UserError
from antiphon.equilibrium import MajorMinorGame, MeanFieldGame, major_minor_game, mean_field_game
from antiphon.worlds.meanfield.advertisement import Advertisement
from antiphon.worlds.meanfield.amplifier import Amplifier
from antiphon.worlds.meanfield.attractor import Attractor
from antiphon.worlds.meanfield.beach_bar import BeachBar
from antiphon.worlds.meanfield.buffet import Buffet
from antiphon.worlds.meanfield.crowd_modelling import CrowdModelling, four_rooms, maze
from antiphon.worlds.meanfield.equilibrium_price import EquilibriumPrice
from antiphon.worlds.meanfield.garnet import RandomGame
from antiphon.worlds.meanfield.left_right import LeftRight
from antiphon.worlds.meanfield.linear_quadratic import LinearQuadratic
from antiphon.worlds.meanfield.plaza import Plaza
from antiphon.worlds.meanfield.predator_prey import PredatorPrey
from antiphon.worlds.meanfield.roads import three_roads
from antiphon.worlds.meanfield.rock_paper_scissors import RockPaperScissors
from antiphon.worlds.meanfield.sis import SIS
from antiphon.worlds.meanfield.susceptible_infected import SusceptibleInfected


@dataclass(frozen=True)
class ZooEntry:
    """A game by name.

    Attributes:
        name: what the command line calls it.
        rules: makes its rules, without arguments.
        about: one line.
    """

    name: str
    rules: Callable[[], Any]
    about: str


GAMES: tuple[ZooEntry, ...] = (
    ZooEntry("sis", SIS, "an epidemic with a government (major player), arXiv 2312.10787"),
    ZooEntry("buffet", Buffet, "guests and a caterer (major player), arXiv 2312.10787"),
    ZooEntry("advertisement", Advertisement, "users and a regulator (major player), arXiv 2312.10787"),
    ZooEntry("left-right", LeftRight, "the smallest game with a mixed equilibrium"),
    ZooEntry("rock-paper-scissors", RockPaperScissors, "a cyclic game"),
    ZooEntry("beach-bar", BeachBar, "near the bar, away from the crowd"),
    ZooEntry("susceptible-infected", SusceptibleInfected, "an epidemic without a government"),
    ZooEntry("crowd-1d", CrowdModelling, "people on a ring, towards the centre and apart"),
    ZooEntry("crowd-2d", partial(CrowdModelling, "open"), "likewise on a torus of 10 by 10 places"),
    ZooEntry("four-rooms", four_rooms, "people spread from a corner of four rooms"),
    ZooEntry("maze", maze, "people spread from a corner of a maze"),
    ZooEntry("congestion", partial(CrowdModelling, "open", congestion=True), "steps cost more in a crowd"),
    ZooEntry("roads", three_roads, "three roads whose time grows with traffic: Wardrop"),
    ZooEntry("linear-quadratic", LinearQuadratic, "near the mean of the crowd, in noise"),
    ZooEntry("equilibrium-price", EquilibriumPrice, "producers of a good whose price they make"),
    ZooEntry("predator-prey", PredatorPrey, "three populations that chase one another"),
    ZooEntry("garnet", RandomGame, "a random game; --set kind=monotone seed=0"),
    ZooEntry("attractor", Attractor, "a trap that pulls, arXiv 2306.14799"),
    ZooEntry("amplifier", Amplifier, "small mistakes of imitators double at every step"),
    ZooEntry("plaza", Plaza, "a square to be crossed by a crowd that is in its own way"),
)


def find_rules(name: str) -> Callable[[], Any]:
    """What makes the rules of a game of the zoo, or the class of a file given as ``path.py:Class``.

    Raises:
        UserError: there is no such game, file or class, or the file cannot be run.
    """
    path, colon, wanted = name.rpartition(":")
    if colon and path.endswith(".py"):
        return _from_file(Path(path), wanted)
    if name.endswith(".py"):
        raise UserError("game", f"{name} does not say which class is the game", f"write {name}:Class")
    entry = next((entry for entry in GAMES if entry.name == name), None)
    if entry is None:
        known = ", ".join(entry.name for entry in GAMES)
        raise UserError("game", f"there is no game {name!r}", f"choose one of: {known}, or file.py:Class")
    return entry.rules


def build(rules: Any) -> MeanFieldGame | MajorMinorGame:
    """The game of some rules, checked: with a major player if they say what one earns.

    Rules with a method ``build`` make their arrays themselves, and what has a ``kernel`` is a game already.
    """
    if hasattr(rules, "build"):
        return rules.build()
    if hasattr(rules, "kernel"):
        return rules
    return major_minor_game(rules) if hasattr(rules, "major_reward") else mean_field_game(rules)


def _from_file(path: Path, wanted: str) -> type:
    if not path.is_file():
        raise UserError("file", f"there is no file {path}", "give the path of a Python file")
    spec = importlib.util.spec_from_file_location(f"antiphon_game_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise UserError("file", f"{path} is not a Python file", "give a file that ends in .py")
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up while they are made.
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except UserError:
        raise
    except Exception as error:
        raise UserError(
            "file", f"{path} cannot be run: {type(error).__name__}: {error}", "mend the file"
        ) from error
    found = getattr(module, wanted, None)
    if not isinstance(found, type):
        classes = [n for n, v in vars(module).items() if isinstance(v, type) and v.__module__ == spec.name]
        raise UserError("game", f"{path} has no class {wanted!r}", f"it has: {', '.join(classes) or 'none'}")
    return found
