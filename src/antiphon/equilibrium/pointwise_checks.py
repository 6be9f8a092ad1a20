"""What a beginner gets wrong, said with the state, the action and the time."""

from typing import Any

import jax
import numpy as np
from jaxtyping import Array

from antiphon.core.errors import UserError
from antiphon.equilibrium.pointwise_signatures import traced_shape


def check_pytree(rules: Any) -> None:
    """Refuses rules that cannot be compiled."""
    if jax.tree_util.all_leaves([rules]):
        raise UserError(
            "rules",
            f"{type(rules).__name__} is not a pytree, so it cannot be compiled",
            "put the decorator @rules of antiphon.equilibrium above the class",
        )


def check_start(name: str, function: Any, size: int) -> None:
    """Refuses a start that is no distribution of ``size`` states."""
    found = np.asarray(function(), float)
    if found.shape != (size,):
        raise UserError(
            "shape",
            f"{name}() has shape {list(found.shape)}",
            f"return one probability for each of {size} states",
        )
    if not np.isclose(found.sum(), 1.0, atol=1e-5) or (found < 0).any():
        raise UserError(
            "distribution", f"{name}() is {found.tolist()}, which sums to {found.sum():.6g}",
            "return probabilities ≥ 0 that sum to 1",
        )  # fmt: skip


def check_shapes(
    transition: Any,
    reward: Any,
    names: tuple[str, ...],
    size: int,
    mean_field: Array,
    rest: tuple,
    prefix: str = "",
) -> None:
    """Refuses functions that do not return ``size`` probabilities and one number.

    Args:
        transition: of the next state.
        reward: of the same arguments.
        names: of the arguments that are indices.
        size: how many probabilities there are.
        mean_field: as the functions see it.
        rest: arguments after it.
        prefix: of the functions' names.
    """
    given = (mean_field, *rest)
    where = ", ".join(f"{name} 0" for name in names) + ", time 0"
    found = traced_shape(f"{prefix}next_state", transition, 2, given)
    if found != (size,):
        raise UserError(
            "shape", f"{prefix}next_state has shape {list(found)} at {where}",
            f"return one probability for each of {size} states",
        )  # fmt: skip
    paid = traced_shape(f"{prefix}reward", reward, 2, given)
    if paid != ():
        raise UserError("shape", f"{prefix}reward has shape {list(paid)} at {where}", "return one number")


def check_successors(states: np.ndarray, n_states: int) -> None:
    """Refuses successors [S, A, K] that are no states."""
    if not np.issubdtype(states.dtype, np.integer) or states.ndim != 3:
        raise UserError(
            "shape", f"successors is of type {states.dtype} and shape {list(states.shape[2:])}",
            "return a fixed number of states, as integers",
        )  # fmt: skip
    wrong = (states < 0) | (states >= n_states)
    if wrong.any():
        at = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise UserError(
            "state", f"successors is {states[at]} at {_place(('state', 'action'), at[:2], None)}",
            f"return states from 0 to {n_states - 1}",
        )  # fmt: skip


def check_rows(name: str, kernel: np.ndarray, names: tuple[str, ...], time: int | None) -> None:
    """Refuses a kernel, indices first, of which one row is no distribution."""
    sums = kernel.sum(-1)
    wrong = ~(np.abs(sums - 1.0) < 1e-4) | (kernel < -1e-6).any(-1)
    if wrong.any():
        at = tuple(int(i) for i in np.argwhere(wrong)[0])
        row = ", ".join(f"{p:.6g}" for p in kernel[at])
        raise UserError(
            "distribution", f"{name} is [{row}] at {_place(names, at, time)}, which sums to {sums[at]:.6g}",
            "return probabilities ≥ 0 that sum to 1",
        )  # fmt: skip


def check_finite(name: str, reward: np.ndarray, names: tuple[str, ...], time: int | None) -> None:
    """Refuses a table of rewards, indices first, with an entry that is no finite number."""
    if not np.isfinite(reward).all():
        at = tuple(int(i) for i in np.argwhere(~np.isfinite(reward))[0])
        raise UserError(
            "number", f"{name} is {reward[at]} at {_place(names, at, time)}", "return a finite number"
        )


def _place(names: tuple[str, ...], at: tuple[int, ...], time: int | None) -> str:
    words = [f"{name} {index}" for name, index in zip(names, at, strict=True)]
    # The rules of major–minor games do not read the time; their first step is as good as any.
    return ", ".join([*words, f"time {0 if time is None else time}"])
