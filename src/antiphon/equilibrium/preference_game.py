"""The game that preferences make of the answers to a prompt: two policies, and each wants to be preferred.

    P_τ(π ≻ π') = P(π ≻ π') − τ KL(π‖μ) + τ KL(π'‖μ),    P(π ≻ π') = Σ_{y, y'} π(y) P[y, y'] π'(y')

P[y, y'] is the probability that y is preferred to y', so P + Pᵀ = 1: the game is symmetric and its value is
½. For τ > 0 there is exactly one equilibrium, the only policy with π ∝ μ exp(P π / τ).

Source: NLHF, arXiv 2312.00886, eqs. 1 and 2, proposition 1.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Float64
from scipy.optimize import linprog

from antiphon.core import divergences, simplex
from antiphon.core.errors import UserError


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class PreferenceGame:
    """Answers, who prefers what, and the policy everybody is pulled towards.

    Build it with :func:`preference_game`, which checks what it is given.

    Attributes:
        preference: ``[Y, Y]``, the probability that row is preferred to column.
        log_reference: ``[Y]``, log μ.
        tau: strength τ of the pull, in units of preference probability.
    """

    preference: Float[Array, "Y Y"]
    log_reference: Float[Array, " Y"]
    tau: float | Float[Array, ""]


def preference_game(
    preference: ArrayLike, tau: float, reference: ArrayLike | None = None, tolerance: float = 1e-6
) -> PreferenceGame:
    """A game from a table of preferences.

    Args:
        preference: ``[Y, Y]`` probabilities; ½ on the diagonal.
        tau: strength of the pull towards the reference, ≥ 0.
        reference: ``[Y]`` probabilities; uniform if not given.
        tolerance: how far P + Pᵀ may be from 1, and the reference's sum from 1.

    Raises:
        UserError: the table is not square, holds something that is no probability, or is not antisymmetric;
            the reference is no distribution over the answers, or excludes one; tau is negative.
    """
    table = np.asarray(preference, np.float64)
    if table.ndim != 2 or table.shape[0] != table.shape[1] or not table.size:
        raise UserError(
            "preference", f"the table has shape {table.shape}", "give one row and column per answer"
        )
    outside = ~((table >= 0) & (table <= 1))
    if outside.any():
        row, column = np.argwhere(outside)[0]
        raise UserError(
            "preference", f"P[{row}, {column}] is {table[row, column]}", "give probabilities between 0 and 1"
        )
    lopsided = np.abs(table + table.T - 1)
    if lopsided.max() > tolerance:
        row, column = np.unravel_index(lopsided.argmax(), table.shape)
        raise UserError(
            "preference",
            f"P[{row}, {column}] + P[{column}, {row}] is {table[row, column] + table[column, row]:.6g}",
            "the two must sum to 1 (and the diagonal be 1/2)",
        )
    if tau < 0:
        raise UserError("field", f"tau is {tau}", "give a strength of at least 0")
    mu = np.full(len(table), 1 / len(table)) if reference is None else np.asarray(reference, np.float64)
    if mu.shape != (len(table),) or (mu <= 0).any() or abs(mu.sum() - 1) > tolerance:
        raise UserError(
            "reference",
            f"the reference of shape {mu.shape} is no distribution with a positive share for each of "
            f"{len(table)} answers",
            "give one positive probability per answer, 1 in all",
        )
    return PreferenceGame(jnp.asarray(table), jnp.log(jnp.asarray(mu)), tau)


def win_rate(
    preference: Float[Array, "Y Y"], log_p: Float[Array, " Y"], log_q: Float[Array, " Y"]
) -> Float[Array, ""]:
    """P(π ≻ π') of two policies given as log-probabilities."""
    return jnp.exp(log_p) @ preference @ jnp.exp(log_q)


def regularised_win_rate(
    game: PreferenceGame, log_p: Float[Array, " Y"], log_q: Float[Array, " Y"]
) -> Float[Array, ""]:
    """P_τ(π ≻ π') (arXiv 2312.00886, eq. 2)."""
    pull = divergences.forward_kl(log_p, game.log_reference) - divergences.forward_kl(
        log_q, game.log_reference
    )
    return win_rate(game.preference, log_p, log_q) - game.tau * pull


def best_response(game: PreferenceGame, log_opponent: Float[Array, " Y"]) -> Float[Array, " Y"]:
    """Log of argmax_π P_τ(π ≻ π'), the mirror step from the reference; τ must be positive."""
    credit = game.preference @ jnp.exp(log_opponent)
    return simplex.mirror_step(game.log_reference, credit, jnp.asarray(game.tau, credit.dtype))


def duality_gap(game: PreferenceGame, log_p: Float[Array, " Y"]) -> Float[Array, ""]:
    """max_π' P_τ(π' ≻ π) − min_π' P_τ(π ≻ π'): zero at the equilibrium only.

    The game is symmetric, so the gap is twice what the best answer to π gains over ½, in closed form:

        max_π' P_τ(π' ≻ π) = τ log Σ_y μ(y) exp((P π)(y) / τ) + τ KL(π‖μ),

    and max_y (P π)(y) where τ = 0.
    """
    credit = game.preference @ jnp.exp(log_p)
    tau = jnp.asarray(game.tau, credit.dtype)
    safe = jnp.where(tau > 0, tau, 1.0)
    soft = tau * jax.nn.logsumexp(game.log_reference + credit / safe)
    pull = tau * divergences.forward_kl(log_p, game.log_reference)
    return 2.0 * (jnp.where(tau > 0, soft + pull, jnp.max(credit)) - 0.5)


def nash(game: PreferenceGame, tolerance: float = 1e-13) -> Float64[np.ndarray, " Y"]:
    """The equilibrium, by a solver that shares nothing with the methods that are measured against it.

    Newton's method on log π = log μ + P π / τ − const in float64, from a strong pull, whose equilibrium is
    near the reference, down to the game's own; a linear program where τ = 0.

    Args:
        game: whose equilibrium.
        tolerance: of every log-probability's equation, in nats.

    Returns:
        Probabilities.

    Raises:
        ArithmeticError: it did not converge.
    """
    table = np.asarray(game.preference, np.float64)
    log_mu = np.asarray(game.log_reference, np.float64)
    tau = float(game.tau)
    if tau == 0:
        return _maximin(table)
    log_p = log_mu - np.logaddexp.reduce(log_mu)
    at = max(tau, 1.0)
    while True:
        log_p = _newton(table, log_mu, at, log_p, tolerance)
        if at == tau:
            return np.exp(log_p)
        at = max(tau, at / 1.5)


def _newton(
    table: np.ndarray, log_mu: np.ndarray, tau: float, log_p: np.ndarray, tolerance: float
) -> np.ndarray:
    def answer(log_p: np.ndarray) -> np.ndarray:
        logits = log_mu + table @ np.exp(log_p) / tau
        return logits - np.logaddexp.reduce(logits)

    wrong = log_p - answer(log_p)
    for _ in range(200):
        if np.abs(wrong).max() <= tolerance * max(1.0, 1.0 / tau):
            return log_p
        # d answer / d log π = (I − 1 answerᵀ) P diag(π) / τ
        inner = table * np.exp(log_p) / tau
        slope = np.eye(len(table)) - (inner - np.exp(answer(log_p)) @ inner)
        step = np.linalg.solve(slope, wrong)
        size = 1.0
        while size > 1e-10:
            # A candidate need not sum to one before it has converged; the equation itself makes it.
            candidate = log_p - size * step
            missed = candidate - answer(np.minimum(candidate, 50.0))
            if np.abs(missed).max() < np.abs(wrong).max():
                break
            size /= 2
        else:
            break
        log_p, wrong = candidate, missed
    if np.abs(wrong).max() <= 1e3 * tolerance * max(1.0, 1.0 / tau):
        return log_p  # as near as float64 gets
    raise ArithmeticError(f"no equilibrium found at tau = {tau}: {np.abs(wrong).max():.1e} nats are left")


def _maximin(table: np.ndarray) -> np.ndarray:
    """The mixed strategy with the largest guaranteed win rate."""
    count = len(table)
    found = linprog(
        np.r_[np.zeros(count), -1.0],
        A_ub=np.c_[-table.T, np.ones(count)], b_ub=np.zeros(count),
        A_eq=np.r_[np.ones(count), 0.0][None], b_eq=[1.0],
        bounds=[(0, None)] * count + [(None, None)],
    )  # fmt: skip
    if not found.success:
        raise ArithmeticError(f"the linear program of the game failed: {found.message}")
    return np.maximum(found.x[:-1], 0) / np.maximum(found.x[:-1], 0).sum()
