import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from antiphon.core.errors import UserError
from antiphon.core.simplex import random_points
from antiphon.equilibrium.simplex_grid import simplex_grid


@pytest.mark.parametrize(("n_states", "cells"), [(1, 3), (2, 7), (3, 5), (4, 4), (5, 3)])
def test_barycentric_weights_give_the_mean_field_back(n_states, cells):
    grid = simplex_grid(n_states, cells)
    assert grid.points.shape == (math.comb(cells + n_states - 1, n_states - 1), n_states)
    assert len({tuple(row) for row in np.round(np.asarray(grid.points) * cells).astype(int)}) == len(
        grid.points
    )
    assert np.all(np.asarray(grid.points) >= 0)
    queries = jnp.concatenate(
        [random_points(jax.random.key(0), (400, n_states)), grid.points, jnp.eye(n_states)]
    )
    index, weight = jax.jit(grid.locate)(queries)
    assert index.shape == weight.shape == (len(queries), n_states)
    assert np.all(np.asarray(weight) >= -1e-6)
    np.testing.assert_allclose(jnp.sum(weight, -1), 1.0, atol=1e-5)
    np.testing.assert_allclose(jnp.einsum("bk,bkx->bx", weight, grid.points[index]), queries, atol=2e-6)
    # Corners of one Kuhn simplex are less than a cell apart in every cumulative sum.
    corners = np.cumsum(np.asarray(grid.points[index]), axis=-1) * cells
    assert np.max(np.ptp(corners, axis=1)) < 1 + 1e-4


def test_reading_an_affine_table_is_exact():
    grid = simplex_grid(4, 5)
    table = grid.points @ jnp.array([1.0, -2.0, 0.5, 3.0]) + 1.0
    query = jnp.array([0.13, 0.4, 0.07, 0.4])
    expected = float(query @ jnp.array([1.0, -2.0, 0.5, 3.0]) + 1)
    np.testing.assert_allclose(grid.read(table, query), expected, rtol=1e-5)


@pytest.mark.parametrize(("n_states", "cells"), [(2, 1), (2, 2), (2, 9), (3, 4)])
def test_nearest_is_the_nearest(n_states, cells):
    grid = simplex_grid(n_states, cells, "nearest")
    queries = random_points(jax.random.key(1), (500, n_states))
    index, weight = jax.jit(grid.locate)(queries)
    distance = np.abs(np.asarray(queries)[:, None] - np.asarray(grid.points)).sum(-1)
    np.testing.assert_allclose(distance[np.arange(500), np.asarray(index)[:, 0]], distance.min(-1), atol=1e-6)
    assert np.all(np.asarray(weight) == 1)


def test_nearest_points_are_those_of_the_paper():
    np.testing.assert_allclose(simplex_grid(2, 4, "nearest").points[:, 0], [0.125, 0.375, 0.625, 0.875])
    # For three states points whose first two coordinates sum to more than one are dropped.
    assert len(simplex_grid(3, 4, "nearest").points) == 10


@pytest.mark.parametrize(("cells", "projection"), [(0, "nearest"), (5, "linear"), (10**7, "nearest")])
def test_refuses_what_cannot_be(cells, projection):
    with pytest.raises(UserError, match=r"grid|projection"):
        simplex_grid(2, cells, projection)
