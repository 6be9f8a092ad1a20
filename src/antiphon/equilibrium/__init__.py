"""Policies that answer each other: what a game is, flows, best responses, and how far from equilibrium."""

from antiphon.equilibrium.decision import DecisionProblem
from antiphon.equilibrium.discounted import DiscountedProblem, discounted
from antiphon.equilibrium.flow import FlowProblem, best_response, exploitability, flow, policy_values
from antiphon.equilibrium.game import MajorMinorGame, MeanFieldGame, Players, rules
from antiphon.equilibrium.kernel import Neighbours
from antiphon.equilibrium.partition import PartitionProblem, partition
from antiphon.equilibrium.path_tree import measure_on_tree
from antiphon.equilibrium.pointwise import major_minor_game, mean_field_game
from antiphon.equilibrium.problem import Gap, Problem, first_action
from antiphon.equilibrium.rollouts import Rollouts, rollout, simulate
from antiphon.equilibrium.solving import Solution, Solver, solve
from antiphon.equilibrium.stationary import StationaryProblem, stationary

__all__ = [
    "DecisionProblem",
    "DiscountedProblem",
    "FlowProblem",
    "Gap",
    "MajorMinorGame",
    "MeanFieldGame",
    "Neighbours",
    "PartitionProblem",
    "Players",
    "Problem",
    "Rollouts",
    "Solution",
    "Solver",
    "StationaryProblem",
    "best_response",
    "discounted",
    "exploitability",
    "first_action",
    "flow",
    "major_minor_game",
    "mean_field_game",
    "measure_on_tree",
    "partition",
    "policy_values",
    "rollout",
    "rules",
    "simulate",
    "solve",
    "stationary",
]
