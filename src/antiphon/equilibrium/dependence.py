"""What a function looks at: which arguments can change what it returns, read off its traced program."""

from collections.abc import Callable
from typing import Any

import jax
from jax.extend.core import Literal


def reads(function: Callable[..., Any], *arguments: Any) -> tuple[bool, ...]:
    """For each argument, whether any output may depend on it.

    False is certain: the traced program has no path from the argument to an output. True may be too careful,
    for instance of x − x, or of a loop of which only one result is used.

    Args:
        function: of arrays; traced, not run.
        arguments: arrays, or their shapes as ``jax.ShapeDtypeStruct``.
    """
    jaxpr = jax.make_jaxpr(function)(*arguments).jaxpr
    sources: dict[Any, frozenset[int]] = {
        variable: frozenset([place]) for place, variable in enumerate(jaxpr.invars)
    }

    def of(variables: Any) -> frozenset[int]:
        found = [sources.get(v, frozenset()) for v in variables if not isinstance(v, Literal)]
        return frozenset().union(*found)

    for equation in jaxpr.eqns:
        seen = of(equation.invars)
        sources.update(dict.fromkeys(equation.outvars, seen))
    used = of(jaxpr.outvars)
    return tuple(place in used for place in range(len(arguments)))
