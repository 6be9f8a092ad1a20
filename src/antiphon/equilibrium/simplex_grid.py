"""A finite set of mean fields, and where any other mean field lies among them."""

import itertools
import math
from dataclasses import dataclass, field
from typing import Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from antiphon.core.errors import UserError

Projection = Literal["nearest", "barycentric"]

_MOST_POINTS = 2_000_000


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class SimplexGrid:
    """Points of the simplex of X states; made by :func:`simplex_grid`.

    Attributes:
        points: the mean fields, [M, X].
        ranks: numbers of lattice points below a coordinate, for the barycentric look-up.
        cells: M of the paper: cells along one coordinate.
        projection: how a mean field between the points is read.
    """

    points: Float[Array, "M X"]
    ranks: Int[Array, "D C"]
    cells: int = field(metadata={"static": True})
    projection: str = field(metadata={"static": True})

    def locate(self, mean_field: Float[Array, "*B X"]) -> tuple[Int[Array, "*B K"], Float[Array, "*B K"]]:
        """Indices and weights of the points that stand for a mean field; weights are ≥ 0 and sum to 1.

        Nearest: K = 1, the closest point in L1, the first of several. Barycentric: K = X, the corners of the
        Kuhn simplex around the mean field, and Σ weight · point is the mean field itself.
        """
        if self.projection == "nearest":
            index = self._nearest(mean_field)[..., None]
            return index, jnp.ones(index.shape, mean_field.dtype)
        return self._barycentric(mean_field)

    def read(self, table: Float[Array, "M *rest"], mean_field: Float[Array, "X"]) -> Float[Array, "*rest"]:
        """A table over the points, read at one mean field."""
        index, weight = self.locate(mean_field)
        return jnp.tensordot(weight, table[index], 1)

    def _nearest(self, mean_field: Array) -> Array:
        points = self.points.astype(mean_field.dtype)
        if mean_field.shape[-1] == 2 and self.cells > 1:
            # Mid-points (i + ½)/M: only two neighbours can be closest. Their distances are compared as the
            # general case below compares them, because ties at round numbers are decided by the last bit.
            low = jnp.clip(jnp.floor(mean_field[..., 0] * self.cells - 0.5), 0, self.cells - 2).astype(
                jnp.int32
            )
            below, above = (jnp.sum(jnp.abs(mean_field - points[low + i]), axis=-1) for i in (0, 1))
            return low + (above < below).astype(jnp.int32)
        distance = jnp.sum(jnp.abs(mean_field[..., None, :] - points), axis=-1)
        return jnp.argmin(distance, axis=-1).astype(jnp.int32)

    def _barycentric(self, mean_field: Array) -> tuple[Array, Array]:
        if mean_field.shape[-1] == 1:
            index = jnp.zeros((*mean_field.shape[:-1], 1), jnp.int32)
            return index, jnp.ones(index.shape, mean_field.dtype)
        # In cumulative sums c_1 ≤ … ≤ c_{X−1} the simplex is a corner of a cube that Kuhn cuts by sorting.
        cumulative = jnp.clip(jnp.cumsum(mean_field[..., :-1], axis=-1) * self.cells, 0.0, self.cells)
        floor = jnp.minimum(jnp.floor(cumulative), self.cells - 1)
        rest = cumulative - floor
        if mean_field.shape[-1] == 2:
            low = floor[..., 0].astype(jnp.int32)
            return jnp.stack([low, low + 1], -1), jnp.concatenate([1 - rest, rest], -1)
        size = rest.shape[-1]
        # Equal remainders rise from the last coordinate down, so that every corner stays in order.
        order = size - 1 - jnp.argsort(-rest[..., ::-1], axis=-1, stable=True)
        place = jnp.argsort(order, axis=-1)
        descending = jnp.take_along_axis(rest, order, axis=-1)
        one, zero = jnp.ones_like(rest[..., :1]), jnp.zeros_like(rest[..., :1])
        weight = jnp.concatenate([one, descending], -1) - jnp.concatenate([descending, zero], -1)
        risen = place[..., None, :] < jnp.arange(size + 1)[:, None]
        corner = floor[..., None, :].astype(jnp.int32) + risen.astype(jnp.int32)
        index = jnp.sum(self.ranks[jnp.arange(size), corner + jnp.arange(size)], axis=-1)
        return index.astype(jnp.int32), weight


def simplex_grid(
    n_states: int, cells: int, projection: Projection = "barycentric", dtype: jnp.dtype | None = None
) -> SimplexGrid:
    """A grid on the simplex of ``n_states`` states.

    Nearest has the paper's points: mid-points (i + ½)/M of the first X − 1 coordinates whose sum is at most
    1. Barycentric has all points whose coordinates are multiples of 1/M, C(M + X − 1, X − 1) of them.

    Raises:
        UserError: a projection that is not known, no cells, or more points than fit in memory.

    Source: arXiv 2312.10787, section 4 (the partition; points as in the authors' program). Barycentric:
    Kuhn's triangulation of the cube; not in the paper. It keeps the mean of what is projected, so a mean
    field that moves less than half a cell in one step still moves.
    """
    if projection not in get_args(Projection):
        raise UserError("projection", f"there is no projection {projection!r}", "use nearest or barycentric")
    if cells < 1 or n_states < 1:
        raise UserError("grid", f"a grid of {cells} cells for {n_states} states is empty", "give a grid ≥ 1")
    dtype = dtype or jnp.result_type(float)
    size = n_states - 1
    many = cells**size if projection == "nearest" else math.comb(cells + size, size)
    if many > _MOST_POINTS:
        raise UserError(
            "grid",
            f"a grid of {cells} cells for {n_states} states has about {many} points",
            "use a smaller grid",
        )
    table = np.array([[math.comb(n, i + 1) for n in range(cells + size + 1)] for i in range(max(size, 1))])
    if projection == "nearest":
        axis = np.linspace(1 / cells / 2, 1 - 1 / cells / 2, cells)
        rows = [(*p, 1 - sum(p)) for p in itertools.product(axis, repeat=size) if sum(p) <= 1]
        points = np.array(rows)
    else:
        # A monotone lattice vector k has rank Σ_i C(k_i + i − 1, i): the combinatorial number system.
        lattice = np.array(list(itertools.combinations_with_replacement(range(cells + 1), size)), int)
        lattice = lattice.reshape(-1 if size else 1, size)
        rank = sum((table[i, lattice[:, i] + i] for i in range(size)), np.zeros(len(lattice), int))
        ordered = lattice[np.argsort(rank)]
        edges = np.pad(ordered, ((0, 0), (1, 1)), constant_values=((0, 0), (0, cells)))
        points = np.diff(edges, axis=1) / cells
    return SimplexGrid(jnp.asarray(points, dtype), jnp.asarray(table, jnp.int32), cells, projection)
