import jax
import jax.numpy as jnp
import numpy as np
import pytest

from antiphon.methods.microbatches import mean_over_microbatches, number_of_pieces

BATCH = {"x": np.arange(24.0).reshape(12, 2), "y": np.arange(12.0)}


def loss_and_gradient(weight, batch):
    loss, gradient = jax.value_and_grad(lambda w: jnp.mean((batch["x"] @ w - batch["y"]) ** 2))(weight)
    return {"loss": loss}, gradient


@pytest.mark.parametrize("pieces", [1, 2, 3, 12])
def test_pieces_have_the_mean_of_the_whole(pieces):
    weight = jnp.array([0.5, -0.25])
    ours = jax.jit(lambda w: mean_over_microbatches(lambda b: loss_and_gradient(w, b), BATCH, pieces))(weight)
    for piece, whole in zip(
        jax.tree.leaves(ours), jax.tree.leaves(loss_and_gradient(weight, BATCH)), strict=True
    ):
        np.testing.assert_allclose(piece, whole, rtol=1e-5)


def test_no_more_than_a_piece_is_seen_at_a_time():
    seen = []

    def function(batch):
        seen.append(batch["y"].shape)
        return jnp.max(batch["y"])

    # max is not linear, so the mean of its pieces tells which elements stood together.
    np.testing.assert_allclose(mean_over_microbatches(function, BATCH, 3), np.mean([3, 7, 11]))
    assert set(seen) == {(4,)}


def test_pieces_are_equal_and_few():
    assert [number_of_pieces(6, most) for most in (1, 2, 3, 4, 5, 6, 99)] == [6, 3, 2, 2, 2, 1, 1]
    assert number_of_pieces(7, 3) == 7
