"""Vectors as columns: arithmetic runs over environments, which lie next to each other in memory.

On a processor, loops over [N, 2] pairs do not vectorise, and loops over [N] columns do: six times faster.
Nothing here imports jax; arrays may be NumPy or jax.
"""

import math
from typing import Any

from jaxtyping import Float

# π in two parts, the first with few bits, so that a whole number of half-turns is taken off exactly.
_PI_COARSE, _PI_REST = 3.140625, math.pi - 3.140625
_SIN = [(-1) ** k / math.factorial(2 * k + 1) for k in range(8)]
_COS = [(-1) ** k / math.factorial(2 * k) for k in range(9)]


def side_by_side(*columns: Float[Any, "*B"]) -> Float[Any, "*B K"]:
    """K columns as the last axis; laid out one after the other first, which is what makes it fast."""
    xp = columns[0].__array_namespace__()
    return xp.moveaxis(xp.stack(xp.broadcast_arrays(*columns), 0), 0, -1)


def apart(vectors: Float[Any, "*B K"]) -> tuple[Float[Any, "*B"], ...]:
    """The columns of the last axis."""
    xp = vectors.__array_namespace__()
    turned = xp.moveaxis(vectors, -1, 0)
    return tuple(turned[k] for k in range(turned.shape[0]))


def cos_sin(angle: Float[Any, "*B"]) -> tuple[Float[Any, "*B"], Float[Any, "*B"]]:
    """Cosine and sine, to 1.5e-7 in float32 and 1e-9 in float64 up to a few hundred radians.

    Half-turns are taken off and the rest goes through a polynomial. XLA's own are right to one more bit, and
    eight times slower on a processor.
    """
    xp = angle.__array_namespace__()
    turns = xp.round(angle * (1 / math.pi))
    rest = (angle - turns * _PI_COARSE) - turns * _PI_REST
    sign = 1 - 2 * xp.abs(turns - 2 * xp.round(turns * 0.5))
    square = rest * rest
    return sign * _polynomial(_COS, square), sign * rest * _polynomial(_SIN, square)


def rotated(angle: Float[Any, "*B"], x: Any, y: Any) -> tuple[Float[Any, "*B"], Float[Any, "*B"]]:
    """(x, y) turned counter-clockwise by an angle."""
    cos, sin = cos_sin(angle)
    return cos * x - sin * y, sin * x + cos * y


def _polynomial(coefficients: list[float], x: Any) -> Any:
    total = coefficients[-1]
    for coefficient in coefficients[-2::-1]:
        total = coefficient + x * total
    return total
