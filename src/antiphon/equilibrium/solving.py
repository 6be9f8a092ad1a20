"""The one loop of all equilibrium solvers: compiled once, measured at the iterations that are kept."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PyTree

from antiphon.core.errors import UserError
from antiphon.equilibrium.problem import Gap, Policy, Problem


class Solver(Protocol):
    """How a policy improves; a frozen dataclass whose float fields are pytree leaves."""

    def init(self, problem: Problem, policy: Policy) -> PyTree:
        """The state that starts from a policy."""
        ...

    def step(self, problem: Problem, state: PyTree) -> PyTree:
        """One iteration."""
        ...

    def policy(self, state: PyTree) -> Policy:
        """The policy to be judged."""
        ...


@dataclass(frozen=True)
class Solution:
    """What a solve leaves.

    Attributes:
        policy: of the last iteration.
        iterations: which iterations were measured, [K]; 0 is the policy at the start.
        exploitability: at these iterations, every leaf [K].
        value: at these iterations, as the problem sees it, every leaf [K].
        true_value: what the policy earns in the game itself, every leaf [K]; differs from ``value`` where the
            problem is an approximation.
        seconds_per_iteration: wall time without compilation, measuring included.
        compile_seconds: wall time of preparing the game and of the compilation.
    """

    policy: Policy
    iterations: Int[np.ndarray, "K"]
    exploitability: PyTree[Float[np.ndarray, "K"]]
    value: PyTree[Float[np.ndarray, "K"]]
    true_value: PyTree[Float[np.ndarray, "K"]]
    seconds_per_iteration: float
    compile_seconds: float


def kept_iterations(iterations: int, most: int = 60) -> list[int]:
    """0 … 9, then evenly on a logarithmic axis, and the last: what a log–log curve needs."""
    grid = np.unique(np.round(np.geomspace(10, max(iterations, 10), max(most - 10, 2))).astype(int))
    return sorted({*range(min(10, iterations + 1)), *(int(i) for i in grid if i <= iterations), iterations})


def solve(
    problem: Problem,
    solver: Solver,
    iterations: int = 100,
    *,
    start: Policy | None = None,
    keep: Sequence[int] | None = None,
    tolerance: float = 0.0,
    tau: float | None = None,
    paths: int = 256,
    seed: int = 0,
) -> Solution:
    """Runs a solver; nothing returns to Python between the iterations.

    Args:
        problem: the game.
        solver: the method.
        iterations: how many.
        start: the policy to begin with; uniform by default.
        keep: iterations to measure, increasing; by default about 60 on a logarithmic axis.
        tolerance: stop at the first kept iteration whose exploitabilities are all at most this.
        tau: price of entropy by which policies are measured: exploitability and value of players who also
            earn tau times the entropy of their choices, 0 at the regularised equilibrium. None for the game.
        paths: roll-outs for each true value, where it must be sampled.
        seed: of these roll-outs; the same ones at every iteration.

    Raises:
        UserError: no iterations, or ``keep`` is not an increasing list within them.
    """
    kept = list(keep) if keep is not None else kept_iterations(iterations)
    if iterations < 0 or not kept or kept[0] < 0 or kept[-1] > iterations or any(np.diff(kept) <= 0):
        raise UserError(
            "iterations", f"cannot keep iterations {kept[:5]}… of {iterations}",
            "give increasing iterations between 0 and the last",
        )  # fmt: skip
    policy = problem.uniform() if start is None else start
    lengths = jnp.asarray(np.diff([0, *kept]), jnp.int32)
    key = jax.random.key(seed)
    began = time.perf_counter()
    # Out here the numbers of the game are known, so that kernels with few successors are seen to be sparse.
    problem = problem.prepared()
    given = (problem, solver, policy, lengths, tolerance, tau, key)
    compiled = _solve.lower(*given, paths).compile()
    compile_seconds = time.perf_counter() - began
    began = time.perf_counter()
    last, gaps, truth, alive = jax.block_until_ready(compiled(*given))
    seconds = time.perf_counter() - began
    done = int(np.sum(np.asarray(alive)))
    gaps, truth = jax.tree.map(lambda leaf: np.asarray(leaf)[:done], (gaps, truth))
    steps = max(kept[done - 1], 1)
    return Solution(
        policy=last,
        iterations=np.array(kept[:done]),
        exploitability=gaps.exploitability,
        value=gaps.value,
        true_value=truth,
        seconds_per_iteration=seconds / steps,
        compile_seconds=compile_seconds,
    )


def trace(
    problem: Problem,
    solver: Solver,
    start: Policy,
    lengths: Int[Array, "K"],
    tau: float | Float[Array, ""] | None = None,
) -> tuple[Policy, Gap]:
    """The loop without clock and host, to be put under ``vmap``: last policy, and gaps after each stretch.

    Args:
        problem: the game, or a batch of games under ``vmap``.
        solver: the method, or a batch of hyper-parameters.
        start: the policy to begin with.
        lengths: iterations of each stretch; a gap is measured after each.
        tau: price of entropy by which gaps are measured.
    """
    prepared = problem.prepared()
    policy, gaps, _, _ = _stretches(prepared, solver, start, lengths, -jnp.inf, tau, jax.random.key(0), 0)
    return policy, gaps


@partial(jax.jit, static_argnames="paths")
def _solve(
    problem: Problem,
    solver: Solver,
    start: Policy,
    lengths: Array,
    tolerance: float,
    tau: float | None,
    key: Array,
    paths: int,
) -> tuple[Policy, Gap, PyTree, Array]:
    return _stretches(problem, solver, start, lengths, tolerance, tau, key, paths)


def _stretches(
    problem: Problem,
    solver: Solver,
    start: Policy,
    lengths: Array,
    tolerance: float | Array,
    tau: float | Array | None,
    key: Array,
    paths: int,
) -> tuple[Policy, Gap, PyTree, Array]:
    def stretch(carry: tuple[PyTree, Array], length: Array) -> tuple[tuple[PyTree, Array], Any]:
        state, going = carry
        # After the tolerance is met the remaining stretches have no iterations.
        count = jnp.where(going, length, 0)
        state = jax.lax.fori_loop(0, count, lambda _, state: solver.step(problem, state), state)
        policy = solver.policy(state)
        gap = problem.measure(policy, tau)
        truth = problem.true_value(policy, key, paths) if paths else gap.value
        worst = jnp.max(jnp.stack(jax.tree.leaves(gap.exploitability)))
        return (state, going & (worst > tolerance)), (gap, truth, going)

    carry = (solver.init(problem, start), jnp.array(True))
    (state, _), (gaps, truth, alive) = jax.lax.scan(stretch, carry, lengths)
    return solver.policy(state), gaps, truth, alive
