"""Whether rules have all their functions, with the right arguments, written so that they can be traced."""

import inspect
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from antiphon.core.errors import UserError

SIZES = ("horizon", "n_states", "n_actions")
MAJOR_SIZES = (*SIZES, "n_major_states", "n_major_actions")

_MINOR = ("state", "action", "mean_field", "major_state", "major_action")
_MAJOR = ("major_state", "major_action", "mean_field")
PLAIN_FUNCTIONS: Mapping[str, tuple[str, ...]] = {
    "start": (),
    "next_state": ("state", "action", "mean_field", "time"),
    "reward": ("state", "action", "mean_field", "time"),
}
MAJOR_MINOR_FUNCTIONS: Mapping[str, tuple[str, ...]] = {
    "start": (),
    "major_start": (),
    "next_state": _MINOR,
    "reward": _MINOR,
    "major_next_state": _MAJOR,
    "major_reward": _MAJOR,
}


def check_signatures(rules: Any, sizes: tuple[str, ...], functions: Mapping[str, tuple[str, ...]]) -> None:
    """Refuses rules that lack a size or a function, or have one of other arguments.

    Args:
        rules: what a person wrote.
        sizes: names of the whole numbers it must have.
        functions: names of its functions, with their arguments in order.
    """
    kind = type(rules).__name__
    for name in sizes:
        size = getattr(rules, name, None)
        if not isinstance(size, int | np.integer) or size < 1:
            if size is None:
                raise UserError(
                    "rules", f"{kind} has no {name}", f"write {name} = 2, or more, into the class"
                )
            raise UserError("rules", f"{name} of {kind} is {size!r}", "give a whole number ≥ 1")
    for name, arguments in functions.items():
        wanted = f"def {name}({', '.join(('self', *arguments))})"
        function = getattr(rules, name, None)
        if not callable(function):
            raise UserError("rules", f"{kind} has no function {name}", f"write {wanted} into the class")
        try:
            inspect.signature(function).bind(*arguments)
        except TypeError:
            found = ", ".join(inspect.signature(function).parameters)
            raise UserError("rules", f"{name} of {kind} takes ({found})", f"write {wanted}") from None


def traced_shape(name: str, function: Callable[..., Any], indices: int, rest: tuple) -> tuple[int, ...]:
    """Shape of what a function of ``indices`` states or actions and of more returns, without computing it.

    Raises:
        UserError: the function asks for the value of what it is given, which stands for all values at once.
    """
    number = jax.ShapeDtypeStruct((), jnp.int32)
    try:
        return jax.eval_shape(lambda *given: _array(function(*given)), *[number] * indices, *rest).shape
    except jax.errors.ConcretizationTypeError as error:
        of_file = [
            frame
            for frame in traceback.extract_tb(error.__traceback__)
            if frame.filename == inspect.getsourcefile(function)
        ]
        place = f" at {Path(of_file[-1].filename).name}, line {of_file[-1].lineno}," if of_file else ""
        raise UserError(
            "rules",
            f"{name} asks{place} for one value ('if', 'and', int()) of what stands for all values",
            "write jnp.where(condition, a, b) for 'if', and & or | for 'and' and 'or'",
        ) from error


def _array(value: Any) -> Array:
    return jnp.asarray(value)
