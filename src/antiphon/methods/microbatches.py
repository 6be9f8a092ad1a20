"""A mean over a batch that is too large to hold at once."""

from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from antiphon.core import trees
from antiphon.core.errors import UserError

Result = TypeVar("Result")


def mean_over_microbatches(function: Callable[[PyTree], Result], batch: PyTree, pieces: int) -> Result:
    """Mean of ``function`` over ``pieces`` equal parts of a batch, one part in memory at a time.

    Where the function is itself a mean over its batch (or the gradient of one) the result is that of the
    whole batch.

    Args:
        function: batch to a pytree of floating arrays whose shapes do not depend on the batch's size.
        batch: pytree of arrays with one leading axis, a multiple of ``pieces``.
        pieces: how many parts; static.
    """
    if pieces == 1:
        return function(batch)
    parts = jax.tree.map(lambda leaf: leaf.reshape(pieces, -1, *leaf.shape[1:]), batch)
    shapes = jax.eval_shape(function, jax.tree.map(lambda leaf: leaf[0], parts))
    zero = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    total, _ = jax.lax.scan(lambda so_far, part: (trees.add(so_far, function(part)), None), zero, parts)
    return jax.tree.map(lambda leaf: leaf / pieces, total)


def number_of_pieces(count: int, most: int) -> int:
    """The fewest equal pieces of a batch of ``count`` of which none has more than ``most``.

    Six in pieces of at most four make two of three.
    """
    return next(pieces for pieces in range(1, count + 1) if count % pieces == 0 and count // pieces <= most)


def check_microbatch(most: int | None) -> None:
    """Refuse pieces of nothing; None stands for the whole batch.

    Raises:
        UserError: fewer than one.
    """
    if most is not None and most < 1:
        raise UserError("config", f"microbatch={most}", "give at least 1, or None for the whole batch")
