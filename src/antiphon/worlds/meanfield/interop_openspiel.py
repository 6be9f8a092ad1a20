"""OpenSpiel's mean field games as arrays, and our policies as its policies.

OpenSpiel writes a game as a tree: a decision, a chance node, a mean field node, and again. Nodes of one name
are one state. Here the tree is walked once, in the order in which OpenSpiel's own evaluation walks it, and
becomes a kernel; rewards are asked of the game itself at each crowd.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from antiphon.core.errors import UserError
from antiphon.equilibrium import Neighbours
from antiphon.worlds.meanfield.called_back import call_back


@dataclass(eq=False)
class _Decision:
    """A decision node as it is first met, the mean field node before it, and where its actions lead."""

    node: Any
    before: Any
    index: int
    successors: dict[int, dict[str, float]] = field(default_factory=dict)


class _Tree:
    """All decisions of a game; compared by identity, so that it can be a static part of a pytree.

    Attributes:
        decisions: by population, time and name.
        place: population and index of a mean field node by name.
        ends: rewards of terminal nodes by name.
        routes: where each node leads at last, by name.
    """

    def __init__(self, populations: int) -> None:
        self.decisions: list[list[dict[str, _Decision]]] = [[] for _ in range(populations)]
        self.place: dict[str, tuple[int, int]] = {}
        self.ends: dict[str, float] = {}
        self.routes: dict[str, dict[str, float]] = {}
        self.support: dict[tuple[int, int], list[tuple[int, int] | None]] = {}

    def route(self, node: Any, population: int, time: int) -> dict[str, float]:
        """Names of the decisions (or ends) that come next, with their chances."""
        name = _name(node)
        if name in self.routes:
            return self.routes[name]
        if node.is_terminal():
            self.ends[name] = node.rewards()[population]
            found = {name: 1.0}
        elif node.is_chance_node():
            found: dict[str, float] = {}
            for outcome, chance in node.chance_outcomes():
                for after, share in self.route(node.child(outcome), population, time).items():
                    found[after] = found.get(after, 0.0) + chance * share
        elif node.is_mean_field_node():
            told = _told(node, None)
            self.decide(told, node, population, time)
            index = self.decisions[population][time][_name(told)].index
            self.place[name] = (population, index)
            found = {_name(told): 1.0}
        else:
            self.decide(node, None, population, time)
            found = {name: 1.0}
        self.routes[name] = found
        return found

    def decide(self, node: Any, before: Any, population: int, time: int) -> None:
        """Notes a decision node, and all that comes after it."""
        times = self.decisions[population]
        if len(times) == time:
            times.append({})
        name = _name(node)
        if name in times[time]:
            return
        times[time][name] = decision = _Decision(node, before, len(times[time]))
        if before is not None and decision.index == 0:
            _refuse_moving_dynamics(before)
        for action in node.legal_actions():
            decision.successors[action] = self.route(node.child(action), population, time + 1)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class OpenSpielGame:
    """A game of OpenSpiel; made by :func:`from_openspiel`. States of one time are numbered as they are met.

    Attributes:
        states: successors among the states of the next time, [T, *P, S, A, K].
        probabilities: of each, [T, *P, S, A, K].
        last: reward at the end, by the last decision, [*P, S, A].
        start: distribution at time 0, [*P, S].
        legal: actions that the game allows; the others do what the first legal one does, [T, *P, S, A].
        tree: the nodes, to ask rewards of.
    """

    states: Int[Array, "T *P S A K"]
    probabilities: Float[Array, "T *P S A K"]
    last: Float[Array, "*P S A"]
    start: Float[Array, "*P S"]
    legal: Bool[Array, "T *P S A"]
    tree: _Tree = field(metadata={"static": True})

    @property
    def horizon(self) -> int:
        """Number of decisions."""
        return self.states.shape[0]

    @property
    def n_states(self) -> int:
        """States, the most there are at one time."""
        return self.states.shape[-3]

    @property
    def n_actions(self) -> int:
        """Actions."""
        return self.states.shape[-2]

    @property
    def populations(self) -> tuple[int, ...]:
        """``(P,)`` where the game has several."""
        return self.states.shape[1:-3]

    @property
    def time_dependent(self) -> bool:
        """States have other numbers at other times."""
        return True

    def init(self) -> Float[Array, "*P S"]:
        """Distribution after the first chance node."""
        return self.start

    def kernel(self, time, crowd: Float[Array, "*P S A"]) -> Neighbours:
        """A decision and the chance node after it."""
        return Neighbours(self.states[time], self.probabilities[time].astype(crowd.dtype))

    def reward(self, time, crowd: Float[Array, "*P S A"]) -> Float[Array, "*P S A"]:
        """What the game says at a decision and at the mean field node before it; not differentiable."""
        mean_field = jnp.sum(crowd, axis=-1)
        paid = call_back(self._ask, mean_field.shape, time, mean_field)
        return paid[..., None] + jnp.where(time == self.horizon - 1, self.last.astype(crowd.dtype), 0.0)

    def uniform(self) -> Float[Array, "T *P S A"]:
        """The policy that chooses all legal actions alike: where OpenSpiel's solvers start."""
        return (self.legal / jnp.sum(self.legal, axis=-1, keepdims=True)).astype(self.start.dtype)

    def _ask(self, time: int, mean_field: np.ndarray) -> np.ndarray:
        crowds = mean_field.reshape(-1, mean_field.shape[-1])
        paid = np.zeros_like(crowds)
        for population, times in enumerate(self.tree.decisions):
            decisions = times[time].values()
            support = self.tree.support.get((population, time), [])
            heard = [0.0 if at is None else float(crowds[at]) for at in support]
            for decision in decisions:
                node, reward = decision.node, 0.0
                if decision.before is not None:
                    reward, node = decision.before.rewards()[population], _told(decision.before, heard)
                paid[population, decision.index] = reward + node.rewards()[population]
        return paid


