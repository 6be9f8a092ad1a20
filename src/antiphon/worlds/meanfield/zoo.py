"""The games by name, and games from a person's own file."""

import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from antiphon.core.errors import UserError
from antiphon.equilibrium import major_minor_game, mean_field_game
from antiphon.equilibrium.pointwise import PointwiseGame, PointwiseMajorMinorGame
from antiphon.worlds.meanfield.advertisement import Advertisement
from antiphon.worlds.meanfield.beach_bar import BeachBar
from antiphon.worlds.meanfield.buffet import Buffet
from antiphon.worlds.meanfield.left_right import LeftRight
from antiphon.worlds.meanfield.rock_paper_scissors import RockPaperScissors
from antiphon.worlds.meanfield.sis import SIS
from antiphon.worlds.meanfield.susceptible_infected import SusceptibleInfected


@dataclass(frozen=True)
class ZooEntry:
    """A game by name.

    Attributes:
        name: what the command line calls it.
        rules: the class of its rules, buildable without arguments.
        about: one line.
    """

    name: str
    rules: type
    about: str


GAMES: tuple[ZooEntry, ...] = (
    ZooEntry("sis", SIS, "an epidemic with a government (major player), arXiv 2312.10787"),
    ZooEntry("buffet", Buffet, "guests and a caterer (major player), arXiv 2312.10787"),
    ZooEntry("advertisement", Advertisement, "users and a regulator (major player), arXiv 2312.10787"),
    ZooEntry("left-right", LeftRight, "the smallest game with a mixed equilibrium"),
    ZooEntry("rock-paper-scissors", RockPaperScissors, "a cyclic game"),
    ZooEntry("beach-bar", BeachBar, "near the bar, away from the crowd"),
    ZooEntry("susceptible-infected", SusceptibleInfected, "an epidemic without a government"),
)


def find_rules(name: str) -> type:
    """The class of rules of a game of the zoo, or of a file as ``path.py:Class``.

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


def build(rules: Any) -> PointwiseGame | PointwiseMajorMinorGame:
    """The game of some rules, checked: with a major player if they say what one earns."""
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
