"""Arithmetic on pytrees of arrays, and their leaves by name for weights on disk."""

from collections.abc import Mapping
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from antiphon.core.errors import UserError

Tree = TypeVar("Tree")


def add(tree: Tree, other: Tree) -> Tree:
    """Leaf-wise sum of two trees of one structure."""
    return jax.tree.map(jnp.add, tree, other)


def subtract(tree: Tree, other: Tree) -> Tree:
    """Leaf-wise difference ``tree - other`` of two trees of one structure."""
    return jax.tree.map(jnp.subtract, tree, other)


def scale(tree: Tree, factor: float | Float[Array, ""]) -> Tree:
    """Every leaf times one number, in the leaf's own dtype."""
    return jax.tree.map(lambda leaf: (leaf * factor).astype(leaf.dtype), tree)


def norm(tree: PyTree) -> Float[Array, ""]:
    """Euclidean norm of all leaves together, accumulated in at least float32."""
    total = jnp.zeros((), jnp.float32)
    for leaf in jax.tree.leaves(tree):
        wide = jnp.asarray(leaf)
        total = total + jnp.sum(jnp.square(wide.astype(jnp.promote_types(wide.dtype, jnp.float32))))
    return jnp.sqrt(total)


def distance(tree: Tree, other: Tree) -> Float[Array, ""]:
    """Euclidean distance ‖tree − other‖ of two trees of one structure."""
    return norm(subtract(tree, other))


def count(tree: PyTree) -> int:
    """Number of scalars in all leaves: the parameter count of a network."""
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def clip_factor(tree: PyTree, max_norm: float | Float[Array, ""]) -> Float[Array, ""]:
    """Number in [0, 1] by which to multiply the tree so that its norm is at most ``max_norm``."""
    return jnp.minimum(1.0, max_norm / jnp.maximum(norm(tree), jnp.finfo(jnp.float32).tiny))


def named_leaves(tree: PyTree) -> dict[str, Any]:
    """Leaves by dotted path, ``{"blocks.attention.query": leaf}``, in tree order.

    Raises:
        UserError: two leaves have one name (a mapping key that itself holds a dot).
    """
    named: dict[str, Any] = {}
    for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
        name = _name(path)
        if name in named:
            raise UserError("field", f"two leaves are called {name!r}", "use keys without a dot")
        named[name] = leaf
    return named


def from_named_leaves(template: Tree, named: Mapping[str, Any]) -> Tree:
    """A tree of the template's structure whose leaves come from `named`; the inverse of `named_leaves`.

    Args:
        template: tree of arrays or ``jax.ShapeDtypeStruct`` (only structure and shapes are read).
        named: leaves by dotted path, no more and no fewer than the template has.

    Raises:
        UserError: a name that is missing or not known, or a leaf of another shape.
    """
    paths, structure = jax.tree_util.tree_flatten_with_path(template)
    names = [_name(path) for path, _ in paths]
    missing = sorted(set(names) - set(named))
    if missing:
        raise UserError(
            "field",
            f"no leaf named {_some(missing)} was given",
            "load weights saved from the same configuration",
        )
    unknown = sorted(set(named) - set(names))
    if unknown:
        raise UserError("field", f"leaf {_some(unknown)} has no place in the tree", "drop it or fix its name")
    for name, (_, expected) in zip(names, paths, strict=True):
        if jnp.shape(named[name]) != expected.shape:
            raise UserError(
                "field",
                f"leaf {name!r} has shape {jnp.shape(named[name])} where {expected.shape} belongs",
                "load weights saved from the same configuration",
            )
    return jax.tree.unflatten(structure, [named[name] for name in names])


def _name(path: tuple[Any, ...]) -> str:
    return jax.tree_util.keystr(path, simple=True, separator=".")


def _some(names: list[str]) -> str:
    more = f" (and {len(names) - 3} more)" if len(names) > 3 else ""
    return ", ".join(repr(name) for name in names[:3]) + more
