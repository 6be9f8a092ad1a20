"""Low-rank adaptation: small factors beside frozen matrices (arXiv 2106.09685).

``y = x W + s (x A) B`` with s = alpha / rank, A random and B zero at the start, so that training begins at
the frozen network exactly.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from antiphon.core.errors import UserError
from antiphon.nets.precision import matmul


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class LowRank:
    """A matrix and a low-rank sum beside it.

    Attributes:
        weight: ``[d_in, d_out]``, perhaps stacked.
        a: ``[d_in, r]``, likewise.
        b: ``[r, d_out]``, likewise.
        scale: s.
    """

    weight: Array
    a: Array
    b: Array
    scale: float = field(metadata={"static": True})


class Factors(NamedTuple):
    """A and B of one kind of matrix in every layer.

    Attributes:
        a: ``[L, d_in, r]``.
        b: ``[L, r, d_out]``.
    """

    a: Array
    b: Array


@dataclass(frozen=True)
class LoRA:
    """Which matrices get factors, and how large.

    Attributes:
        rank: r.
        alpha: the sum is weighted by ``alpha / rank``.
        targets: names of a layer's matrices.
        rank_stabilised: weigh by ``alpha / sqrt(rank)`` instead (arXiv 2312.03732).

    Raises:
        UserError: a rank below one, or no target.
    """

    rank: int = 16
    alpha: float = 32.0
    targets: tuple[str, ...] = ("q", "k", "v", "o", "gate", "up", "down")
    rank_stabilised: bool = False

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise UserError("config", f"an adapter of rank {self.rank}", "give a rank of at least 1")
        if not self.targets:
            raise UserError("config", "an adapter without targets", "name matrices such as q and v")

    @property
    def scale(self) -> float:
        """s, the weight of the low-rank sum."""
        return self.alpha / (self.rank**0.5 if self.rank_stabilised else self.rank)

    def init(self, key: PRNGKeyArray, layers: Any) -> dict[str, Factors]:
        """Factors for stacked layers: A uniform in ``±1/sqrt(d_in)``, B zero.

        Args:
            key: for A.
            layers: a named tuple whose fields ``targets`` are ``[L, d_in, d_out]``.

        Raises:
            UserError: the layers have no such matrix.
        """
        adapter = {}
        for name, key_name in zip(self.targets, jax.random.split(key, len(self.targets)), strict=True):
            count, rows, columns = _matrix(layers, name).shape
            bound = rows**-0.5
            a = jax.random.uniform(key_name, (count, rows, self.rank), minval=-bound, maxval=bound)
            adapter[name] = Factors(a, jnp.zeros((count, self.rank, columns)))
        return adapter

    def attach(self, layers: Any, adapter: Mapping[str, Factors]) -> Any:
        """The layers with factors beside their matrices; gradients reach the factors only.

        Raises:
            UserError: factors for a matrix that is not there, or of another shape.
        """
        frozen = jax.tree.map(jax.lax.stop_gradient, layers)
        put = {}
        for name, factors in adapter.items():
            weight = _matrix(frozen, name)
            count, rows, columns = weight.shape
            rank = factors.a.shape[-1]
            if (factors.a.shape, factors.b.shape) != ((count, rows, rank), (count, rank, columns)):
                raise UserError(
                    "lora",
                    f"factors of {name!r} have shapes {factors.a.shape} and {factors.b.shape} "
                    f"beside matrices of shape {weight.shape}",
                    "load the model that the adapter was trained on",
                )
            put[name] = LowRank(weight, factors.a, factors.b, self.scale)
        return frozen._replace(**put)


def linear(x: Float[Array, "*B d_in"], matrix: Array | LowRank) -> Float[Array, "*B d_out"]:
    """``x @ matrix`` in float32, the low-rank sum worked out from the right."""
    if isinstance(matrix, LowRank):
        return matmul(x, matrix.weight) + matrix.scale * matmul(matmul(x, matrix.a), matrix.b)
    return matmul(x, matrix)


def plain(matrix: Any) -> Any:
    """A low-rank sum as one matrix of the frozen one's dtype; anything else as it is."""
    if not isinstance(matrix, LowRank):
        return matrix
    change = jnp.matmul(matrix.a.astype(jnp.float32), matrix.b.astype(jnp.float32), precision="highest")
    return (matrix.weight.astype(jnp.float32) + matrix.scale * change).astype(matrix.weight.dtype)


def _matrix(layers: Any, name: str) -> Array:
    found = getattr(layers, name, None)
    if found is None or isinstance(found, LowRank) or found.ndim != 3:
        raise UserError(
            "lora",
            f"a layer has no plain matrix {name!r} to adapt",
            "choose targets among q, k, v, o, gate, up and down",
        )
    return found
