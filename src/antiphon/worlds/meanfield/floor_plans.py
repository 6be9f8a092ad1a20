"""Places where people walk: a ring, an open torus, four rooms, a maze; and where a step leads in them."""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from antiphon.core.errors import UserError

Layout = Literal["ring", "open", "four-rooms", "maze"]

FOUR_ROOMS = (
    "#############",
    "#     #     #",
    "#     #     #",
    "#           #",
    "#     #     #",
    "#     #     #",
    "### ##### ###",
    "#     #     #",
    "#     #     #",
    "#           #",
    "#     #     #",
    "#     #     #",
    "#############",
)
"""The classic of Sutton, Precup and Singh 1999."""

MAZE = (
    "######################",
    "#      #     #     # #",
    "#      #     #     # #",
    "######    #  # ##  # #",
    "#         #  # #   # #",
    "#         #  # ### # #",
    "#  ########  #   #   #",
    "#    # # #  ##   #   #",
    "#    # # #     # # ###",
    "#    # # #     # # # #",
    "###### # ####### # # #",
    "#  #         #   # # #",
    "#  # ## ###  #   # # #",
    "## # #    #  ##### # #",
    "## # # #  #      # # #",
    "#    # ####        # #",
    "# ####  # ########   #",
    "#       #  #   # ### #",
    "#  #  # #  # # #   # #",
    "# ##### #    # #     #",
    "#            #       #",
    "######################",
)
"""The map of OpenSpiel's setting "crowd_modelling_2d_maze" (Apache-2.0), so that results can be compared."""

_STEPS = {1: ((-1,), (0,), (1,)), 2: ((0, -1), (-1, 0), (0, 0), (1, 0), (0, 1))}
"""Moves by action, (x, y), in the order of OpenSpiel's games."""


@dataclass(frozen=True)
class FloorPlan:
    """Free places, numbered, and the steps between them.

    Attributes:
        places: coordinates of each place, [S, D].
        following: where each step leads, [S, A]; one who walks into a wall stays.
        legal: whether a step stays clear of walls, [S, A].
        steps: displacement of each action, [A, D].
    """

    places: np.ndarray
    following: np.ndarray
    legal: np.ndarray
    steps: np.ndarray


def floor_plan(layout: Layout, size: int = 10) -> FloorPlan:
    """The places of a layout; ``size`` is the length of a side of the ring and of the open torus.

    Raises:
        UserError: a layout that is not known, or no place.
    """
    if layout not in get_args(Layout):
        raise UserError(
            "layout", f"there is no layout {layout!r}", f"use one of: {', '.join(get_args(Layout))}"
        )
    if size < 1:
        raise UserError("size", f"size is {size}", "give at least one place")
    if layout == "ring":
        places = np.arange(size)[:, None]
    elif layout == "open":
        places = np.array([(x, y) for y in range(size) for x in range(size)])
    else:
        rows = FOUR_ROOMS if layout == "four-rooms" else MAZE
        size = len(rows)
        places = np.array([(x, y) for y, row in enumerate(rows) for x, cell in enumerate(row) if cell == " "])
    steps = np.array(_STEPS[places.shape[1]])
    number = {tuple(place): index for index, place in enumerate(places)}
    ahead = (places[:, None] + steps) % size
    index = np.array([[number.get(tuple(place), -1) for place in row] for row in ahead])
    stay = np.arange(len(places))[:, None]
    return FloorPlan(places, np.where(index < 0, stay, index), index >= 0, steps)
