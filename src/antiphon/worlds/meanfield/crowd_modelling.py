"""Crowds that walk towards a place and away from each other: on a ring, a torus, through rooms, in a maze."""

from typing import Literal

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from antiphon.equilibrium import Neighbours, rules
from antiphon.worlds.meanfield.floor_plans import FloorPlan, floor_plan

Accounting = Literal["moves", "openspiel"]


@rules
class WalkingCrowd:
    """People on the places of a floor plan; made by :class:`CrowdModelling`.

    r_t(s, a) = worth(s) − aversion · log(μ_t(s) + log_floor) − toll_t(s, a) · (1 or μ_t(s)).
    """

    states: Int[Array, "S A K"]
    probabilities: Float[Array, "S A K"]
    worth: Float[Array, "S"]
    toll: Float[Array, "T S A"]
    mean_field: Float[Array, "S"]
    aversion: Float[Array, ""]
    log_floor: Float[Array, ""]
    congestion: bool
    horizon: int

    populations = ()
    time_dependent = True

    @property
    def n_states(self) -> int:
        """Places."""
        return self.states.shape[-3]

    @property
    def n_actions(self) -> int:
        """Steps."""
        return self.states.shape[-2]

    def init(self) -> Float[Array, "S"]:
        """Where people begin."""
        return self.mean_field

    def kernel(self, time, crowd: Float[Array, "S A"]) -> Neighbours:
        """A step, and a gust of noise."""
        del time, crowd
        return Neighbours(self.states, self.probabilities)

    def reward(self, time, crowd: Float[Array, "S A"]) -> Float[Array, "S A"]:
        """A good place, alone, at rest."""
        mean_field = jnp.sum(crowd, axis=-1)
        place = self.worth - self.aversion * jnp.log(mean_field + self.log_floor)
        toll = self.toll[time] * (mean_field[:, None] if self.congestion else 1.0)
        return place[:, None] - toll


@rules
class CrowdModelling:
    """A crowd on a floor plan, with the parameters of OpenSpiel's crowd modelling games.

    At each time one steps to a neighbouring place or stays, and then a gust moves one to any neighbouring
    place that is free, with equal chances. The best place is the centre; crowds are avoided; a step costs.

    Attributes:
        layout: "ring" (1-D), "open" (a torus), "four-rooms", "maze".
        size: places along a side of the ring or the torus.
        horizon: number of decisions.
        noise: chance of a gust, in [0, 1].
        aversion: price of −log μ.
        move_cost: of one step, times 1/size.
        attraction: whether the centre is worth more; without it only the crowd matters.
        congestion: whether a step costs in proportion to the crowd that one leaves.
        corner: whether everybody begins at the top left free place; otherwise everywhere.
        accounting: "moves" charges a step to whoever makes it. "openspiel" gives the figures of OpenSpiel's
            own solvers: there the charge is a function of the last action, which the names of states do not
            hold, so that the path that is visited first decides what all pay at a place.

    Source: arXiv 2007.03458, section 4 (beach bar); arXiv 2103.00623, section 5 (four rooms, maze);
    parameters of mfg_crowd_modelling, mfg_crowd_modelling_2d and its named settings in OpenSpiel 2.0.
    """

    layout: str = "ring"
    size: int = 10
    horizon: int = 10
    noise: float = 1.0
    aversion: float = 1.0
    move_cost: float = 1.0
    attraction: bool = True
    congestion: bool = False
    corner: bool = False
    accounting: str = "moves"

    def build(self) -> WalkingCrowd:
        """The game's arrays."""
        plan = floor_plan(self.layout, self.size)  # pyright: ignore[reportArgumentType]
        many, dimensions = plan.places.shape
        side = self.size if self.layout in ("ring", "open") else int(plan.places.max()) + 2
        away = np.abs(plan.places - side // 2).sum(-1)
        span = side // 2 if dimensions == 1 else side / 2
        worth = (dimensions - away / span) * self.attraction
        lengths = np.abs(plan.steps).sum(-1) / side
        toll = np.broadcast_to(lengths, (self.horizon, many, len(lengths))).copy()
        # The peer never charges the last step, because it charges each at the next decision.
        toll[-1] = 0.0
        if self.accounting == "openspiel":
            toll = np.repeat(
                lengths[first_path_actions(plan, self.horizon)][..., None], len(lengths), axis=-1
            )
        start = np.eye(many)[0] if self.corner else np.full(many, 1 / many)
        states, chances = _gusts(plan, self.noise)
        return WalkingCrowd(
            states=states,
            probabilities=chances,
            worth=jnp.asarray(worth, float),
            toll=jnp.asarray(toll * self.move_cost * self.attraction),
            mean_field=jnp.asarray(start),
            aversion=jnp.asarray(self.aversion, float),
            log_floor=jnp.asarray(1e-25),
            congestion=self.congestion,
            horizon=self.horizon,
        )


def four_rooms() -> CrowdModelling:
    """Everybody in one corner of four rooms, and nothing matters but the crowd; horizon 40."""
    return CrowdModelling("four-rooms", horizon=40, attraction=False, corner=True)


def maze() -> CrowdModelling:
    """Everybody in one corner of a maze, and nothing matters but the crowd; horizon 100."""
    return CrowdModelling("maze", horizon=100, attraction=False, corner=True)


def legal_uniform(game: WalkingCrowd, layout: str, size: int = 10) -> Float[Array, "T S A"]:
    """All steps that stay clear of walls alike: the start of solvers that know legal actions.

    With the plain uniform policy a step into a wall, which means to stay, has its share too.
    """
    legal = floor_plan(layout, size).legal  # pyright: ignore[reportArgumentType]
    policy = legal / legal.sum(-1, keepdims=True)
    return jnp.asarray(np.broadcast_to(policy, (game.horizon, *policy.shape)), game.mean_field.dtype)


def first_path_actions(plan: FloorPlan, horizon: int) -> np.ndarray:
    """The last action on the path by which a depth-first search first comes to a place, [T, S].

    The order is that of OpenSpiel's evaluation: actions before gusts, both in the order of their numbers.
    Places at time 0, and those never reached, have the action that stays.
    """
    many, actions = plan.following.shape
    last = np.full((horizon, many), actions // 2)
    decided, moved = np.zeros((2, horizon + 1, many), bool)

    def visit(time: int, place: int) -> None:
        decided[time, place] = True
        for action in np.flatnonzero(plan.legal[place]):
            middle = plan.following[place, action]
            if moved[time, middle] or time + 1 == horizon:
                continue
            moved[time, middle] = True
            for after in plan.following[middle][plan.legal[middle]]:
                if not decided[time + 1, after]:
                    last[time + 1, after] = action
                    visit(time + 1, after)

    for place in range(many):
        visit(0, place)
    return last


def _gusts(plan: FloorPlan, noise: Float[Array, ""] | float) -> tuple[Array, Array]:
    """Successors and probabilities [S, A, K]: a step, and a gust to any free neighbour."""
    gust = noise * jnp.asarray(plan.legal / plan.legal.sum(-1, keepdims=True))
    gust = gust.at[:, plan.following.shape[1] // 2].add(1 - noise)
    return jnp.asarray(plan.following[plan.following]), gust[plan.following]
