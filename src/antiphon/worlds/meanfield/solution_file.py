"""A solved game in one file: the policy, its history, and what is needed to build the game again."""

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from antiphon.core.errors import UserError
from antiphon.equilibrium import Players


@dataclass(frozen=True)
class Solved:
    """What a solution file holds.

    Attributes:
        about: game, settings, solver, grid, projection, float64 and history, as ``solve --json`` prints them.
        policy: ``Players`` for a game with a major player, else one array.
    """

    about: Mapping[str, Any]
    policy: Any


def write_solution(path: Path, solved: Solved) -> None:
    """Writes a ``.npz`` file."""
    arrays: dict[str, Any] = (
        solved.policy._asdict() if isinstance(solved.policy, Players) else {"policy": solved.policy}
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays |= {"about": np.array(json.dumps(solved.about))}
    # The stub takes the keywords for the function's own, of which these names are none.
    save: Any = np.savez_compressed
    save(path, **{name: np.asarray(array) for name, array in arrays.items()})


def read_solution(path: Path) -> Solved:
    """Reads what :func:`write_solution` wrote.

    Raises:
        UserError: there is no such file, or it is no solution.
    """
    if not path.is_file():
        raise UserError("file", f"there is no file {path}", "make one: antiphon meanfield solve --out FILE")
    try:
        with np.load(path) as file:
            about = json.loads(str(file["about"]))
            if "policy" in file:
                return Solved(about, jnp.asarray(file["policy"]))
            return Solved(about, Players(jnp.asarray(file["minor"]), jnp.asarray(file["major"])))
    except (ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
        raise UserError(
            "file", f"{path} is not a solution", "make one: antiphon meanfield solve --out FILE"
        ) from error
