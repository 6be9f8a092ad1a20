"""Solvers by name, with the two or three numbers that the command line offers."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from antiphon.cli.nearest import nearest
from antiphon.core.errors import UserError

if TYPE_CHECKING:
    from antiphon.equilibrium import Problem, Solver

SOLVERS = (
    "fictitious-play", "line-search", "mirror-descent", "munchausen", "optimistic", "extragradient",
    "fixed-point", "boltzmann", "prior-descent", "mf-omo", "newton", "mean-field-control", "stackelberg",
)  # fmt: skip
MOST_FOR_NEWTON = 1000
"""Pairs of time and state up to which an equilibrium is found by Newton's method."""
_PLAIN_ONLY = ("mf-omo", "newton", "mean-field-control")


def check_solver(name: str) -> None:
    """Refuses a solver that is not known.

    Raises:
        UserError: with the nearest name.
    """
    if name not in SOLVERS:
        raise UserError("solver", f"there is no solver {name!r}", nearest(name, SOLVERS))


def find_solver(
    name: str, problem: "Problem", step_size: float | None, temperature: float | None
) -> "Solver":
    """The solver of a name; what is None has the solver's own default.

    Raises:
        UserError: there is no such solver, or it does not fit the kind of game.
    """
    check_solver(name)
    from antiphon.equilibrium import DiscountedProblem, FlowProblem, PartitionProblem
    from antiphon.methods.fictitious_play import FictitiousPlay
    from antiphon.methods.fixed_point import BoltzmannIteration, FixedPoint
    from antiphon.methods.line_search_play import LineSearchPlay
    from antiphon.methods.major_minor_stackelberg import StackelbergFictitiousPlay
    from antiphon.methods.mean_field_control import MeanFieldControl
    from antiphon.methods.mf_omo import OccupationOptimization
    from antiphon.methods.mirror_descent import (
        ExtragradientMirrorDescent,
        MirrorDescent,
        MunchausenMirrorDescent,
    )
    from antiphon.methods.newton_cooling import NewtonCooling
    from antiphon.methods.optimistic_mirror_descent import OptimisticMirrorDescent
    from antiphon.methods.prior_descent import PriorDescent

    on_grid = isinstance(problem, PartitionProblem | DiscountedProblem)
    if name == "stackelberg" and not on_grid:
        raise UserError("solver", "this game has no major player to lead", "use --solver fictitious-play")
    if name in _PLAIN_ONLY and not isinstance(problem, FlowProblem):
        raise UserError(
            "solver", f"{name} is for games with a horizon and without a major player", "use fictitious-play"
        )
    if name == "newton":
        _check_newton(problem)
    if name == "fixed-point" and step_size is not None and not 0 < step_size <= 1:
        raise UserError("step_size", f"--step-size is {step_size}", "give a share in (0, 1] of the answer")
    step, small = (1.0, 0.1) if step_size is None else (step_size, step_size)
    averaging = "plain" if on_grid else "visits"
    # Some solve plain games only, which has been checked, so that not all fit the protocol.
    makers: dict[str, Callable[[], Any]] = {
        "fictitious-play": lambda: FictitiousPlay(averaging, step_size, temperature),
        "line-search": lambda: LineSearchPlay(FictitiousPlay(averaging, temperature=temperature)),
        "mirror-descent": lambda: MirrorDescent(step),
        "munchausen": lambda: MunchausenMirrorDescent(step, 0.01 if temperature is None else temperature),
        "optimistic": lambda: OptimisticMirrorDescent(small),
        "extragradient": lambda: ExtragradientMirrorDescent(small),
        "fixed-point": lambda: FixedPoint(1.0 - step, temperature),
        "boltzmann": lambda: BoltzmannIteration(0.1 if temperature is None else temperature),
        "prior-descent": lambda: PriorDescent(1.0 if temperature is None else temperature),
        "mf-omo": lambda: OccupationOptimization(0.05 if step_size is None else step_size),
        "newton": NewtonCooling,
        "mean-field-control": lambda: MeanFieldControl(0.05 if step_size is None else step_size, temperature),
        "stackelberg": lambda: StackelbergFictitiousPlay(temperature=temperature),
    }
    return makers[name]()


def _check_newton(problem: Any) -> None:
    """Newton's method builds a Jacobian over all times and states, and follows temperatures down to 1e-7."""
    import jax

    game = problem.game
    if game.populations or getattr(getattr(game, "rules", None), "sees_actions", False):
        raise UserError(
            "solver", "newton is for one population whose rules see states and no actions",
            "use --solver mirror-descent",
        )  # fmt: skip
    if game.horizon * game.n_states > MOST_FOR_NEWTON:
        raise UserError(
            "solver",
            f"this game has {game.horizon} × {game.n_states} times and states, too many for newton",
            f"use --solver mirror-descent above {MOST_FOR_NEWTON}",
        )
    if not jax.config.read("jax_enable_x64"):
        raise UserError("float64", "newton loses its last digits in single precision", "add --float64")