def from_openspiel(game: Any, parameters: Mapping[str, Any] | None = None) -> OpenSpielGame:
    """A mean field game of OpenSpiel as arrays.

    Args:
        game: a game, or its name, such as "mfg_crowd_modelling_2d".
        parameters: of the game, where a name is given.

    Raises:
        UserError: the game is no mean field game, its dynamics depend on the crowd, or it can end early.

    Where a reward depends on more than the name of a node (in crowd modelling: on the last action) OpenSpiel
    uses the path by which its search comes there first; so does this, and exploitability is its NashConv.
    """
    import pyspiel  # pyright: ignore[reportMissingImports]

    if isinstance(game, str):
        game = pyspiel.load_game(game, dict(parameters or {}))
    if game.get_type().dynamics != pyspiel.GameType.Dynamics.MEAN_FIELD:
        raise UserError("game", f"{game} is no mean field game", "give one whose dynamics are mean field")
    roots = game.new_initial_states()
    tree = _Tree(len(roots))
    starts = [tree.route(root, population, 0) for population, root in enumerate(roots)]
    for population, times in enumerate(tree.decisions):
        for time, decisions in enumerate(times):
            before = next(iter(decisions.values())).before
            if before is not None:
                names = before.distribution_support()
                tree.support[population, time] = [tree.place.get(name) for name in names]
    return _arrays(tree, starts, game.num_distinct_actions())


