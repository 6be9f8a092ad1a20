"""Rotations as unit quaternions (w, x, y, z), column by column.

Nothing here imports jax; columns may be NumPy or jax.
"""

from typing import Any

Columns = tuple[Any, ...]


def product(p: Columns, q: Columns) -> Columns:
    """The turn by q, then by p: p ⊗ q."""
    a, b, c, d = p
    e, f, g, h = q
    return (
        a * e - b * f - c * g - d * h,
        a * f + b * e + c * h - d * g,
        a * g - b * h + c * e + d * f,
        a * h + b * g - c * f + d * e,
    )


def inverse(q: Columns) -> Columns:
    """The turn back, for a unit quaternion."""
    w, x, y, z = q
    return w, -x, -y, -z


def turned(q: Columns, v: Columns) -> Columns:
    """R(q) v = v + 2w (u × v) + 2 u × (u × v) with q = (w, u)."""
    w, *u = q
    t = tuple(2 * each for each in cross(tuple(u), v))
    around = cross(tuple(u), t)
    return tuple(a + w * b + c for a, b, c in zip(v, t, around, strict=True))


def cross(a: Columns, b: Columns) -> Columns:
    """Vector product a × b."""
    return (a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0])


def normalised(q: Columns) -> Columns:
    """The nearest unit quaternion, exact to second order: what integration needs after every step."""
    w, x, y, z = q
    length = w * w + x * x + y * y + z * z
    # One Newton step for 1/√length from 1, and another: no root, no division.
    factor = 1.5 - 0.5 * length
    factor = factor * (1.5 - 0.5 * length * factor * factor)
    return w * factor, x * factor, y * factor, z * factor