def openspiel_policy(game: Any, arrays: OpenSpielGame, policy: Float[Array, "T *P S A"]) -> Any:
    """Our policy as an ``open_spiel.python.policy.Policy``, for its NashConv or its simulations.

    Args:
        game: the game of OpenSpiel.
        arrays: what :func:`from_openspiel` made of it.
        policy: probabilities; those of actions that are not legal go to the first legal one.
    """
    from open_spiel.python import policy as peer  # pyright: ignore[reportMissingImports]

    table = np.asarray(policy).reshape(len(policy), -1, *policy.shape[-2:])
    place = {
        name: (time, population, decision.index)
        for population, times in enumerate(arrays.tree.decisions)
        for time, decisions in enumerate(times)
        for name, decision in decisions.items()
    }

    class ArrayPolicy(peer.Policy):
        """A table by name of state."""

        def action_probabilities(self, state: Any, player_id: int | None = None) -> dict[int, float]:
            del player_id
            row = table[place[_name(state)]]
            legal = state.legal_actions()
            chances = {action: float(row[action]) for action in legal}
            chances[legal[0]] += 1.0 - sum(chances.values())
            return chances

    return ArrayPolicy(game, list(range(game.num_players())))


def _arrays(tree: _Tree, starts: list[dict[str, float]], actions: int) -> OpenSpielGame:
    horizon = len(tree.decisions[0])
    size = max(len(decisions) for times in tree.decisions for decisions in times)
    routes = [
        r for times in tree.decisions for ds in times for d in ds.values() for r in d.successors.values()
    ]
    width = max(map(len, routes))
    shape = (horizon, len(starts), size, actions)
    states, chances = np.zeros((*shape, width), int), np.zeros((*shape, width))
    chances[..., 0] = 1.0  # states that only another time or population has stay where nobody is
    legal, last, start = np.zeros(shape, bool), np.zeros(shape[1:]), np.zeros(shape[1:3])
    for population, times in enumerate(tree.decisions):
        for name, chance in starts[population].items():
            start[population, times[0][name].index] = chance
        for time, decisions in enumerate(times):
            for decision in decisions.values():
                first = next(iter(decision.successors.values()))
                for action in range(actions):
                    at = (time, population, decision.index, action)
                    legal[at] = action in decision.successors
                    route = decision.successors.get(action, first)
                    if time == horizon - 1:
                        last[at[1:]] = sum(share * tree.ends[name] for name, share in route.items())
                        continue
                    if any(name in tree.ends for name in route):
                        raise UserError(
                            "game", "a player can leave before the end", "give a game of fixed length"
                        )
                    chances[at] = 0.0
                    for place, (name, share) in enumerate(route.items()):
                        states[(*at, place)] = times[time + 1][name].index
                        chances[(*at, place)] = share
    legal[~legal.any(-1)] = True
    alone = len(starts) == 1
    return OpenSpielGame(
        jnp.asarray(states[:, 0] if alone else states),
        jnp.asarray(chances[:, 0] if alone else chances),
        jnp.asarray(last[0] if alone else last),
        jnp.asarray(start[0] if alone else start),
        jnp.asarray(legal[:, 0] if alone else legal),
        tree,
    )


def _name(node: Any) -> str:
    # OpenSpiel names a node as its player 0 observes it, whoever decides there.
    return node.observation_string(0)


def _told(node: Any, crowd: list[float] | None) -> Any:
    """A mean field node that has heard of a crowd; of any, where it does not matter."""
    told = node.clone()
    size = len(crowd) if crowd is not None else len(node.distribution_support())
    told.update_distribution(crowd if crowd is not None else [1.0 / size] * size)
    return told


def _refuse_moving_dynamics(node: Any) -> None:
    """One node, told of two crowds, must lead to the same places with the same chances."""
    size = len(node.distribution_support())
    ways = []
    for crowd in (None, [1.0] + [0.0] * (size - 1)):
        told = _told(node, crowd)
        children = [told.child(action) for action in told.legal_actions()]
        ways.append([(_name(c), c.chance_outcomes() if c.is_chance_node() else []) for c in children])
    if ways[0] != ways[1]:
        raise UserError(
            "game", "the crowd changes where players go, which cannot be written down beforehand",
            "write the game's rules in Python, as the tutorial on mean field games does",
        )  # fmt: skip
